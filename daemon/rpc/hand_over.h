// What the thread sanitizer is not told by gRPC.
#pragma once

#include <atomic>
#include <cstdint>

namespace beamline::rpc {

// Orders what a reactor did before it called gRPC (Give) before what it does when gRPC calls it
// back on another thread (Take). gRPC does so itself, but in a library that is built without the
// thread sanitizer, which would take every reactor for a race.
class HandOver {
 public:
  void Give() { turns_.fetch_add(1, std::memory_order_release); }
  void Take() const { turns_.load(std::memory_order_acquire); }

 private:
  std::atomic<uint32_t> turns_{0};
};

}  // namespace beamline::rpc
