// Look-ups in the tables of codes and keys, and `beamline explain`.
#include "flowspec/catalogue.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace beamline::flowspec {
namespace {

std::string Indented(const std::string& text) {
  return absl::StrCat("    ", absl::StrReplaceAll(text, {{"\n", "\n    "}}), "\n");
}

// Greedy lines of at most 80 columns.
std::string Wrapped(const std::string& text) {
  std::string out;
  size_t column = 0;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (column > 0 && column + 1 + word.size() > 80) {
      out += '\n';
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    absl::StrAppend(&out, word);
    column += word.size();
  }
  return out + "\n";
}

std::string ExplainCode(const CodeEntry& entry) {
  return absl::StrCat(entry.code, ": ", entry.title, "\n\n", Wrapped(entry.text), "\nwrong:\n\n",
                      Indented(entry.wrong), "\nright:\n\n", Indented(entry.right));
}

// The map's name as people meet it.
std::string MapTitle(const std::string& map) {
  if (map == "flow") return "at the top level of a flow";
  if (map == "step") return "in a step";
  if (map == "run step") return "in a step, beside `run`";
  if (map == "flow step") return "below `flow` in a step";
  return absl::StrCat("below `", map, "`");
}

std::string TopicOf(const KeyEntry& entry) {
  const std::string map = entry.map;
  if (map == "flow" || map == "step" || map == "run step") return entry.key;
  return absl::StrCat(map == "flow step" ? "flow" : entry.map, ".", entry.key);
}

std::string ExplainKey(const KeyEntry& entry) {
  std::string out = absl::StrCat(TopicOf(entry), "  (", MapTitle(entry.map), ")\n\n",
                                 Wrapped(entry.text), "\n    type:     ", entry.type, "\n");
  const std::string fallback = entry.fallback;
  if (fallback == "required") {
    absl::StrAppend(&out, "    required\n");
  } else if (!fallback.empty()) {
    absl::StrAppend(&out, "    default:  ", fallback, "\n");
  }
  absl::StrAppend(&out, "\n", Indented(entry.example));
  const std::vector<std::string>& below = KeysOf(entry.key);
  if (!below.empty() && std::string_view(entry.map) != "needs") {
    std::string names;
    for (const std::string& key : below) absl::StrAppend(&names, names.empty() ? "" : " ", key);
    absl::StrAppend(&out, "\n", Wrapped(absl::StrCat("Keys below it: ", names)));
  }
  return out;
}

}  // namespace

const CodeEntry* FindCode(std::string_view code) {
  for (const CodeEntry& entry : Codes()) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

const std::vector<std::string>& KeysOf(std::string_view map) {
  using KeysByMap = std::map<std::string, std::vector<std::string>, std::less<>>;
  static const KeysByMap& keys = *[] {
    auto* table = new KeysByMap;
    for (const KeyEntry& entry : Keys()) (*table)[entry.map].push_back(entry.key);
    const std::vector<std::string> llm = (*table)["llm"];  // an agent is an llm with tools
    std::vector<std::string>& agent = (*table)["agent"];
    agent.insert(agent.begin(), llm.begin(), llm.end());
    return table;
  }();
  static const auto& none = *new std::vector<std::string>;
  const auto found = keys.find(map);
  return found == keys.end() ? none : found->second;
}

std::string Explain(std::string_view topic) {
  const std::string upper = absl::AsciiStrToUpper(std::string(topic));
  if (const CodeEntry* code = FindCode(upper)) return ExplainCode(*code);
  std::string out;
  for (const KeyEntry& entry : Keys()) {
    if (TopicOf(entry) != topic && entry.key != topic) continue;
    absl::StrAppend(&out, out.empty() ? "" : "\n", ExplainKey(entry));
  }
  return out;
}

std::vector<std::string> ExplainTopics() {
  std::set<std::string> topics;
  for (const CodeEntry& entry : Codes()) topics.insert(entry.code);
  for (const KeyEntry& entry : Keys()) {
    topics.insert(TopicOf(entry));
    topics.insert(entry.key);
  }
  return {topics.begin(), topics.end()};
}

}  // namespace beamline::flowspec
