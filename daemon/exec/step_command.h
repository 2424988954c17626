// From an attempt's recorded input to the process that carries it out.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/exec/artifacts.h"
#include "daemon/exec/supervisor_wire.h"
#include "daemon/ports/executor.h"

namespace beamline::exec {

enum class Capture { kNone, kText, kLines, kJson };

struct StepCommand {
  SpawnRequest spawn;
  std::optional<std::string> stdin_text;  // absent: /dev/null
  Capture capture = Capture::kNone;
  std::vector<ArtifactRule> artifacts;
};

using Variables = std::vector<std::pair<std::string, std::string>>;

// The part of `environment` (as of environ(7)) that steps get to see: PATH, HOME, USER, LOGNAME,
// SHELL, LANG, LC_*, TZ and TMPDIR; and TERM=dumb.
Variables BaseEnvironment(char** environment);

// "<run>/<path>/<n>": the attempt as $BEAMLINE_ATTEMPT and the supervisor name it.
std::string AttemptName(const ports::Attempt& attempt);

// W3C trace context: the attempt is the parent, its span id a hash of its name (FNV-1a).
// REQUIRES: Attempt::trace_id has its 32 digits.
std::string TraceParent(const ports::Attempt& attempt);

// $BEAMLINE_IN of the attempt whose $BEAMLINE_OUTPUT this is.
std::string InputsPath(absl::string_view output_path);

// The texts that must not be shown: the values of Attempt::sensitive, and every text inside them.
std::vector<std::string> SecretTexts(const ports::Attempt& attempt);

// Reads Attempt::input. The environment is `base`, then the step's `env` (null unsets; objects and
// arrays as JSON text), then BEAMLINE_RUN_ID, _FLOW, _STEP, _ATTEMPT, _IDEMPOTENCY_KEY, _TRACE_ID,
// _OUTPUT (= `output_path`), _IN (InputsPath of it) and TRACEPARENT, which a step cannot override.
// {"sensitive": name} and
// {"secret": name} are replaced by that value of Attempt::sensitive where they are the whole of an
// env value, an argument or `stdin`; deeper they stay as they are, because data of strangers may
// look like them. The text form runs as `<shell> -c <text>`, `shell` split at blanks.
// Errors: InvalidArgument with a message for the author of the flow. argv and environment together
// are held to 1 MiB, one string to 128 KiB (MAX_ARG_STRLEN).
absl::StatusOr<StepCommand> ReadStepCommand(const ports::Attempt& attempt, const Variables& base,
                                            absl::string_view output_path);

}  // namespace beamline::exec
