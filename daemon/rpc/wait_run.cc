// A wait is claimed once, by whatever comes first: the hub, the row as it is, the limit, the
// client.
#include "daemon/rpc/wait_run.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/ports/mutex.h"
#include "daemon/rpc/narrator.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/timers.h"

namespace beamline::rpc {
namespace {

constexpr size_t kPageBytes = 1 << 20;

// Whether the flow has a step at `path`, whose indices of items are not looked at.
bool HasStep(const engine::CompiledFlow& flow, const std::string& path) {
  int32_t step = -1;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    const absl::string_view id = part.substr(0, part.find('['));
    step = flow.plan->Find(step, std::string_view(id.data(), id.size()));
    if (step < 0) return false;
  }
  return true;
}

// Whether `fact` is the end of the step at `path`.
bool Ends(const run::Fact& fact, const std::string& path) {
  if (run::FactPath(fact) != path) return false;
  if (const auto* f = std::get_if<run::AttemptFinished>(&fact)) {
    return run::IsTerminal(f->step_status);
  }
  return std::holds_alternative<run::StepFinished>(fact) ||
         std::holds_alternative<run::StepMarked>(fact) ||
         std::holds_alternative<run::StepReused>(fact) ||
         std::holds_alternative<run::StepSkipped>(fact) ||
         std::holds_alternative<run::StepCancelled>(fact);
}

// Whether `fact` lets the step at `path` run again, or a step above or below it.
bool Returns(const run::Fact& fact, const std::string& path) {
  const auto* requeued = std::get_if<run::StepRequeued>(&fact);
  if (requeued == nullptr) return false;
  const std::string& other = requeued->path;
  const size_t common = std::min(path.size(), other.size());
  const std::string& longer = path.size() > other.size() ? path : other;
  return path.compare(0, common, other, 0, common) == 0 &&
         (longer.size() == common || longer[common] == '/' || longer[common] == '[');
}

class Wait : public Call, public std::enable_shared_from_this<Wait> {
 public:
  Wait(const Backend& backend, const v1::WaitRunRequest& request, v1::WaitRunResponse* response,
       Done done)
      : backend_(backend),
        or_waiting_(request.or_waiting()),
        step_(request.step()),
        response_(response),
        done_(std::move(done)) {}

  void Begin(const v1::WaitRunRequest& request) {
    if (request.timeout_ms() < 0) return Refuse(InvalidField("timeout_ms", "must not be negative"));
    const std::optional<run::RunId> id = run::RunId::Parse(request.run_id());
    if (!id) return Refuse(RunNotFound(request.run_id()));
    id_ = *id;
    // Before the row is looked at, so that nothing is missed in between.
    subscription_ = backend_.engine.hub().Subscribe(
        id_, [this](uint64_t seq, ports::RunStatus status) { OnProgress(seq, status); });
    absl::StatusOr<ports::RunRow> row = FindRun(backend_, request.run_id());
    if (!row.ok()) return Refuse(row.status());
    if (Suffices(row->status)) {
      if (Claim()) Answer(row->last_seq, row->status);
      return;
    }
    if (request.timeout_ms() > 0) {
      timer_ = backend_.timers.After(absl::Milliseconds(request.timeout_ms()), [this] {
        if (Claim()) backend_.answers.Do([self = shared_from_this()] { self->AnswerLate(); });
      });
    }
    if (!step_.empty()) {
      backend_.reads.Do([self = shared_from_this(), row = *std::move(row)] { self->Seek(row); });
    }
  }

  void Cancel() override {
    if (Claim()) {
      backend_.answers.Do([self = shared_from_this()] {
        self->done_(Refusal(Reason::kCallCancelled, "the client ended the call"));
      });
    }
  }

 private:
  bool Claim() { return !over_.exchange(true); }

  void Refuse(const absl::Status& status) {
    if (Claim()) done_(status);
  }

  bool Suffices(ports::RunStatus status) const {
    const bool waits = status == ports::RunStatus::kWaiting || status == ports::RunStatus::kPaused;
    return ports::IsFinished(status) || (or_waiting_ && waits);
  }

  // On the engine's thread, under the hub's lock.
  void OnProgress(uint64_t seq, ports::RunStatus status) {
    if (Suffices(status)) {
      if (!Claim()) return;
      backend_.answers.Do([self = shared_from_this(), seq, status] { self->Answer(seq, status); });
    } else if (!step_.empty() && !over_) {
      // Whoever claims it now may already be letting go of it.
      if (auto self = weak_from_this().lock()) {
        backend_.reads.Do([self = std::move(self)] { self->Scan(); });
      }
    }
  }

  // REQUIRES: claimed, as for all that answer.
  void Answer(uint64_t last_seq, ports::RunStatus status) {
    response_->set_status(ToWire(status));
    response_->set_reached(true);
    absl::Status read;
    if (ports::IsFinished(status) && status != ports::RunStatus::kSucceeded) {
      read = ReadFailure(backend_, id_, last_seq, response_->mutable_failure());
      if (response_->failure().kind().empty()) response_->clear_failure();
    }
    done_(std::move(read));
  }

  void AnswerLate() {
    const auto row = backend_.events.GetRun(id_);
    if (row.ok()) response_->set_status(ToWire(row->status));
    done_(row.status());
  }

  // Makes sure that there is such a step to wait for, then looks for its end.
  void Seek(const ports::RunRow& row) {
    absl::StatusOr<Narrator> narrator = Narrator::Open(backend_, row);
    if (!narrator.ok()) return Refuse(narrator.status());
    if (narrator->flow() != nullptr && !HasStep(*narrator->flow(), step_)) {
      return Refuse(
          Refusal(Reason::kStepNotFound, absl::StrCat("the flow of run ", row.id.ToString(),
                                                      " has no step `", step_.substr(0, 256), "`"))
              .With("run_id", row.id.ToString())
              .Resource("step", step_.substr(0, 256)));
    }
    Scan();
  }

  void Scan() {
    ports::MutexLock lock(&scan_mu_);
    while (!over_) {
      auto events = backend_.events.Read(id_, scanned_, kPageBytes);
      if (!events.ok()) return Refuse(events.status());
      if (events->empty()) break;
      for (const run::Event& event : *events) {
        if (Ends(event.fact, step_)) ended_ = true;
        if (Returns(event.fact, step_)) ended_ = false;
      }
      scanned_ = events->back().seq;
    }
    if (over_ || !ended_) return;
    const auto row = backend_.events.GetRun(id_);
    if (!row.ok()) return Refuse(row.status());
    if (Claim()) Answer(row->last_seq, row->status);
  }

  const Backend& backend_;
  const bool or_waiting_;
  const std::string step_;
  run::RunId id_;
  v1::WaitRunResponse* const response_;
  const Done done_;
  std::atomic<bool> over_{false};
  ports::Mutex scan_mu_;
  uint64_t scanned_ ABSL_GUARDED_BY(scan_mu_) = 0;
  bool ended_ ABSL_GUARDED_BY(scan_mu_) = false;  // as of scanned_
  // Last: gone first, and with them whoever may still call. They take no lock of this.
  std::shared_ptr<void> timer_, subscription_;
};

}  // namespace

std::shared_ptr<Call> WaitRun(const Backend& backend, const v1::WaitRunRequest& request,
                              v1::WaitRunResponse* response, Done done) {
  auto wait = std::make_shared<Wait>(backend, request, response, std::move(done));
  wait->Begin(request);
  return wait;
}

}  // namespace beamline::rpc
