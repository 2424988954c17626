// Tokens and money of `llm` steps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/exec/llm_provider.h"
#include "daemon/ports/meter.h"
#include "daemon/run/event.h"

namespace beamline::exec {

// The price that `model` of `provider` has; nullopt: none is configured. Recorded answers are free.
std::optional<LlmPrice> PriceOf(const LlmProvider& provider, const std::string& model);

// What was consumed, in billionths of a US dollar, rounded up.
int64_t NanoUsd(const LlmPrice& price, const run::Usage& usage);

// Before a question is asked, its tokens are not known: a token has at least two bytes of text, as
// far as budgets are concerned, and an answer is as long as `max_tokens` allows.
class LlmMeter : public ports::Meter {
 public:
  explicit LlmMeter(LlmProviders providers) : providers_(std::move(providers)) {}
  ports::Estimate MostOf(std::string_view body) const override;

 private:
  const LlmProviders providers_;
};

}  // namespace beamline::exec
