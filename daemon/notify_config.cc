// Every key that is not known is an error, with its place.
#include "daemon/notify_config.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "daemon/exec/http_url.h"
#include "flowspec/reader.h"

namespace beamline::daemon {
namespace {

using flowspec::Node;
using notify::Rule;
using Problem = std::optional<ConfigProblem>;

constexpr size_t kSinksMax = 32, kNameBytesMax = 64, kListMax = 1000;
constexpr absl::Duration kTimeoutMax = absl::Minutes(10);

Problem At(const Node& node, std::string what) { return ConfigProblem{&node, std::move(what)}; }

bool IsText(const Node& node) { return node.is_scalar() && !node.text.empty(); }

// The texts of `value`, a list of them or, with `one`, a single one.
Problem ReadTexts(const Node& key, const Node& value, bool one, std::vector<std::string>* texts) {
  if (one && IsText(value)) {
    texts->push_back(value.text);
    return std::nullopt;
  }
  if (!value.is_list() || value.items.empty() || value.items.size() > kListMax) {
    return At(key, absl::StrCat(key.text, " is a list of texts"));
  }
  for (const flowspec::NodePtr& item : value.items) {
    if (!IsText(*item)) return At(*item, absl::StrCat(key.text, " is a list of texts"));
    texts->push_back(item->text);
  }
  return std::nullopt;
}

Problem ReadName(const Node& value, Rule* rule) {
  const auto fits = [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_' || c == '.';
  };
  if (!IsText(value) || value.text.size() > kNameBytesMax ||
      !std::all_of(value.text.begin(), value.text.end(), fits)) {
    return At(value, "a name has a-z, 0-9, . _ - and at most 64 of them");
  }
  rule->name = value.text;
  return std::nullopt;
}

Problem ReadKinds(const Node& key, const Node& value, Rule* rule) {
  std::vector<std::string> names;
  if (Problem problem = ReadTexts(key, value, /*one=*/true, &names)) return problem;
  for (const std::string& name : names) {
    const std::optional<notify::Kind> kind = notify::FindKind(name);
    if (!kind) {
      return At(value, absl::StrCat("nothing is called `", name, "`; there are ",
                                    absl::StrJoin(notify::KindNames(), ", ")));
    }
    rule->kinds.push_back(*kind);
  }
  return std::nullopt;
}

Problem ReadLabels(const Node& key, const Node& value, Rule* rule) {
  if (!value.is_map()) return At(key, "labels are a map, as in {team: red}");
  for (const auto& [name, label] : value.entries) {
    if (!label->is_scalar()) return At(*label, "a label is a text");
    rule->labels.emplace_back(name->text, label->text);
  }
  return std::nullopt;
}

Problem ReadDuration(const Node& key, const Node& value, absl::Duration most,
                     absl::Duration* duration) {
  const auto read = value.is_scalar() ? flowspec::ParseDuration(value.text) : std::nullopt;
  if (!read || *read <= absl::ZeroDuration()) {
    return At(value, absl::StrCat(key.text, " is a duration as in 30s, 5m or 1h30m"));
  }
  if (*read > most) {
    return At(value, absl::StrCat(key.text, " is at most ", absl::FormatDuration(most)));
  }
  *duration = *read;
  return std::nullopt;
}

// {env: NAME} or {file: PATH}.
Problem ReadSource(const Node& key, const Node& value, notify::Text* text) {
  const bool one = value.is_map() && value.entries.size() == 1;
  const std::string source = one ? value.entries.front().first->text : "";
  if ((source != "env" && source != "file") || !IsText(*value.entries.front().second)) {
    return At(key, absl::StrCat(key.text, " is {env: NAME} or {file: PATH}"));
  }
  const Node& place = *value.entries.front().second;
  if (source == "file" && !absl::StartsWith(place.text, "/")) {
    return At(place, "file is a path from the root, as in /etc/beamline/key");
  }
  (source == "env" ? text->env : text->file) = place.text;
  return std::nullopt;
}

Problem ReadHeaders(const Node& key, const Node& value, Rule* rule) {
  static const char* const kOurs[] = {"content-type",   "content-length",    "host",
                                      "webhook-id",     "webhook-timestamp", "webhook-signature",
                                      "idempotency-key"};
  if (!value.is_map()) return At(key, "headers are a map, as in {authorization: {env: TOKEN}}");
  for (const auto& [name, content] : value.entries) {
    const std::string lower = absl::AsciiStrToLower(name->text);
    const auto fits = [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; };
    if (lower.empty() || !std::all_of(lower.begin(), lower.end(), fits)) {
      return At(*name, "the name of a header has letters, digits, - and _");
    }
    if (std::find(std::begin(kOurs), std::end(kOurs), lower) != std::end(kOurs)) {
      return At(*name, absl::StrCat("the header ", lower, " is set by the daemon"));
    }
    notify::Text text{.plain = content->text};
    if (content->is_scalar() &&
        !std::all_of(text.plain.begin(), text.plain.end(), absl::ascii_isprint)) {
      return At(*content, "the value of a header is printable ASCII");
    }
    if (!content->is_scalar()) {
      text.plain.clear();
      if (Problem problem = ReadSource(*name, *content, &text)) return problem;
    }
    rule->headers.emplace_back(name->text, std::move(text));
  }
  return std::nullopt;
}

Problem ReadWebhook(const Node& node, const Node& value, Rule* rule) {
  if (!value.is_map()) return At(node, "webhook is a map: url, headers, secret");
  for (const auto& [key, content] : value.entries) {
    Problem problem;
    if (key->text == "url") {
      const auto url = exec::ParseHttpUrl(content->text);
      if (!url.ok()) return At(*content, absl::StrCat("url: ", url.status().message()));
      rule->url = url->text;
    } else if (key->text == "headers") {
      problem = ReadHeaders(*key, *content, rule);
    } else if (key->text == "secret") {
      problem = ReadSource(*key, *content, &rule->secret.emplace());
    } else {
      problem = At(*key, absl::StrCat("unknown key `", key->text, "`: url, headers or secret"));
    }
    if (problem) return problem;
  }
  if (rule->url.empty()) return At(node, "url is missing");
  return std::nullopt;
}

Problem ReadKey(const Node& key, const Node& value, Rule* rule) {
  if (key.text == "name") return ReadName(value, rule);
  if (key.text == "on") return ReadKinds(key, value, rule);
  if (key.text == "flow") return ReadTexts(key, value, /*one=*/true, &rule->flows);
  if (key.text == "labels") return ReadLabels(key, value, rule);
  if (key.text == "command") return ReadTexts(key, value, /*one=*/false, &rule->command);
  if (key.text == "webhook") return ReadWebhook(key, value, rule);
  if (key.text == "timeout") return ReadDuration(key, value, kTimeoutMax, &rule->timeout);
  if (key.text == "give_up_after") {
    return ReadDuration(key, value, absl::InfiniteDuration(), &rule->give_up_after);
  }
  return At(key, absl::StrCat("unknown key `", key.text,
                              "`: name, on, flow, labels, command, webhook, timeout or "
                              "give_up_after"));
}

}  // namespace

Problem ReadNotify(const Node& node, std::vector<Rule>* rules) {
  if (!node.is_list()) return At(node, "notify is a list of {name, on, webhook or command}");
  if (node.items.size() > kSinksMax) return At(node, absl::StrCat("at most ", kSinksMax, " sinks"));
  for (const flowspec::NodePtr& item : node.items) {
    Rule rule;
    if (!item->is_map())
      return At(*item, "as in {name: chat, on: [run_failed], webhook: {url: …}}");
    for (const auto& [key, value] : item->entries) {
      if (Problem problem = ReadKey(*key, *value, &rule)) return problem;
    }
    if (rule.name.empty())
      return At(*item, "name is missing: the place in the log is kept under it");
    if (rule.kinds.empty()) return At(*item, "on is missing: a list as in [run_failed]");
    if (rule.command.empty() == rule.url.empty()) {
      return At(*item, absl::StrCat(rule.name, ": one of command and webhook is to be given"));
    }
    for (const Rule& other : *rules) {
      if (other.name == rule.name) return At(*item, absl::StrCat("two are named ", rule.name));
    }
    rules->push_back(std::move(rule));
  }
  return std::nullopt;
}

}  // namespace beamline::daemon
