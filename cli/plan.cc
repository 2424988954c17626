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

// The host of `url` as written: "${{ inputs.host }}" if it is computed.
std::string HostOf(const std::string& url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  std::string host;
  for (size_t i = scheme + 3; i < url.size(); ++i) {
    if (url.compare(i, 3, "${{") == 0) {
      const size_t end = url.find("}}", i);
      if (end == std::string::npos) break;
      host += url.substr(i, end + 2 - i);
      i = end + 1;
    } else if (url[i] == '/' || url[i] == '?' || url[i] == '#') {
      break;
    } else {
      host += url[i];
    }
  }
  const size_t user = host.rfind('@');
  return user == std::string::npos ? host : host.substr(user + 1);
}

void AddOnce(std::string text, std::vector<std::string>* list) {
  if (!text.empty() && std::find(list->begin(), list->end(), text) == list->end()) {
    list->push_back(std::move(text));
  }
}

void AddPermissions(const Flow& flow, const Step& step, Permissions* permissions) {
  const Json body = Body(flow, step);
  if (step.kind == StepKind::kHttp) AddOnce(HostOf(TextAt(body, "url")), &permissions->hosts);
  if (step.kind != StepKind::kRun || !body.contains("run")) return;
  const Json& run = body["run"];
  if (run.is_array() && !run.empty()) {
    AddOnce(run[0].is_string() ? run[0].get<std::string>() : run[0].dump(), &permissions->commands);
  } else {
    const std::string shell = TextAt(body, "shell");
    AddOnce(shell.empty() ? "bash -euo pipefail" : shell, &permissions->commands);
  }
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

Bound AttemptsOf(const Flow& flow, const Step& step) {
  Bound bound;
  Multiply(step.retry.max, &bound);
  for (const Step* at = &step;; at = &flow.steps[at->parent]) {
    MultiplyByRepetition(flow, *at, &bound);
    if (at->parent < 0) return bound;
    Multiply(flow.steps[at->parent].retry.max, &bound);
  }
}

std::string ItemsText(const Flow& flow, const flowspec::Foreach& foreach) {
  const int64_t known = KnownLength(flow, foreach.items);
  if (known >= 0) return Count(known, "item");
  const std::vector<flowspec::ExprIndex> holes = foreach.items.Holes();
  return holes.size() == 1 ? absl::StrCat("each of ", flow.expressions[holes[0]].source)
                           : "each item";
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

void AddSteps(const Flow& flow, const std::vector<int32_t>& steps, int depth, PlanOfFlow* plan) {
  for (const int32_t index : steps) {
    const Step& step = flow.steps[index];
    PlannedStep planned{index,
                        depth,
                        Does(flow, step),
                        AfterOf(flow, step),
                        NotesOf(flow, step),
                        AttemptsOf(flow, step)};
    if (!step.children.empty()) {
      plan->steps.push_back(std::move(planned));
      AddSteps(flow, step.children, depth + 1, plan);
      continue;
    }
    AddPermissions(flow, step, &plan->permissions);
    if (step.compensate >= 0) AddPermissions(flow, flow.steps[step.compensate], &plan->permissions);
    if (planned.attempts.per.empty()) {
      plan->attempts_max = std::min(plan->attempts_max + planned.attempts.count, kCountMax);
    } else {
      plan->unbounded.push_back(planned);
    }
    plan->steps.push_back(std::move(planned));
  }
}

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

PlanOfFlow MakePlan(const Flow& flow) {
  PlanOfFlow plan;
  for (const auto* section : {&flow.main, &flow.on_failure, &flow.finally}) {
    AddSteps(flow, *section, 0, &plan);
  }
  for (const flowspec::Secret& secret : flow.secrets) {
    plan.permissions.secrets.push_back(secret.name);
  }
  return plan;
}

std::string PlanJson(const Flow& flow, const PlanOfFlow& plan) {
  Json json = {{"flow", flow.name}, {"digest", flow.digest}, {"inputs", InputsJson(flow)}};
  if (!flow.triggers.empty()) json["triggers"] = TriggersJson(flow);
  json["steps"] = Json::array();
  for (const PlannedStep& step : plan.steps) json["steps"].push_back(StepJson(flow, step));
  Json secrets = Json::array();
  for (const flowspec::Secret& secret : flow.secrets) {
    secrets.push_back({{"name", secret.name}, {"source", secret.source}, {"value", secret.value}});
  }
  json["permissions"] = {{"commands", plan.permissions.commands},
                         {"hosts", plan.permissions.hosts},
                         {"secrets", secrets}};
  json["attempts_max"] = plan.attempts_max;
  if (flow.timeout != absl::InfiniteDuration()) {
    json["timeout_ms"] = absl::ToInt64Milliseconds(flow.timeout);
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace beamline::cli
