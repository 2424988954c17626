// From an attempt's recorded input to the question that is asked.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/exec/llm_model.h"
#include "daemon/exec/llm_provider.h"
#include "daemon/ports/executor.h"

namespace beamline::exec {

struct LlmStep {
  const LlmProvider* provider = nullptr;
  LlmRequest request;
  std::string schema;  // what the answer must look like; empty: any text will do
  int repair = 0;      // times that a bad answer is sent back
};

struct FoundModel {
  const LlmProvider* provider = nullptr;
  std::string model;  // as the provider calls it
};

// The model at `route`, or `model` ("provider/model") itself, of which one is empty. `providers`
// must outlive the result. NotFound: there is no such route or provider; InvalidArgument: no model.
absl::StatusOr<FoundModel> FindModel(const LlmProviders& providers, const std::string& route,
                                     const std::string& model);

// Reads Attempt::input, the body of an `llm` step. `providers` must outlive the result.
// Errors: NotFound, there is no such route or provider; Unimplemented, the model cannot do what the
// step asks for; InvalidArgument, anything else. Each for the author of the flow.
absl::StatusOr<LlmStep> ReadLlmStep(const ports::Attempt& attempt, const LlmProviders& providers);

// The answer as the step's output (JSON text): the text itself, or with a schema the JSON value in
// it, which may stand in a Markdown code fence. `problems` says what is wrong with it, and the
// result is empty then.
std::string OutputOfAnswer(const LlmStep& step, const std::string& text,
                           std::vector<std::string>* problems);

// Appends the bad answer and what is wrong with it, so that the model can mend it.
void AskToMend(const std::string& answer, const std::vector<std::string>& problems,
               LlmRequest* request);

}  // namespace beamline::exec
