// `beamline plan`: what a flow would do, for people and for scripts.
#include <algorithm>
#include <memory>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/client.h"
#include "cli/flow_file.h"
#include "cli/flow_name.h"
#include "cli/neighbours.h"
#include "cli/output.h"
#include "cli/plan.h"
#include "cli/verbs.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

using flowspec::Flow;
using flowspec::Step;

void AppendHeading(const char* title, const Stream& stream, std::string* text) {
  absl::StrAppend(text, "\n", Paint(stream.color, Ink::kBold, title), "\n");
}

// "3" or "5 × items".
std::string BoundText(const Bound& bound) {
  std::string text = absl::StrCat(bound.count);
  for (size_t i = 0; i < bound.per.size(); ++i) absl::StrAppend(&text, " × items");
  return text;
}

// The rows of one section. Notes stand below what a step does.
std::string StepsText(const Flow& flow, const PlanOfFlow& plan, flowspec::Section section,
                      const Stream& stream, int width) {
  Table table({{"STEP"},
               {"KIND"},
               {"DOES", false, true},
               {"AFTER", false, true},
               {"EFFECT"},
               {"ATTEMPTS"}});
  for (const PlannedStep& planned : plan.steps) {
    const Step& step = flow.steps[planned.step];
    if (step.section != section) continue;
    const std::string indent(static_cast<size_t>(planned.depth) * 2, ' ');
    const bool container = !step.children.empty();
    table.Add({{indent + step.id, Ink::kBold},
               {flowspec::KindName(step.kind), Ink::kCyan},
               {planned.does},
               {absl::StrJoin(planned.after, ", ")},
               {container ? "" : flowspec::EffectName(step.effect), Ink::kDim},
               {container ? "" : "≤ " + BoundText(planned.attempts)}});
    for (const std::string& note : planned.notes) table.Add({{}, {}, {note, Ink::kDim}});
  }
  return table.empty() ? "" : table.Render(stream, width);
}

std::string InputsText(const Flow& flow, const Stream& stream, int width) {
  constexpr const char* kTypes[] = {"string", "number", "integer", "boolean",
                                    "array",  "object", "any"};
  Table table({{"INPUT"}, {"TYPE"}, {"DEFAULT", false, true}, {"WHAT IT IS", false, true}});
  for (const flowspec::Input& input : flow.inputs) {
    const bool required = input.default_json.empty();
    table.Add({{input.name, Ink::kBold},
               {kTypes[static_cast<int>(input.type)]},
               {required          ? "required"
                : input.sensitive ? "•••"
                                  : input.default_json,
                required ? Ink::kYellow : Ink::kPlain},
               {input.description}});
  }
  return table.empty() ? "" : table.Render(stream, width);
}

// What starts runs of the flow once it is registered, and when.
std::string TriggersText(const Flow& flow, const Stream& stream, int width) {
  Table table({{"STARTED BY"}, {"", false, true}, {"NEXT"}, {"OVERLAP"}});
  for (const flowspec::Trigger& trigger : flow.triggers) {
    std::string next, what = trigger.what;
    if (trigger.cron) {
      const absl::TimeZone zone = flowspec::FindTimeZone(trigger.tz).value_or(absl::UTCTimeZone());
      next = absl::FormatTime("%Y-%m-%d %H:%M %Z", trigger.cron->Next(absl::Now(), zone), zone);
      absl::StrAppend(&what, " ", trigger.tz);
    } else if (trigger.kind == flowspec::Trigger::Kind::kFlow) {
      next = absl::StrCat("after each ", flowspec::WhenName(trigger.when));
    }
    table.Add({{flowspec::TriggerKindName(trigger.kind), Ink::kCyan},
               {Printable(what)},
               {next},
               {flowspec::OverlapName(trigger.overlap)}});
  }
  return table.empty() ? "" : table.Render(stream, width);
}

std::string WorstCase(const Flow& flow, const PlanOfFlow& plan) {
  std::vector<std::string> parts;
  if (plan.attempts_max > 0) parts.push_back(Count(plan.attempts_max, "attempt"));
  for (const Bound& bound : plan.unbounded) {
    parts.push_back(absl::StrCat(bound.count, " an item of ", absl::StrJoin(bound.per, " × ")));
  }
  for (const std::string& uses : plan.unknown) {
    parts.push_back(absl::StrCat("those of ", Printable(uses)));
  }
  std::string text = absl::StrJoin(parts, ", and ");
  if (flow.timeout != absl::InfiniteDuration()) {
    absl::StrAppend(&text, "; within ", ShortDuration(flow.timeout));
  }
  if (flow.budget.usd >= 0) absl::StrAppend(&text, "; $", flow.budget.usd);
  if (flow.budget.tokens >= 0) absl::StrAppend(&text, "; ", flow.budget.tokens, " tokens");
  return text;
}

}  // namespace

std::string PlanText(const Flow& flow, const PlanOfFlow& plan, const Stream& stream, int width) {
  std::string text = absl::StrCat(
      Paint(stream.color, Ink::kBold, flow.name), "  ",
      Paint(stream.color, Ink::kDim, absl::StrCat("sha256:", plan.digest.substr(0, 12))), "\n");
  if (!flow.description.empty()) absl::StrAppend(&text, Printable(flow.description), "\n");
  const std::pair<const char*, flowspec::Section> sections[] = {
      {"STEPS", flowspec::Section::kMain},
      {"IF IT FAILS", flowspec::Section::kOnFailure},
      {"ALWAYS AT THE END", flowspec::Section::kFinally}};
  for (const auto& [title, section] : sections) {
    const std::string steps = StepsText(flow, plan, section, stream, width);
    if (steps.empty()) continue;
    AppendHeading(title, stream, &text);
    absl::StrAppend(&text, steps);
  }
  if (const std::string inputs = InputsText(flow, stream, width); !inputs.empty()) {
    AppendHeading("INPUTS", stream, &text);
    absl::StrAppend(&text, inputs);
  }
  if (const std::string triggers = TriggersText(flow, stream, width); !triggers.empty()) {
    AppendHeading("ONCE IT IS REGISTERED", stream, &text);
    absl::StrAppend(&text, triggers);
  }
  if (!plan.permissions.empty()) {
    AppendHeading("TOUCHES", stream, &text);
    absl::StrAppend(&text, PermissionsText(plan.permissions, stream.tty ? width : 100));
  }
  AppendHeading("AT WORST", stream, &text);
  absl::StrAppend(&text, "  ", WorstCase(flow, plan), "\n");
  return text;
}

int Plan(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  const std::string& path = arguments.Get("FLOW");
  std::unique_ptr<Client> client;
  const std::optional<SourceFile> source = ReadFlow(context, path, &client, &code);
  if (!source) return code;
  flowspec::FlowFiles files = IsFlowFile(path) ? FilesBeside(path) : FilesWith(*source);
  const flowspec::ChildFlows children = files.Children();
  const auto flow = ParseSource(context, *source, &code, children);
  if (flow == nullptr) return code;
  PlanOfFlow plan = MakePlan(*flow, children);
  plan.digest = files.ManifestOf(flow->digest).Digest();
  if (context.wants_data()) return PrintData(context, PlanJson(*flow, plan));
  for (const flowspec::Finding& finding : flowspec::CheckExecutable(*flow)) {
    Warn(context, finding.message);
  }
  context.out.Write(PlanText(*flow, plan, context.out, context.width));
  Hint(context, absl::StrCat("→ beamline run ", path));
  return kExitOk;
}

}  // namespace beamline::cli
