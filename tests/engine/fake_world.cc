// The fakes, and an engine among them.
#include "tests/engine/fake_world.h"

#include <doctest/doctest.h>

#include "absl/strings/str_cat.h"
#include "daemon/run/event.h"
#include "flowspec/digest.h"
#include "flowspec/inputs.h"
#include "flowspec/jq.h"
#include "tests/run/describe.h"

namespace beamline::engine {

std::array<uint8_t, 10> FakeClock::Entropy() {
  std::array<uint8_t, 10> bytes{};
  bytes[9] = ++next_;
  return bytes;
}

void FakeExecutor::Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) {
  running_[{attempt.path, attempt.run}] = {attempt.attempt, std::move(done)};
  started.push_back(std::move(attempt));
}

void FakeExecutor::Stop(const run::RunId&, const std::string& path, int32_t attempt,
                        run::StopReason reason, bool force) {
  stops.push_back(
      absl::StrCat(path, "#", attempt, " ", run::StopReasonName(reason), force ? " by force" : ""));
}

void FakeExecutor::Finish(const std::string& path, run::ReportAttempt report) {
  const auto found = running_.lower_bound({path, run::RunId()});
  REQUIRE_MESSAGE((found != running_.end() && found->first.first == path), path);
  Finish(found, std::move(report));
}

void FakeExecutor::Finish(std::map<std::pair<std::string, run::RunId>, Running>::iterator at,
                          run::ReportAttempt report) {
  Running running = std::move(at->second);
  report.path = at->first.first;
  running_.erase(at);
  report.attempt = running.attempt;
  running.done(std::move(report));
}

void FakeExecutor::SucceedOf(const run::RunId& run, const std::string& path) {
  const auto found = running_.find({path, run});
  REQUIRE_MESSAGE(found != running_.end(), path);
  run::ReportAttempt report;
  report.output = run::Value::Json("null");
  Finish(found, std::move(report));
}

void FakeExecutor::Succeed(const std::string& path, std::string output) {
  run::ReportAttempt report;
  report.output = run::Value::Json(std::move(output));
  Finish(path, std::move(report));
}

void FakeExecutor::Fail(const std::string& path, run::Error error) {
  run::ReportAttempt report;
  report.outcome = run::Outcome::kFailed;
  report.error = std::move(error);
  Finish(path, std::move(report));
}

std::vector<std::string> FakeExecutor::running() const {
  std::vector<std::string> paths;
  for (const auto& [place, running] : running_) paths.push_back(place.first);
  return paths;
}

void InlineEvaluator::Evaluate(ports::Evaluation evaluation,
                               std::function<void(absl::StatusOr<std::string>)> done) {
  ++evaluations;
  auto program = flowspec::JqProgram::Compile(*evaluation.program);
  done(program.ok() ? (*program)->Run(evaluation.input)
                    : absl::StatusOr<std::string>(program.status()));
}

absl::Status FakeVault::Put(const run::RunId& run, const ports::Secrets& values) {
  secrets[run] = values;
  return absl::OkStatus();
}

absl::StatusOr<ports::Secrets> FakeVault::Get(const run::RunId& run) const {
  const auto found = secrets.find(run);
  if (found == secrets.end()) return absl::NotFoundError("no secrets of this run");
  return found->second;
}

void Bench::Boot() {
  executor = std::make_unique<FakeExecutor>();
  EngineOptions options;
  options.attempts_max = attempts_max_;
  options.last_task = *disk.LastTask();
  options.fatal = [this](const absl::Status& status) { fatal.push_back(status); };
  engine = std::make_unique<Engine>(World{disk, blobs, evaluator, *executor, vault, clock, meter},
                                    std::move(options));
  REQUIRE(engine->Recover().ok());
}

void Bench::Crash() {
  engine.reset();
  Boot();
}

void Bench::Begin(const std::string& yaml, const std::string& inputs, const std::string& request_id,
                  const std::string& request_hash) {
  FlowCache::Loaded loaded = engine->flows().Load(yaml);
  for (const auto& finding : loaded.findings) {
    if (finding.severity == flowspec::Severity::kError)
      MESSAGE(finding.code, ": ", finding.message);
  }
  REQUIRE(loaded.flow != nullptr);
  flowspec::CheckedInputs checked = flowspec::CheckInputs(loaded.flow->flow(), inputs);
  REQUIRE(checked.violations.empty());
  StartRequest request{.flow = loaded.flow,
                       .inputs_json = checked.json,
                       .sensitive = checked.sensitive,
                       .actor = "uid:1"};
  request.request_id = request_id;
  request.request_hash = request_hash;
  request.break_at = break_at;
  request.llm_answers = llm_answers;
  for (const auto& [path, source] : files) {
    request.files.push_back({path, flowspec::Sha256Hex(source)});
    request.sources.push_back({request.files.back().digest, path, source});
  }
  engine->StartRun(std::move(request), [this](absl::StatusOr<Started> started) {
    starts.push_back(std::move(started));
  });
}

run::RunId Bench::Run(const std::string& yaml, const std::string& inputs) {
  Begin(yaml, inputs);
  Settle();
  REQUIRE(starts.back().ok());
  return starts.back()->run;
}

void Bench::Settle() {
  for (int quiet = 0; quiet < 3;) {
    engine->WaitForEvaluations();
    engine->Step(absl::ZeroDuration());
    quiet = engine->StepWriter() ? 0 : quiet + 1;
  }
}

std::vector<run::Event> Bench::Log(const run::RunId& id) const {
  auto events = disk.Read(id, 0, 1 << 30);
  REQUIRE(events.ok());
  return *std::move(events);
}

std::vector<std::string> Bench::History(const run::RunId& id) const {
  std::vector<std::string> lines;
  for (const run::Event& event : Log(id)) lines.push_back(run::Describe(event));
  return lines;
}

std::string Bench::Output(const run::RunId& id, const std::string& path) const {
  std::string output;
  for (const run::Event& event : Log(id)) {
    if (run::FactPath(event.fact) != path) continue;
    if (const auto* attempt = std::get_if<run::AttemptFinished>(&event.fact)) {
      output = *Load(attempt->output, blobs);
    } else if (const auto* step = std::get_if<run::StepFinished>(&event.fact)) {
      output = *Load(step->output, blobs);
    }
  }
  return output;
}

}  // namespace beamline::engine
