// Whoever carries out attempts: processes, HTTP, models, workers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "daemon/run/command.h"
#include "daemon/run/id.h"
#include "flowspec/flow.h"

namespace beamline::ports {

// Names of secrets in Attempt::sensitive have it; those of sensitive inputs have not.
inline constexpr char kSecretPrefix[] = "secret:";

// The files that an earlier step made, as later ones get to see them below $BEAMLINE_IN.
struct ArtifactTree {
  struct File {
    std::string place;  // below the step's directory, safe as a path: "gcc-release/bin"
    std::string sha256;
    uint64_t bytes = 0;
    friend bool operator==(const File&, const File&) = default;
  };
  std::string step;         // its id: the name of its directory
  std::string path;         // its place in the run
  std::vector<File> files;  // no two at one place
  size_t left_out = 0;      // > 0: so many that none of them is shown
  friend bool operator==(const ArtifactTree&, const ArtifactTree&) = default;
};

// One attempt, complete: an executor asks nothing back.
struct Attempt {
  run::RunId run;
  std::string tenant, flow_name;
  std::string path;     // "enrich[17]/load"
  std::string step_id;  // "load"
  flowspec::StepKind kind = flowspec::StepKind::kRun;
  flowspec::Effect effect =
      flowspec::Effect::kIdempotent;  // what may be done if its end is unknown
  int32_t attempt = 1;
  std::string input;  // JSON text of the resolved body (flowspec::Step::input) plus
                      // "artifacts": {name: {"path": …, "report": …}} where the step has some
  std::string idempotency_key;
  std::string trace_id;
  std::string workspace;                              // absolute; relative `dir` starts here
  absl::Duration timeout = absl::InfiniteDuration();  // from the moment it really starts
  // What {"sensitive": name} and {"secret": name} in `input` stand for: name → value (JSON text).
  std::vector<std::pair<std::string, std::string>> sensitive;
  std::string llm_answers;  // JSON of exec/llm_recorded.h in place of models; empty: none
  std::vector<flowspec::Secret> secrets;  // that the flow declares: where each value comes from
  // What the step can read of earlier ones, one tree for each that made something (kind `run`).
  std::vector<std::shared_ptr<const ArtifactTree>> inputs;
};

// Thread-safe. Returns at once; results come through `done`.
class Executor {
 public:
  virtual ~Executor() = default;
  // Carries `attempt` out. `done` is called exactly once, on a thread of the executor; everything
  // the attempt printed has been given to the OutputSink before.
  virtual void Start(Attempt attempt, std::function<void(run::ReportAttempt)> done) = 0;
  // Asks a started attempt to end: gently, and after the grace period by force; at once with
  // `force`. Unknown attempts are ignored (they have ended).
  virtual void Stop(const run::RunId& run, const std::string& path, int32_t attempt,
                    run::StopReason reason, bool force) = 0;
};

}  // namespace beamline::ports
