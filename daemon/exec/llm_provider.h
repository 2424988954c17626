// Who answers `llm` steps, as the daemon's configuration says.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace beamline::exec {

// US dollars per million tokens. Without prices for caches, their tokens cost as any input.
struct LlmPrice {
  double input = 0, output = 0;
  std::optional<double> cache_read, cache_write;
};

// What a model can do. As configured, only what differs from what the provider's kind suggests.
struct LlmTraits {
  std::string model;                // a `*` at the end stands for any ending
  std::optional<bool> temperature;  // takes the parameter
  std::optional<bool> schema;       // takes a JSON Schema of its answer; else it is told in words
  std::optional<LlmPrice> price;
};

struct LlmProvider {
  std::string name;
  // kOpenAi and kAnthropic name a wire format; kRecorded answers from a file (llm_recorded.h).
  enum class Kind { kOpenAi, kAnthropic, kRecorded } kind = Kind::kOpenAi;
  std::string base_url;  // without a slash at the end
  // Where the key comes from: a variable or a file of the daemon. Both empty: there is none.
  std::string key_env, key_file;
  std::string file;               // of kRecorded
  std::vector<LlmTraits> models;  // the first that fits counts
};

struct LlmProviders {
  std::map<std::string, LlmProvider> by_name;
  std::map<std::string, std::string> routes;  // name → "provider/model"
};

// What `model` of `provider` can do, every field set: as configured, else OpenAI's reasoning models
// take no temperature, and only the OpenAI format is trusted to take any JSON Schema (Anthropic's
// demands `additionalProperties: false` on every object).
LlmTraits TraitsOf(const LlmProvider& provider, const std::string& model);

}  // namespace beamline::exec
