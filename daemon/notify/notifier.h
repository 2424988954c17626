// All sinks of the configuration, each on a thread of its own: one that is slow or broken holds
// back nobody.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "daemon/notify/courier.h"
#include "daemon/notify/rule.h"
#include "daemon/notify/sink.h"

namespace beamline::notify {

class Notifier {
 public:
  using MakeCourier = std::function<std::unique_ptr<Courier>(const Rule&)>;

  explicit Notifier(Hands hands) : hands_(std::move(hands)) {}

  // Finds where each sink has got to; one that is new begins at the end of the log, and one that is
  // not in `rules` any more is forgotten. Before Start, while nothing else writes to the store.
  absl::Status Load(const std::vector<Rule>& rules, const MakeCourier& make_courier);
  void Start();
  // Ends the threads; what was not delivered is, after the next start. REQUIRES: Hands::write still
  // works.
  void Stop();

  // Thread-safe. The log has grown: to be called once that is on disk.
  void Appended();
  // Something is left to be tried again: what a daemon must stay for.
  bool busy() const;

  struct Status {
    SinkStatus sink;
    uint64_t entries_behind = 0;
  };
  std::vector<Status> status() const;
  // A line for each sink whose receiver does not take what is to be told.
  std::vector<std::string> Problems(absl::Time now) const;

 private:
  const Hands hands_;
  std::vector<std::unique_ptr<Sink>> sinks_;
};

}  // namespace beamline::notify
