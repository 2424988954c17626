// A question to a language model and its answer, whoever the provider is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "daemon/run/event.h"

namespace beamline::exec {

struct LlmMessage {
  enum class Role { kUser, kAssistant } role = Role::kUser;
  std::string text;
};

struct LlmRequest {
  std::string model;   // as the provider names it
  std::string system;  // may be empty
  std::vector<LlmMessage> messages;
  std::string schema;  // JSON Schema of the answer, handed to the provider; empty: none
  std::optional<int64_t> max_tokens;
  std::string temperature;  // as JSON has it; empty: the model's own
};

// Why there is no answer that can be used. `kind` is one of flowspec::ErrorKinds.
struct LlmProblem {
  std::string kind;  // empty: there is none
  std::string message;
  absl::Duration retry_after = absl::ZeroDuration();
};

// An answer as it streams in: a fold over the provider's events.
struct LlmAnswer {
  std::string text;
  // Why the model stopped, in the provider's words; empty while it has not.
  std::string stop;
  bool whole = false;  // the provider said that this was all
  LlmProblem problem;  // the provider broke off, or the stop is none that leaves an answer
  run::Usage usage;    // all but `provider` and `requests`
};

}  // namespace beamline::exec
