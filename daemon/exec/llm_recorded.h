// Answers out of a file in place of a model: flows with `llm` steps in tests, for free and the same
// each time.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "daemon/exec/llm_model.h"

namespace beamline::exec {

// The text of a file of recorded answers. FailedPrecondition: it cannot be read.
absl::StatusOr<std::string> ReadRecording(const std::string& file);

// The answer number `round` (0 = the first, more where answers are mended) to attempt `attempt` at
// the step `path`, from the text
//   {"responses": {"draft/write": [ENTRY, …], …}}
// with one entry for each attempt; the last one stands for all that follow. An entry is a text,
// {"text": …} or {"json": …}, with "usage": {"input_tokens": …, "output_tokens": …} if it likes,
// {"error": {"kind": …, "message": …}}, or a list of these, one for each round. Items of a foreach
// are looked up as "each[3]", then as "each".
// `source` says in messages where the text is from.
// Errors: NotFound, there is no such answer; FailedPrecondition, the text is not of this form.
absl::StatusOr<LlmAnswer> RecordedAnswer(const std::string& text, const std::string& source,
                                         const std::string& path, int attempt, int round);

}  // namespace beamline::exec
