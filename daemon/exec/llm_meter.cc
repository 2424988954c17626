// Prices are those of the daemon's configuration.
#include "daemon/exec/llm_meter.h"

#include <algorithm>
#include <cmath>

#include "daemon/exec/llm_step.h"

namespace beamline::exec {
namespace {

constexpr int64_t kBytesPerToken = 2;

// Billionths of a dollar for so many tokens at so many dollars a million of them.
double Nanos(int64_t tokens, double usd_per_million) {
  return static_cast<double>(tokens) * usd_per_million * 1e3;
}

}  // namespace

std::optional<LlmPrice> PriceOf(const LlmProvider& provider, const std::string& model) {
  if (provider.kind == LlmProvider::Kind::kRecorded) return LlmPrice();
  return TraitsOf(provider, model).price;
}

int64_t NanoUsd(const LlmPrice& price, const run::Usage& usage) {
  const int64_t cached = usage.cache_read_tokens + usage.cache_write_tokens;
  const int64_t fresh = std::max<int64_t>(0, usage.input_tokens - cached);
  return static_cast<int64_t>(
      std::ceil(Nanos(fresh, price.input) +
                Nanos(usage.cache_read_tokens, price.cache_read.value_or(price.input)) +
                Nanos(usage.cache_write_tokens, price.cache_write.value_or(price.input)) +
                Nanos(usage.output_tokens, price.output)));
}

ports::Estimate LlmMeter::MostOf(std::string_view body) const {
  ports::Attempt attempt;
  attempt.input = std::string(body);
  const absl::StatusOr<LlmStep> step = ReadLlmStep(attempt, providers_);
  if (!step.ok()) return {};
  const LlmRequest& request = step->request;
  int64_t bytes = static_cast<int64_t>(request.system.size() + request.schema.size());
  for (const LlmMessage& message : request.messages) {
    bytes += static_cast<int64_t>(message.text.size());
  }
  // Each repair sends the question again, with the answers so far.
  const int64_t answer = request.max_tokens.value_or(ports::kBudgetedTokensMax);
  const int64_t rounds = step->schema.empty() ? 1 : step->repair + 1;
  run::Usage most;
  most.input_tokens = rounds * (bytes / kBytesPerToken + 1) + answer * rounds * (rounds - 1) / 2;
  most.output_tokens = rounds * answer;
  ports::Estimate estimate{{most.input_tokens + most.output_tokens, 0}, ""};
  if (const auto price = PriceOf(*step->provider, request.model)) {
    estimate.most.nano_usd = NanoUsd(*price, most);
  } else {
    estimate.unpriced = step->provider->name + "/" + request.model;
  }
  return estimate;
}

}  // namespace beamline::exec
