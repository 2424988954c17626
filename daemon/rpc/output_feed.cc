// The feed of output. What an attempt printed is in the store before the attempt's end is in the
// log, so once the run is finished, a last read finds everything.
#include "daemon/rpc/output_feed.h"

#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "daemon/codec/span_id.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/wire_time.h"

namespace beamline::rpc {
namespace {

constexpr size_t kPageBytes = 128 << 10;

// `step` is a step's id, its path, or the path of something around it.
bool Concerns(const std::string& path, const std::string& step) {
  if (step.empty() || path == step || codec::StepId(path) == step) return true;
  return absl::StartsWith(path, step) && (path[step.size()] == '/' || path[step.size()] == '[');
}

void Fill(ports::OutputChunk& chunk, v1::TailOutputResponse* response) {
  response->set_path(std::move(chunk.path));
  response->set_attempt(chunk.attempt);
  response->set_stream(chunk.stream == ports::OutputStream::kStderr ? v1::OUTPUT_STREAM_STDERR
                                                                    : v1::OUTPUT_STREAM_STDOUT);
  SetTime(chunk.time, response->mutable_time());
  response->set_data(std::move(chunk.bytes));
  response->set_next_offset(chunk.next);
}

class OutputFeed : public Feed<v1::TailOutputResponse> {
 public:
  OutputFeed(const Backend& backend, const v1::TailOutputRequest& request, Wake wake)
      : backend_(backend),
        run_id_(request.run_id()),
        step_(request.step()),
        follow_(request.follow()),
        offset_(request.offset()),
        wake_(std::move(wake)) {}

  absl::StatusOr<Pulled> Pull(v1::TailOutputResponse* response) override {
    if (!id_) {
      if (absl::Status status = Open(); !status.ok()) return status;
    }
    while (true) {
      while (next_ < page_.chunks.size()) {
        ports::OutputChunk& chunk = page_.chunks[next_++];
        if (!Concerns(chunk.path, step_)) continue;
        Fill(chunk, response);
        return Pulled::kMessage;
      }
      if (page_.end && (!follow_ || ended_)) return Pulled::kEnd;
      if (page_.end && !changed_.exchange(false)) return Pulled::kLater;
      if (absl::Status status = ReadPage(); !status.ok()) return status;
    }
  }

 private:
  absl::Status Open() {
    absl::StatusOr<ports::RunRow> row = FindRun(backend_, run_id_);
    if (!row.ok()) return row.status();
    id_ = row->id;
    if (!follow_) return absl::OkStatus();
    const auto changed = [this] {
      changed_ = true;
      wake_();
    };
    watch_ = backend_.outputs.Watch(*id_, changed);
    subscription_ =
        backend_.engine.hub().Subscribe(*id_, [this, changed](uint64_t, ports::RunStatus status) {
          if (!ports::IsFinished(status)) return;
          finished_ = true;
          changed();
        });
    // Again, now that nothing can be missed.
    row = FindRun(backend_, run_id_);
    if (!row.ok()) return row.status();
    if (ports::IsFinished(row->status)) finished_ = true;
    return absl::OkStatus();
  }

  absl::Status ReadPage() {
    const bool last = finished_;  // asked for before the read: then the read is the last one
    auto page = backend_.outputs.Read(*id_, offset_, kPageBytes);
    if (absl::IsOutOfRange(page.status())) {
      return InvalidField("offset", "no output begins there; use a next_offset of this run, or 0");
    }
    if (!page.ok()) return page.status();
    page_ = *std::move(page);
    offset_ = page_.next;
    next_ = 0;
    ended_ = last && page_.end;
    return absl::OkStatus();
  }

  const Backend& backend_;
  const std::string run_id_;
  const std::string step_;
  const bool follow_;
  uint64_t offset_;
  std::optional<run::RunId> id_;
  ports::OutputStore::Page page_;
  size_t next_ = 0;     // in page_.chunks
  bool ended_ = false;  // nothing can come after page_
  std::atomic<bool> finished_{false};
  std::atomic<bool> changed_{false};
  const Wake wake_;
  std::shared_ptr<void> watch_, subscription_;  // last: gone first
};

}  // namespace

std::unique_ptr<Feed<v1::TailOutputResponse>> MakeOutputFeed(const Backend& backend,
                                                             const v1::TailOutputRequest& request,
                                                             Wake wake) {
  return std::make_unique<OutputFeed>(backend, request, std::move(wake));
}

}  // namespace beamline::rpc
