// Occasions handed to a program, by the means that carry out `run` steps.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "daemon/exec/printable.h"
#include "daemon/exec/process_executor.h"
#include "daemon/notify/courier.h"
#include "daemon/ports/mutex.h"

namespace beamline::notify {
namespace {

constexpr absl::Duration kGrace = absl::Seconds(2);  // between SIGTERM and SIGKILL
constexpr size_t kErrorBytesMax = 500;

// What the program prints is of no concern, but for the end of its stderr, which errors quote.
class Unheard : public ports::OutputSink {
 public:
  void Write(const run::RunId&, ports::OutputChunk) override {}
};

class CommandCourier : public Courier {
 public:
  CommandCourier(const Rule& rule, std::string work_dir, ports::BlobStore& blobs)
      : rule_(rule), processes_({.work_dir = std::move(work_dir), .grace = kGrace}, sink_, blobs) {}

  void Send(const Occasion& occasion, std::function<void(Delivery)> done) override {
    ports::Attempt attempt = AttemptOf(occasion);
    ports::MutexLock lock(&mu_);  // until it is started: what is cancelled must be known
    if (cancelled_) return done({.error = "the daemon ends"});
    run_ = attempt.run;
    attempt_ = attempt.attempt;
    processes_.Start(std::move(attempt), [this, run = occasion.run, done = std::move(done)](
                                             const run::ReportAttempt& report) {
      processes_.ForgetRun(run);
      // The exit code counts, not what was written to $BEAMLINE_OUTPUT.
      Delivery delivery{.delivered = report.outcome == run::Outcome::kSucceeded ||
                                     report.error.kind == "output"};
      if (!delivery.delivered) delivery.error = ErrorOf(report);
      done(std::move(delivery));
    });
  }

  void Cancel() override {
    ports::MutexLock lock(&mu_);
    cancelled_ = true;
    processes_.Stop(run_, Path(), attempt_, run::StopReason::kCancel, /*force=*/true);
  }

 private:
  // No step's path has a colon: what this starts is not mistaken for one.
  std::string Path() const { return absl::StrCat("notify:", rule_.name); }

  ports::Attempt AttemptOf(const Occasion& occasion) {
    const nlohmann::json body = {{"run", rule_.command},
                                 {"stdin", JsonOf(occasion) + "\n"},
                                 {"env",
                                  {{"BEAMLINE_SINK", rule_.name},
                                   {"BEAMLINE_OCCASION", KindName(occasion.kind)},
                                   {"BEAMLINE_OCCASION_ID", IdOf(occasion)},
                                   {"BEAMLINE_NEXT", NextCommand(occasion)}}}};
    ports::Attempt attempt{.run = occasion.run, .flow_name = occasion.flow, .path = Path()};
    attempt.step_id = occasion.path;
    attempt.attempt = ++tries_;
    attempt.input = body.dump();
    attempt.idempotency_key = IdOf(occasion);
    attempt.workspace = "/";
    attempt.timeout = rule_.timeout;
    return attempt;
  }

  static std::string ErrorOf(const run::ReportAttempt& report) {
    return exec::PrintableLine(report.error.message.empty()
                                   ? absl::string_view(run::OutcomeName(report.outcome))
                                   : absl::string_view(report.error.message),
                               kErrorBytesMax);
  }

  const Rule rule_;
  Unheard sink_;
  int32_t tries_ = 0;
  ports::Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  run::RunId run_ ABSL_GUARDED_BY(mu_);
  int32_t attempt_ ABSL_GUARDED_BY(mu_) = 0;
  exec::ProcessExecutor processes_;
};

}  // namespace

std::unique_ptr<Courier> MakeCommandCourier(const Rule& rule, std::string work_dir,
                                            ports::BlobStore& blobs) {
  return std::make_unique<CommandCourier>(rule, std::move(work_dir), blobs);
}

}  // namespace beamline::notify
