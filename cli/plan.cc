// Works out what a flow would do; see plan.h.
#include "cli/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/text.h"
#include "flowspec/yaml.h"

namespace beamline::cli {
namespace {

using Json = nlohmann::ordered_json;
using flowspec::Flow;
using flowspec::Step;
using flowspec::StepKind;

// A flow that multiplies beyond this is unbounded for every purpose.
constexpr int64_t kCountMax = 1'000'000'000;
constexpr int64_t kCombinationsMax = 10'000;
constexpr int kFlowsDeepMax = 4;  // of flows that use flows: beyond, attempts are not counted

Json Body(const Flow& flow, const Step& step) {
  if (step.input.empty()) return Json::object();
  Json body = Json::parse(ShownTemplate(flow, step.input), nullptr, /*allow_exceptions=*/false);
  return body.is_object() ? body : Json::object();
}

std::string TextAt(const Json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string FirstLine(const std::string& text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  if (lines.empty()) return "";
  return lines.size() == 1 ? lines[0] : lines[0] + " …";
}

std::string Argv(const Json& argv) {
  std::vector<std::string> words;
  for (const Json& word : argv)
    words.push_back(word.is_string() ? word.get<std::string>() : word.dump());
  return absl::StrJoin(words, " ");
}

std::string Does(const Flow& flow, const Step& step) {
  const Json body = Body(flow, step);
  switch (step.kind) {
    case StepKind::kRun:
      return body.contains("run") && body["run"].is_array() ? Argv(body["run"])
                                                            : FirstLine(TextAt(body, "run"));
    case StepKind::kHttp: {
      const std::string method = TextAt(body, "method");
      return absl::StrCat(method.empty() ? "GET" : method, " ", TextAt(body, "url"));
    }
    case StepKind::kLlm:
    case StepKind::kAgent:
      return absl::StrCat(TextAt(body, "route"), TextAt(body, "model"));
    case StepKind::kWorker:
      return absl::StrCat(TextAt(body, "queue"), " ", TextAt(body, "task"));
    case StepKind::kApprove:
      return TextAt(body, "title");
    case StepKind::kFlow:
      return TextAt(body, "uses");
    case StepKind::kWait:
      return absl::StrCat(TextAt(body, "for"), TextAt(body, "until"), TextAt(body, "signal"));
    case StepKind::kSignal:
      return TextAt(body, "name");
    case StepKind::kDo:
    case StepKind::kParallel:
      return Count(static_cast<long long>(step.children.size()), "step");
    case StepKind::kSet:
      return body.dump();
    case StepKind::kFail:
      return absl::StrCat(TextAt(body, "code"), " ", TextAt(body, "message"));
  }
  return "";
}

// Elements of a list that is written out in the flow; -1 if it is computed.
int64_t KnownLength(const Flow& flow, const flowspec::Template& list) {
  if (!list.constant()) return -1;
  const Json items = Json::parse(ShownTemplate(flow, list), nullptr, false);
  return items.is_array() ? static_cast<int64_t>(items.size()) : -1;
}

void Multiply(int64_t factor, Bound* bound) {
  bound->count =
      factor > 0 && bound->count > kCountMax / factor ? kCountMax : bound->count * factor;
}

// Combinations of a matrix whose axes are written out in the flow, without those excluded; -1 if an
// axis is computed or there are too many to count.
int64_t MatrixSize(const Flow& flow, const flowspec::Matrix& matrix) {
  std::vector<Json> combinations = {Json::object()};
  for (const auto& [axis, list] : matrix.axes) {
    const int64_t length = KnownLength(flow, list);
    if (length < 0 || static_cast<int64_t>(combinations.size()) * length > kCombinationsMax)
      return -1;
    const Json values = Json::parse(ShownTemplate(flow, list), nullptr, false);
    std::vector<Json> longer;
    for (const Json& combination : combinations) {
      for (const Json& value : values) {
        longer.push_back(combination);
        longer.back()[axis] = value;
      }
    }
    combinations = std::move(longer);
  }
  const auto excluded = [&](const Json& combination) {
    return std::any_of(matrix.exclude.begin(), matrix.exclude.end(), [&](const std::string& text) {
      const Json pattern = Json::parse(text, nullptr, false);
      return std::all_of(pattern.items().begin(), pattern.items().end(), [&](const auto& entry) {
        return combination.contains(entry.key()) && combination[entry.key()] == entry.value();
      });
    });
  };
  std::erase_if(combinations, excluded);
  return static_cast<int64_t>(combinations.size() + matrix.include.size());
}

// What foreach, matrix and loop of one step multiply by.
void MultiplyByRepetition(const Flow& flow, const Step& step, Bound* bound) {
  if (step.loop) Multiply(step.loop->max, bound);
  if (step.foreach) {
    const int64_t items = KnownLength(flow, step.foreach->items);
    if (items < 0) {
      bound->per.push_back(step.id);
    } else {
      Multiply((items + step.foreach->batch - 1) / step.foreach->batch, bound);
    }
  }
  if (!step.matrix) return;
  const int64_t combinations = MatrixSize(flow, *step.matrix);
  if (combinations < 0) {
    bound->per.push_back(step.id);
  } else {
    Multiply(combinations, bound);
  }
}

// `step` is carried out once for each repetition of `of`: itself, or what it undoes.
Bound AttemptsOf(const Flow& flow, const Step& step, const Step& of) {
  Bound bound;
  Multiply(step.retry.max, &bound);
  for (const Step* at = &of;; at = &flow.steps[at->parent]) {
    MultiplyByRepetition(flow, *at, &bound);
    if (at->parent < 0) return bound;
  }
}

// Adds `bound` times `more`.
void AddTimes(const Bound& bound, const Bound& more, PlanOfFlow* plan) {
  Bound product = more;
  Multiply(bound.count, &product);
  product.per.insert(product.per.begin(), bound.per.begin(), bound.per.end());
  if (product.count == 0) return;
  if (product.per.empty()) {
    plan->attempts_max = std::min(plan->attempts_max + product.count, kCountMax);
  } else {
    plan->unbounded.push_back(std::move(product));
  }
}

std::string ItemsText(const Flow& flow, const flowspec::Foreach& foreach) {
  const int64_t known = KnownLength(flow, foreach.items);
  if (known >= 0) return Count(known, "item");
  const std::vector<flowspec::ExprIndex> holes = foreach.items.Holes();
  return holes.size() == 1 ? absl::StrCat("each of ", flow.expressions[holes[0]].source)
                           : "each item";
}

std::string RetryText(const flowspec::Retry& retry) {
  std::string text = absl::StrCat("tried up to ", Count(retry.max, "time"));
  if (!retry.match.empty()) absl::StrAppend(&text, " on ", absl::StrJoin(retry.match, ", "));
  if (!retry.never.empty()) absl::StrAppend(&text, ", never on ", absl::StrJoin(retry.never, ", "));
  return text;
}

// "each attempt within 30s, all within 5m".
std::string LimitsText(const Step& step) {
  std::vector<std::string> limits;
  if (step.timeout != absl::InfiniteDuration()) {
    limits.push_back(absl::StrCat(step.retry.max > 1 ? "each attempt within " : "within ",
                                  ShortDuration(step.timeout)));
  }
  if (step.deadline != absl::InfiniteDuration()) {
    limits.push_back(absl::StrCat("all attempts within ", ShortDuration(step.deadline)));
  }
  return absl::StrJoin(limits, ", ");
}

std::vector<std::string> NotesOf(const Flow& flow, const Step& step) {
  std::vector<std::string> notes;
  if (step.condition >= 0) notes.push_back("if " + flow.expressions[step.condition].source);
  if (step.foreach) {
    const flowspec::Foreach& foreach = *step.foreach;
    std::string note =
        absl::StrCat("for ", ItemsText(flow, foreach), ", ", foreach.max_parallel, " at a time");
    if (foreach.batch > 1) absl::StrAppend(&note, ", in batches of ", foreach.batch);
    if (foreach.tolerate > 0) {
      absl::StrAppend(&note, ", ", foreach.tolerate, foreach.tolerate_percent ? "%" : "",
                      " may fail");
    }
    notes.push_back(note);
  }
  if (step.matrix) {
    std::vector<std::string> axes;
    for (const auto& [axis, values] : step.matrix->axes) axes.push_back(axis);
    notes.push_back("for each of " + absl::StrJoin(axes, " × "));
  }
  if (step.loop) {
    notes.push_back(absl::StrCat(step.loop->until ? "until " : "while ",
                                 flow.expressions[step.loop->condition].source, ", at most ",
                                 Count(step.loop->max, "time")));
  }
  if (step.retry.max > 1) notes.push_back(RetryText(step.retry));
  if (std::string limits = LimitsText(step); !limits.empty()) notes.push_back(std::move(limits));
  if (step.on_error == flowspec::OnError::kContinue)
    notes.push_back("if it fails, the run goes on");
  if (step.on_error == flowspec::OnError::kPark)
    notes.push_back("if it fails, it waits for a person");
  if (step.cache) notes.push_back("taken from the cache where its key is known");
  if (step.compensate >= 0) {
    notes.push_back("undone by: " + Does(flow, flow.steps[step.compensate]));
  }
  return notes;
}

std::vector<std::string> AfterOf(const Flow& flow, const Step& step) {
  std::vector<std::string> after;
  for (const flowspec::Need& need : step.needs) {
    const std::string& id = flow.steps[need.step].id;
    after.push_back(need.when == flowspec::When::kSuccess
                        ? id
                        : absl::StrCat(id, " (", flowspec::WhenName(need.when), ")"));
  }
  return after;
}

class Planner {
 public:
  Planner(const Flow& flow, const flowspec::ChildFlows& children, int depth)
      : flow_(flow), children_(children), depth_(depth) {}

  PlanOfFlow Make() {
    for (const auto* section : {&flow_.main, &flow_.on_failure, &flow_.finally}) {
      AddSteps(*section, 0);
    }
    Permissions own;
    own.secrets = flow_.secrets;
    AddAll(plan_.permissions, &own);  // the flow's own secrets first
    plan_.permissions = std::move(own);
    return std::move(plan_);
  }

 private:
  void AddSteps(const std::vector<int32_t>& steps, int depth) {
    for (const int32_t index : steps) {
      const Step& step = flow_.steps[index];
      PlannedStep planned{index,
                          depth,
                          Does(flow_, step),
                          AfterOf(flow_, step),
                          NotesOf(flow_, step),
                          AttemptsOf(flow_, step, step)};
      if (step.children.empty()) AddWork(step, planned.attempts);
      if (step.compensate >= 0) {
        const Step& undoing = flow_.steps[step.compensate];
        planned.undoing = AttemptsOf(flow_, undoing, step);
        AddWork(undoing, planned.undoing);
      }
      plan_.steps.push_back(std::move(planned));
      AddSteps(step.children, depth + 1);
    }
  }

  void AddWork(const Step& step, const Bound& attempts) {
    AddPermissions(step, children_, &plan_.permissions);
    AddTimes(attempts, Bound{}, &plan_);
    if (step.kind == StepKind::kFlow) AddChild(step, attempts);
  }

  // What the flow that the step uses does, each time.
  void AddChild(const Step& step, const Bound& times) {
    const std::string uses = TextAt(Body(flow_, step), "uses");
    const flowspec::ChildFlow child = children_ ? children_(uses) : flowspec::ChildFlow();
    if (child.flow == nullptr || depth_ >= kFlowsDeepMax) return AddText(uses, &plan_.unknown);
    PlanOfFlow inner = Planner(*child.flow, child.children, depth_ + 1).Make();
    AddAll(inner.permissions, &plan_.permissions);
    AddTimes(times, Bound{inner.attempts_max, {}}, &plan_);
    for (const Bound& bound : inner.unbounded) AddTimes(times, bound, &plan_);
    for (const std::string& name : inner.unknown) AddText(name, &plan_.unknown);
  }

  static void AddText(const std::string& text, std::vector<std::string>* list) {
    if (std::find(list->begin(), list->end(), text) == list->end()) list->push_back(text);
  }

  const Flow& flow_;
  const flowspec::ChildFlows children_;
  const int depth_;
  PlanOfFlow plan_;
};

Json StepJson(const Flow& flow, const PlannedStep& planned) {
  constexpr const char* kSections[] = {"main", "on_failure", "finally"};
  const Step& step = flow.steps[planned.step];
  Json json = {{"id", step.id},
               {"kind", flowspec::KindName(step.kind)},
               {"section", kSections[static_cast<int>(step.section)]},
               {"does", planned.does}};
  if (step.parent >= 0) json["parent"] = flow.steps[step.parent].id;
  json["needs"] = Json::array();
  for (const flowspec::Need& need : step.needs) {
    json["needs"].push_back({{"step", flow.steps[need.step].id},
                             {"when", flowspec::WhenName(need.when)},
                             {"implied", need.implied}});
  }
  if (step.condition >= 0) json["if"] = flow.expressions[step.condition].source;
  if (step.foreach) json["max_parallel"] = step.foreach->max_parallel;
  json["effect"] = flowspec::EffectName(step.effect);
  json["attempts_max"] = planned.attempts.count;
  if (!planned.attempts.per.empty()) json["per_item_of"] = planned.attempts.per;
  if (planned.undoing.count > 0) json["undoing_attempts_max"] = planned.undoing.count;
  if (step.deadline != absl::InfiniteDuration()) {
    json["deadline_ms"] = absl::ToInt64Milliseconds(step.deadline);
  }
  if (step.timeout != absl::InfiniteDuration()) {
    json["timeout_ms"] = absl::ToInt64Milliseconds(step.timeout);
  }
  return json;
}

Json InputsJson(const Flow& flow) {
  Json inputs = Json::array();
  for (const flowspec::Input& input : flow.inputs) {
    Json json = {{"name", input.name}, {"required", input.default_json.empty()}};
    json["schema"] = Json::parse(input.schema, nullptr, false);
    if (!input.default_json.empty())
      json["default"] = Json::parse(input.default_json, nullptr, false);
    if (input.sensitive) json["sensitive"] = true;
    inputs.push_back(std::move(json));
  }
  return inputs;
}

Json TriggersJson(const Flow& flow) {
  Json triggers = Json::array();
  for (const flowspec::Trigger& trigger : flow.triggers) {
    const char* kind = flowspec::TriggerKindName(trigger.kind);
    Json json = {{"kind", kind}, {"overlap", flowspec::OverlapName(trigger.overlap)}};
    if (!trigger.what.empty()) json[kind] = trigger.what;
    if (trigger.cron) {
      json["tz"] = trigger.tz;
      json["catchup"] = flowspec::CatchupName(trigger.catchup);
    } else if (trigger.kind == flowspec::Trigger::Kind::kFlow) {
      json["when"] = flowspec::WhenName(trigger.when);
    }
    Json inputs = Json::object();
    for (const auto& [name, value] : trigger.inputs) {
      inputs[name] = Json::parse(ShownTemplate(flow, value), nullptr, false);
    }
    if (!inputs.empty()) json["inputs"] = std::move(inputs);
    triggers.push_back(std::move(json));
  }
  return triggers;
}

}  // namespace

std::string ShownTemplate(const Flow& flow, const flowspec::Template& body) {
  std::vector<std::string> shown(flow.expressions.size());
  const auto show = [&](flowspec::ExprIndex index) -> const std::string& {
    std::string& text = shown[static_cast<size_t>(index)];
    if (text.empty()) {
      flowspec::AppendJsonString(absl::StrCat("${{ ", flow.expressions[index].source, " }}"),
                                 &text);
    }
    return text;
  };
  absl::StatusOr<std::string> json = flowspec::Render(body, show);
  return json.ok() ? *std::move(json) : "null";
}

PlanOfFlow MakePlan(const Flow& flow, const flowspec::ChildFlows& children) {
  return Planner(flow, children, 0).Make();
}

std::string PlanJson(const Flow& flow, const PlanOfFlow& plan) {
  Json json = {{"flow", flow.name}, {"digest", plan.digest}, {"inputs", InputsJson(flow)}};
  if (!flow.triggers.empty()) json["triggers"] = TriggersJson(flow);
  json["steps"] = Json::array();
  for (const PlannedStep& step : plan.steps) json["steps"].push_back(StepJson(flow, step));
  json["permissions"] = Json::parse(PermissionsJson(plan.permissions), nullptr, false);
  json["attempts_max"] = plan.attempts_max;
  json["attempts_per_item"] = Json::array();
  for (const Bound& bound : plan.unbounded) {
    json["attempts_per_item"].push_back(
        {{"attempts_max", bound.count}, {"per_item_of", bound.per}});
  }
  if (!plan.unknown.empty()) json["attempts_unknown_of"] = plan.unknown;
  if (flow.timeout != absl::InfiniteDuration()) {
    json["timeout_ms"] = absl::ToInt64Milliseconds(flow.timeout);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace beamline::cli
