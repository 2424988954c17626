// What all parts of the flow parser share: the flow so far, its findings, and typed reads of maps.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "flowspec/flow.h"
#include "flowspec/yaml.h"

namespace beamline::flowspec {

// Roots of expressions, as bits.
enum Root : uint32_t {
  kRootInputs = 1 << 0,
  kRootVars = 1 << 1,
  kRootEnv = 1 << 2,
  kRootRun = 1 << 3,
  kRootSteps = 1 << 4,
  kRootItem = 1 << 5,
  kRootIndex = 1 << 6,
  kRootMatrix = 1 << 7,
  kRootLoop = 1 << 8,
  kRootFeedback = 1 << 9,
  kRootTrigger = 1 << 10,
  kRootError = 1 << 11,
  kRootNow = 1 << 12,
  kRootOutput = 1 << 13,
};

// What the expressions at one place may see.
struct Scope {
  uint32_t roots = 0;
  std::vector<std::string> axes;                      // of the matrix around
  std::vector<std::string> as_names;                  // of the foreach around
  std::vector<std::pair<std::string, Template>> env;  // of the flow and the containers around
  Section section = Section::kMain;
  int32_t step = -1;     // the step that reads; -1 for the flow's own expressions
  bool inside = false;   // also sees the children of `step` (a container's `output` and `loop`)
  bool undoing = false;  // in `compensate`: also sees `step` itself
};

// A read of `steps.NAME.FIELD`, judged when all steps are known.
struct StepRead {
  Reference reference;
  Section section;
  int32_t step;
  bool inside;
  bool undoing;
};

// One entry of `needs` as written.
struct WrittenNeed {
  std::string id;
  When when;
  Span span;
};

// What a step says that Flow::Step does not keep.
struct StepNotes {
  bool has_needs = false;
  std::vector<WrittenNeed> needs;
  std::string rerun;  // approve.on_changes.rerun
  Span rerun_span;
};

// What a value may hold besides plain data and expressions.
struct Allow {
  bool secret = false;     // {secret: name}
  bool sensitive = false;  // a sensitive input as the whole value
};

class Reader {
 public:
  Reader(std::string_view source, Findings* findings);

  // Appends an error; the caller may fill in its label, help and fix.
  Finding& Error(const char* code, const Span& span, std::string message);
  Finding& Error(const char* code, const Node& node, std::string message);
  // "unknown WHAT `name`" with did-you-mean and its fix.
  Finding& Unknown(const char* code, const std::string& what, const std::string& name,
                   const Span& span, const std::vector<std::string>& candidates);
  Span SpanOf(const Node& node) const;
  // The node's kind against what was wanted (BL0103).
  void WrongType(const Node& node, const std::string& what, const char* wanted);

  // True for `[a-z][a-z0-9_]*` (ids), with '-' for slugs, or a shell variable; else BL0104.
  enum class NameRule { kId, kSlug, kVariable };
  bool CheckName(const Node& node, const char* what, NameRule rule);

  // A value with its expressions, at a place that sees `scope`.
  Template Value(const Node& node, const Scope& scope, Allow allow = {});
  // An expression-only key; -1 after a finding.
  ExprIndex Bare(const Node& node, const Scope& scope);

  std::string_view source;
  LineTable lines;
  Findings* findings;
  Flow flow;
  std::vector<StepNotes> notes;  // by step index
  std::vector<StepRead> reads;
  absl::flat_hash_map<std::string, int32_t> step_ids;
  // Names by root, known before the first expression is read.
  std::vector<std::string> input_names, var_names, env_names, secret_names;
  absl::flat_hash_set<std::string> sensitive_inputs, sensitive_env;
  std::vector<NodePtr> rewritten;  // keeps nodes alive that templates made

 private:
  void AppendValue(const Node& node, const Scope& scope, Allow allow, Template* out);
  void AppendText(const Node& node, const Scope& scope, Allow allow, Template* out);
  bool AppendSecret(const Node& node, Allow allow, Template* out);
  // Checks what the expressions from `first` on read, and notes their reads of steps.
  void CheckReads(size_t first, const Scope& scope);
  void CheckReference(const Reference& reference, const Scope& scope);
  void CheckKnown(const char* code, const char* what, const Reference& reference,
                  const std::vector<std::string>& names);
  // The sensitive input that expression `index` is, if it is nothing else; empty otherwise.
  std::string SensitiveName(const Template& value) const;

  size_t comparisons_left_ = 200'000;  // of names for did-you-mean: bounds hostile files
};

// Appends literal JSON text to a template, joined with the piece before.
void AppendLiteral(std::string_view json, Template* out);
void AppendTemplate(const Template& value, Template* out);

// Builds the JSON object of a step's body.
class ObjectTemplate {
 public:
  void Add(std::string_view key, const Template& value);
  void AddJson(std::string_view key, std::string_view json);
  Template Finish();

 private:
  Template out_;
  bool first_ = true;
};

// One map of the file, whose known keys are the catalogue's for `map`. Unknown ones are findings
// at construction; a node that is no map is one too, and then every read finds nothing.
class Fields {
 public:
  // `what` names the map in messages. With `open`, other keys are names that the user chose.
  Fields(Reader& reader, const Node& node, const char* map, std::string what, bool open = false);

  bool valid() const { return map_ != nullptr; }
  const Node* Get(const char* key) const;
  // As Get; a missing key is a finding (BL0102).
  const Node* Require(const char* key);
  // Typed reads; they leave `out` alone where the key is missing or its value is a finding.
  void Text(const char* key, std::string* out);
  void Bool(const char* key, bool* out);
  void Int(const char* key, int64_t min, int64_t max, int32_t* out);
  void Number(const char* key, double min, double max, double* out);
  void Duration(const char* key, absl::Duration* out);
  void TextList(const char* key, std::vector<std::string>* out);
  // The index of the value among `words`; `fallback` where the key is missing or wrong.
  int Word(const char* key, std::initializer_list<const char*> words, int fallback);
  // Exactly one of `keys` must stand (BL0109).
  void ExactlyOne(std::initializer_list<const char*> keys);

 private:
  Reader& reader_;
  const Node* map_ = nullptr;
  std::string what_;
};

// Those of `known` that `map` does not have yet: what a misspelt key can have meant.
std::vector<std::string> MissingKeys(const Node& map, const std::vector<std::string>& known);

// `1h30m`, `500ms`, `7d`; units ms s m h d, largest first. At most ten years.
std::optional<absl::Duration> ParseDuration(std::string_view text);

}  // namespace beamline::flowspec
