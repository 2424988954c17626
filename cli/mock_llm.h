// `--mock-llm`: answers in place of models, of a file or of an earlier run.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/client.h"

namespace beamline::cli {

// `word` is a file of recorded answers, or else the name of a run whose `llm` steps are answered as
// they were then. JSON as of StartRunRequest.llm_answers. NotFound, InvalidArgument; errors of
// calls.
absl::StatusOr<std::string> RecordedAnswers(Client& client, const std::string& word);

}  // namespace beamline::cli
