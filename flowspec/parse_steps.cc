// One step at a time: its id, its kind, what it needs, and then its keys.
#include "flowspec/parse_steps.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "flowspec/catalogue.h"
#include "flowspec/step_kinds.h"

namespace beamline::flowspec {
namespace {

bool Contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::vector<std::string> KindNames() {
  std::vector<std::string> names;
  for (int kind = 0; kind <= static_cast<int>(StepKind::kFail); ++kind) {
    names.push_back(KindName(static_cast<StepKind>(kind)));
  }
  return names;
}

// Adds an edge's text form `id` or map form {step, when}.
void ReadNeed(Reader& reader, const Node& item, StepNotes* notes) {
  WrittenNeed need{.when = When::kSuccess, .span = reader.SpanOf(item)};
  if (item.is_map()) {
    Fields fields(reader, item, "needs", "an entry of `needs`");
    static constexpr When kWhens[] = {When::kSuccess, When::kFailure, When::kDone};
    need.when = kWhens[fields.Word("when", {"success", "failure", "done"}, 0)];
    const Node* step = fields.Require("step");
    if (step == nullptr) return;
    fields.Text("step", &need.id);
    need.span = reader.SpanOf(*step);
  } else if (item.is_scalar() && item.kind != Node::Kind::kNull) {
    need.id = item.text;
  } else {
    reader.WrongType(item, "an entry of `needs`", "a step's id or {step, when}");
    return;
  }
  if (!need.id.empty()) notes->needs.push_back(std::move(need));
}

}  // namespace

std::vector<int32_t> StepParser::ParseList(const Node& list, const char* what, int32_t parent,
                                           const Scope& around) {
  std::vector<int32_t> indices;
  if (!list.is_list()) {
    reader_.WrongType(list, absl::StrCat("`", what, "`"), "a list of steps");
    return indices;
  }
  if (list.items.empty()) {
    reader_.Error("BL0111", list, absl::StrCat("`", what, "` has no steps"));
  }
  for (const NodePtr& item : list.items) {
    const int32_t index = ParseStep(*item, parent, around);
    if (index >= 0) indices.push_back(index);
  }
  return indices;
}

int32_t StepParser::ParseStep(const Node& written, int32_t parent, const Scope& around) {
  if (!written.is_map()) {
    reader_.WrongType(written, "a step", "a map");
    return -1;
  }
  const Node& node = templates_.Expand(written);
  if (templates_.exhausted()) return -1;
  const auto index = static_cast<int32_t>(reader_.flow.steps.size());
  Step& step = reader_.flow.steps.emplace_back();
  step.parent = parent;
  step.section = around.section;
  StepNotes& notes = reader_.notes.emplace_back();
  Fields fields(reader_, node, "step", "the step", /*open=*/true);
  ReadId(fields, index);
  if (const Node* needs = node.Find("needs")) ReadNeeds(*needs, &notes);
  Scope before = around;
  before.step = index;
  before.inside = before.undoing = false;
  FillStep(index, node, std::move(before));
  return index;
}

void StepParser::ReadId(Fields& fields, int32_t index) {
  const Node* id = fields.Require("id");
  if (id == nullptr) return;
  Step& step = reader_.flow.steps[index];
  step.span = reader_.SpanOf(*id);
  if (!reader_.CheckName(*id, "step id", Reader::NameRule::kId)) {
    reader_.step_ids.try_emplace(id->text, index);  // what refers to it is not wrong as well
    return;
  }
  const auto [it, fresh] = reader_.step_ids.try_emplace(id->text, index);
  if (!fresh) {
    Finding& finding =
        reader_.Error("BL0105", *id, absl::StrCat("step id `", id->text, "` is taken"));
    finding.label = absl::StrCat("first used on line ", reader_.flow.steps[it->second].span.line);
    finding.help = "ids are unique in the whole flow, children included";
  }
  step.id = step.name = id->text;
}

void StepParser::ReadNeeds(const Node& needs, StepNotes* notes) {
  if (!needs.is_list()) {
    reader_.WrongType(needs, "`needs`", "a list");
    return;
  }
  notes->has_needs = true;
  for (const NodePtr& item : needs.items) ReadNeed(reader_, *item, notes);
}

// The kind, after a look at all keys; -1 after a finding.
int StepParser::ReadKind(const Node& node, const Scope& scope) {
  const int kind = FindKind(node);
  const bool run = kind == static_cast<int>(StepKind::kRun);
  const std::vector<std::string> kinds = KindNames();
  std::vector<std::string> known = KeysOf("step");
  const std::vector<std::string>& run_keys = KeysOf("run step");
  known.insert(known.end(), run_keys.begin(), run_keys.end());
  bool misspelt = false;
  std::vector<const Node*> found;
  for (const auto& [key, value] : node.entries) {
    if (Contains(kinds, key->text)) found.push_back(key.get());
    if (absl::StartsWith(key->text, "x-")) continue;
    if (!Contains(known, key->text)) {
      Finding& finding = reader_.Unknown("BL0101", "key", key->text, reader_.SpanOf(*key),
                                         MissingKeys(node, known));
      finding.label = "not a key of a step";
      misspelt |= finding.fix && Contains(kinds, finding.fix->text);
    } else if (kind >= 0 && !run && Contains(run_keys, key->text)) {
      reader_.Error("BL0101", *key, absl::StrCat("`", key->text, "` belongs to `run` steps"))
          .label = absl::StrCat("this is a step of kind `", kinds[kind], "`");
    }
  }
  if (found.empty() && !misspelt) {
    const Step& step = reader_.flow.steps[scope.step];
    Finding& finding = reader_.Error("BL0106", step.id.empty() ? reader_.SpanOf(node) : step.span,
                                     "the step says nothing to do");
    finding.help = "give it one of run, http, set, do, parallel, … (beamline explain steps)";
  } else if (found.size() > 1) {
    reader_
        .Error("BL0107", *found[1],
               absl::StrCat("a step has one kind, this one has `", found[0]->text, "` and `",
                            found[1]->text, "`"))
        .help = "make them two steps";
  }
  return kind;
}

// A step is multiplied in one way only.
void StepParser::CheckFanOut(const Node& node) {
  const Node* first = nullptr;
  std::string name;
  for (const char* key : {"foreach", "matrix", "loop"}) {
    const Node* found = node.Find(key);
    if (found == nullptr) continue;
    if (first != nullptr) {
      Finding& finding = reader_.Error(
          "BL0109", *found, absl::StrCat("`", name, "` and `", key, "` on the same step"));
      finding.help = "put one of them on a `do` around the step";
      return;
    }
    first = found;
    name = key;
  }
}

void StepParser::FillStep(int32_t index, const Node& node, Scope before) {
  const int kind = ReadKind(node, before);
  const bool container =
      kind == static_cast<int>(StepKind::kDo) || kind == static_cast<int>(StepKind::kParallel);
  Step step = reader_.flow.steps[index];
  if (kind >= 0) step.kind = static_cast<StepKind>(kind);
  Fields fields(reader_, node, "step", "the step", /*open=*/true);
  fields.Text("name", &step.name);
  if (const Node* condition = node.Find("if")) step.condition = reader_.Bare(*condition, before);
  Scope own = before;
  if (const Node* foreach = node.Find("foreach")) ReadForeach(*foreach, before, &own, &step);
  if (const Node* matrix = node.Find("matrix")) ReadMatrix(*matrix, before, &own, &step);
  CheckFanOut(node);
  if (const Node* loop = node.Find("loop")) {
    own.roots |= kRootLoop;
    ReadLoop(*loop, own, container, &step);
  }
  if (const Node* env = node.Find("env")) ReadEnv(reader_, *env, own, &own.env);
  ReadTimes(fields, &step);
  if (const Node* retry = node.Find("retry")) ReadRetry(*retry, &step.retry);
  if (const Node* outputs = node.Find("outputs")) ReadOutputs(*outputs, &step);
  if (const Node* output = node.Find("output")) {
    Scope scope = own;
    scope.roots |= kRootOutput;
    scope.inside = container;
    step.output = reader_.Value(*output, scope);
  }
  if (const Node* artifacts = node.Find("artifacts")) ReadArtifacts(*artifacts, own, &step);
  if (const Node* cache = node.Find("cache")) ReadCache(*cache, own, &step);
  if (const Node* key = node.Find("idempotency_key")) {
    step.idempotency_key = reader_.Value(*key, own);
  }
  if (const Node* limit = node.Find("concurrency")) {
    step.concurrency = ReadConcurrency(reader_, *limit, own);
  }
  if (const Node* budget = node.Find("budget")) ReadBudget(reader_, *budget, &step.budget);
  if (const Node* labels = node.Find("labels")) ReadLabels(reader_, *labels, &step.labels);
  fields.TextList("runs_on", &step.runs_on);

  Effect effect = Effect::kPure;
  if (kind >= 0) {
    const Node& body = *node.Find(KindName(step.kind));
    if (container) {
      step.children = ParseList(body, KindName(step.kind), index, own);
    } else {
      StepNotes notes;
      Body read = ReadBody(reader_, step.kind, node, body, own, own.env, &notes);
      reader_.notes[index].rerun = notes.rerun;
      reader_.notes[index].rerun_span = notes.rerun_span;
      step.input = std::move(read.input);
      effect = read.effect;
    }
  }
  static constexpr Effect kEffects[] = {Effect::kPure, Effect::kIdempotent, Effect::kOnce};
  step.effect =
      kEffects[fields.Word("effect", {"pure", "idempotent", "once"}, static_cast<int>(effect))];
  if (const Node* undo = node.Find("compensate")) {
    step.compensate = ParseCompensation(*undo, step, own);
  }
  reader_.flow.steps[index] = std::move(step);
}

int32_t StepParser::ParseCompensation(const Node& node, const Step& undone, const Scope& own) {
  if (!node.is_map()) {
    reader_.WrongType(node, "`compensate`", "a step body");
    return -1;
  }
  for (const char* key : {"id", "needs", "if", "foreach", "matrix", "loop", "compensate"}) {
    if (const Node* found = node.Find(key)) {
      reader_.Error("BL0101", *found, absl::StrCat("`compensate` takes no `", key, "`"));
      return -1;
    }
  }
  const auto index = static_cast<int32_t>(reader_.flow.steps.size());
  Step& step = reader_.flow.steps.emplace_back();
  reader_.notes.emplace_back().has_needs = true;
  step.id = step.name = absl::StrCat(undone.id, ".compensate");
  step.parent = undone.parent;
  step.section = undone.section;
  step.span = undone.span;
  Scope scope = own;
  scope.step = index;
  scope.undoing = true;
  FillStep(index, node, std::move(scope));
  return index;
}

}  // namespace beamline::flowspec
