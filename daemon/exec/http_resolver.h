// Names to addresses, once per name and a while, on a bounded number of threads.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "daemon/exec/ip_address.h"

namespace beamline::exec {

// Lives on a loop's thread; lookups run in libuv's pool. (curl's own resolver starts a thread for
// each, and its result could not be checked before it is used.)
class HttpResolver {
 public:
  using Addresses = absl::StatusOr<std::vector<IpAddress>>;

  explicit HttpResolver(uv_loop_t* loop) : loop_(loop) {}
  // Lookups under way must have ended: the loop keeps running until they have.

  // Calls `done` now or later with what getaddrinfo(3) says about `host` (a name or an address), in
  // its order of preference. What was found is kept for 30 s. Unavailable: there is no such name,
  // or the DNS does not answer.
  void Lookup(const std::string& host, std::function<void(const Addresses&)> done);

 private:
  struct Query;
  struct Known {
    Addresses addresses;
    uint64_t until_ms = 0;  // of uv_now
  };

  void Finish(Query* query, int error, const addrinfo* found);

  uv_loop_t* const loop_;
  absl::flat_hash_map<std::string, Known> known_;
  absl::flat_hash_map<std::string, std::shared_ptr<Query>> asked_;
};

}  // namespace beamline::exec
