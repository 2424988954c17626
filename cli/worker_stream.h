// A worker's end of WorkerService.Attach, for programs in C++: words in batches, both ways.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "beamline/v1/worker.pb.h"

namespace beamline::cli {

// One connection and one stream; whoever wants to reconnect makes another. gRPC stays behind this
// header.
class WorkerStream {
 public:
  // For the daemon on the unix `socket`, once Start is called. `on_word` is called for each word of
  // the daemon, in order, on one thread at a time of the transport's; it must not wait for
  // anything. What it says while it is called goes out together, once the batch is worked off.
  WorkerStream(const std::string& socket, v1::Hello hello,
               std::function<void(v1::DaemonWord&)> on_word);
  // Breaks the stream off if it is not over; `on_word` is not called any more once this returns.
  ~WorkerStream();
  WorkerStream(const WorkerStream&) = delete;
  WorkerStream& operator=(const WorkerStream&) = delete;

  // Connects and says hello. Once.
  void Start();
  // Thread-safe. What is said after the end is lost.
  void Say(v1::WorkerWord word);
  // Says goodbye; the daemon then ends the stream. Thread-safe.
  void SayGoodbye();
  // Waits for the end, at most for `timeout`; false if it is not there then.
  bool AwaitEnd(absl::Duration timeout);
  // Of the end. Ok: after a goodbye. Otherwise with the daemon's google.rpc.Status, see
  // api_error.h, or Unavailable.
  absl::Status status() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;  // shared with the call, which may outlive this by a moment
};

}  // namespace beamline::cli
