// Every key that is not known is an error, with its place.
#include "daemon/model_config.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace beamline::daemon {
namespace {

using exec::LlmProvider;
using flowspec::Node;
using Problem = std::optional<ConfigProblem>;

Problem At(const Node& node, std::string what) { return ConfigProblem{&node, std::move(what)}; }

Problem ReadText(const Node& key, const Node& value, std::string* text) {
  if (!value.is_scalar() || value.text.empty())
    return At(key, absl::StrCat(key.text, " is a text"));
  *text = value.text;
  return std::nullopt;
}

// The daemon may have been started anywhere.
Problem ReadPath(const Node& key, const Node& value, std::string* path) {
  if (Problem problem = ReadText(key, value, path)) return problem;
  if (absl::StartsWith(*path, "/")) return std::nullopt;
  return At(value, absl::StrCat(key.text, " is a path from the root, as in /etc/beamline/key"));
}

Problem ReadKind(const Node& value, LlmProvider* provider) {
  static const std::pair<const char*, LlmProvider::Kind> kKinds[] = {
      {"openai", LlmProvider::Kind::kOpenAi},
      {"anthropic", LlmProvider::Kind::kAnthropic},
      {"recorded", LlmProvider::Kind::kRecorded}};
  for (const auto& [word, kind] : kKinds) {
    if (!value.is_scalar() || value.text != word) continue;
    provider->kind = kind;
    return std::nullopt;
  }
  return At(value, "kind is openai, anthropic or recorded");
}

Problem ReadKey(const Node& node, LlmProvider* provider) {
  const bool one = node.is_map() && node.entries.size() == 1;
  const std::string source = one ? node.entries.front().first->text : "";
  if (source != "env" && source != "file") {
    return At(node, "key is {env: NAME} or {file: PATH}; the key itself does not belong here");
  }
  const auto& [key, value] = node.entries.front();
  return source == "env" ? ReadText(*key, *value, &provider->key_env)
                         : ReadPath(*key, *value, &provider->key_file);
}

// US dollars per million tokens; nobody has asked for more than a million of them yet.
Problem ReadPrice(const Node& node, std::optional<exec::LlmPrice>* price) {
  constexpr double kDollarsMax = 1e6;
  exec::LlmPrice read;
  bool input = false, output = false;
  for (const auto& [key, value] : node.entries) {
    double usd = 0;
    if (!value->is_scalar() || !absl::SimpleAtod(value->text, &usd) || !(usd >= 0) ||
        usd > kDollarsMax) {
      return At(*value, "a price is in US dollars per million tokens");
    }
    if (key->text == "input") {
      read.input = usd;
      input = true;
    } else if (key->text == "output") {
      read.output = usd;
      output = true;
    } else if (key->text == "cache_read") {
      read.cache_read = usd;
    } else if (key->text == "cache_write") {
      read.cache_write = usd;
    } else {
      return At(*key, absl::StrCat("unknown price `", key->text,
                                   "`: input, output, cache_read or cache_write"));
    }
  }
  if (!input || !output)
    return At(node, "a price has input and output, as in {input: 3, output: 15}");
  *price = read;
  return std::nullopt;
}

Problem ReadModels(const Node& node, LlmProvider* provider) {
  if (!node.is_map()) return At(node, "models maps names of models to what they can do");
  for (const auto& [name, traits] : node.entries) {
    exec::LlmTraits model{.model = name->text};
    if (!traits->is_map()) return At(*traits, "as in {temperature: false, schema: true}");
    for (const auto& [key, value] : traits->entries) {
      if (key->text == "price") {
        if (Problem problem = ReadPrice(*value, &model.price)) return problem;
        continue;
      }
      if (key->text != "temperature" && key->text != "schema") {
        return At(*key,
                  absl::StrCat("unknown trait `", key->text, "`: temperature, schema or price"));
      }
      if (!value->is_scalar() || (value->text != "true" && value->text != "false")) {
        return At(*key, absl::StrCat(key->text, " is true or false"));
      }
      (key->text == "schema" ? model.schema : model.temperature) = value->text == "true";
    }
    provider->models.push_back(std::move(model));
  }
  return std::nullopt;
}

Problem ReadProvider(const Node& node, LlmProvider* provider) {
  if (!node.is_map()) return At(node, "a provider is a map: kind, base_url, key, models");
  const Node* kind = node.Find("kind");
  if (kind == nullptr) return At(node, "kind is missing: openai, anthropic or recorded");
  if (Problem problem = ReadKind(*kind, provider)) return problem;
  for (const auto& [key, value] : node.entries) {
    Problem problem;
    if (key->text == "base_url") {
      problem = ReadText(*key, *value, &provider->base_url);
    } else if (key->text == "key") {
      problem = ReadKey(*value, provider);
    } else if (key->text == "models") {
      problem = ReadModels(*value, provider);
    } else if (key->text == "file") {
      problem = ReadPath(*key, *value, &provider->file);
    } else if (key->text != "kind") {
      problem = At(
          *key, absl::StrCat("unknown key `", key->text, "`: kind, base_url, key, models or file"));
    }
    if (problem) return problem;
  }
  const bool recorded = provider->kind == LlmProvider::Kind::kRecorded;
  if (recorded == provider->file.empty()) {
    return At(node, "file belongs to kind recorded, and only to it");
  }
  if (provider->base_url.empty()) {
    provider->base_url = provider->kind == LlmProvider::Kind::kAnthropic
                             ? "https://api.anthropic.com"
                             : "https://api.openai.com/v1";
  }
  if (!absl::StartsWith(provider->base_url, "https://") &&
      !absl::StartsWith(provider->base_url, "http://")) {
    return At(*node.Find("base_url"), "base_url begins with https:// or http://");
  }
  provider->base_url = std::string(absl::StripSuffix(provider->base_url, "/"));
  return std::nullopt;
}

}  // namespace

std::optional<ConfigProblem> ReadProviders(const Node& node, exec::LlmProviders* models) {
  if (!node.is_map()) return At(node, "providers maps names to providers");
  for (const auto& [name, value] : node.entries) {
    LlmProvider provider{.name = name->text};
    if (name->text.empty() || absl::StrContains(name->text, '/')) {
      return At(*name, "the name of a provider has no slash");
    }
    if (Problem problem = ReadProvider(*value, &provider)) return problem;
    models->by_name.emplace(name->text, std::move(provider));
  }
  return std::nullopt;
}

std::optional<ConfigProblem> ReadRoutes(const Node& node, exec::LlmProviders* models) {
  if (!node.is_map()) return At(node, "routes maps names to provider/model");
  for (const auto& [name, value] : node.entries) {
    if (!value->is_scalar() || !absl::StrContains(value->text, '/')) {
      return At(*name, "a route is provider/model");
    }
    models->routes.emplace(name->text, value->text);
  }
  return std::nullopt;
}

}  // namespace beamline::daemon
