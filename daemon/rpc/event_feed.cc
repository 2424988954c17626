// The feed of events. The hub is subscribed to before the log is read, and the log alone says what
// comes next: what the hub tells is only that there is more.
#include "daemon/rpc/event_feed.h"

#include <atomic>
#include <optional>
#include <utility>

#include "daemon/rpc/narrator.h"
#include "daemon/rpc/refusal.h"

namespace beamline::rpc {
namespace {

constexpr size_t kPageBytes = 128 << 10;
// Far under the 4 MiB that clients accept by default, with room for one large event.
constexpr size_t kMessageBytes = 512 << 10;

class EventFeed : public Feed<v1::StreamExecutionEventsResponse> {
 public:
  EventFeed(const Backend& backend, const v1::StreamExecutionEventsRequest& request, Wake wake)
      : backend_(backend),
        run_id_(request.run_id()),
        follow_(request.follow()),
        cursor_(request.after_seq()),
        wake_(std::move(wake)) {}

  absl::StatusOr<Pulled> Pull(v1::StreamExecutionEventsResponse* response) override {
    if (!narrator_) {
      if (absl::Status status = Open(); !status.ok()) return status;
    }
    if (next_ == page_.size()) {
      const bool all = cursor_ >= std::max(until_, told_.load(std::memory_order_acquire));
      if ((finished_ && all) || (!follow_ && cursor_ >= until_)) return Pulled::kEnd;
      const bool over = over_.load(std::memory_order_acquire);  // before the read: it sees all
      if (absl::Status status = ReadPage(); !status.ok()) return status;
      if (page_.empty()) return !follow_ || over ? Pulled::kEnd : Pulled::kLater;
    }
    size_t bytes = 0;
    while (next_ < page_.size() && bytes < kMessageBytes) {
      const run::Event& event = page_[next_++];
      v1::ExecutionEvent* wire = response->add_events();
      narrator_->Tell(event, wire);
      bytes += wire->ByteSizeLong();
      cursor_ = event.seq;
      Follow(event.fact);
    }
    return Pulled::kMessage;
  }

 private:
  // A run that was finished may go on: then its end is not the end of the feed.
  void Follow(const run::Fact& fact) {
    if (std::holds_alternative<run::RunFinished>(fact)) finished_ = true;
    if (std::holds_alternative<run::RunReopened>(fact)) finished_ = false;
  }

  absl::Status Open() {
    const std::optional<run::RunId> id = run::RunId::Parse(run_id_);
    if (!id) return RunNotFound(run_id_);
    if (follow_) {
      subscription_ =
          backend_.engine.hub().Subscribe(*id, [this](uint64_t seq, ports::RunStatus status) {
            told_.store(seq, std::memory_order_release);
            over_.store(ports::IsFinished(status), std::memory_order_release);
            wake_();
          });
    }
    absl::StatusOr<ports::RunRow> row = FindRun(backend_, run_id_);
    if (!row.ok()) return row.status();
    absl::StatusOr<Narrator> narrator = Narrator::Open(backend_, *row);
    if (!narrator.ok()) return narrator.status();
    id_ = row->id;
    until_ = row->last_seq;
    if (ports::IsFinished(row->status)) over_ = true;
    narrator_ = *std::move(narrator);
    return absl::OkStatus();
  }

  absl::Status ReadPage() {
    page_.clear();
    next_ = 0;
    // What is known to be there: no need to ask the disk for more.
    if (cursor_ >= std::max(until_, told_.load(std::memory_order_acquire))) return absl::OkStatus();
    auto events = backend_.events.Read(id_, cursor_, kPageBytes);
    if (absl::IsNotFound(events.status())) return RunNotFound(run_id_);
    if (!events.ok()) return events.status();
    page_ = *std::move(events);
    return absl::OkStatus();
  }

  const Backend& backend_;
  const std::string run_id_;
  const bool follow_;
  run::RunId id_;
  uint64_t cursor_;                // of the last event that was sent
  uint64_t until_ = 0;             // of the last event that there was at the start
  std::atomic<uint64_t> told_{0};  // of the last event that the hub spoke of
  std::atomic<bool> over_{false};  // the run is finished: no events after those that are known
  bool finished_ = false;          // RunFinished was sent, and nothing of it going on
  std::optional<Narrator> narrator_;
  std::vector<run::Event> page_;
  size_t next_ = 0;  // in page_
  const Wake wake_;
  std::shared_ptr<void> subscription_;  // last: gone first
};

}  // namespace

std::unique_ptr<Feed<v1::StreamExecutionEventsResponse>> MakeEventFeed(
    const Backend& backend, const v1::StreamExecutionEventsRequest& request, Wake wake) {
  return std::make_unique<EventFeed>(backend, request, std::move(wake));
}

}  // namespace beamline::rpc
