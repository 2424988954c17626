// What `beamline explain` knows: every finding code and every key of the flow format. The parser
// takes the known keys of each map from here, so that the two cannot drift apart.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace beamline::flowspec {

struct CodeEntry {
  const char* code;   // "BL0203"
  const char* title;  // one line
  const char* text;   // why it is a finding, and what to do
  const char* wrong;  // an excerpt of a flow
  const char* right;
};

// One key of one map. `map` is "flow" for the top level, "step" for what every step may have,
// "run step" for the keys that stand beside `run`, else the key that the map is the value of.
struct KeyEntry {
  const char* map;
  const char* key;
  const char* type;
  const char* fallback;  // the default in words; "" if there is none, "required" if it must stand
  const char* text;
  const char* example;
};

// What a failure is called: what `retry.match` and `steps.X.error.kind` see.
struct ErrorKindEntry {
  const char* kind;  // "timeout", "http:N"
  const char* text;
};

absl::Span<const CodeEntry> Codes();
absl::Span<const KeyEntry> Keys();
absl::Span<const ErrorKindEntry> ErrorKinds();

// Null if there is no such code.
const CodeEntry* FindCode(std::string_view code);
// The keys of `map`, in the order of the table; empty for an unknown map.
const std::vector<std::string>& KeysOf(std::string_view map);

// The text of `beamline explain TOPIC` for a code ("BL0203"), a key ("retry") or a key of a map
// ("retry.max"); empty for anything else.
std::string Explain(std::string_view topic);
// Every topic that Explain knows, sorted (completion, did-you-mean).
std::vector<std::string> ExplainTopics();

}  // namespace beamline::flowspec
