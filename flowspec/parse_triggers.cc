// Timetables, other flows, and what is to come.
#include "flowspec/parse_triggers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

constexpr size_t kTriggersMax = 100;

void ReadTimetable(Reader& reader, const Node& node, Trigger* trigger) {
  if (!node.is_string()) {
    reader.Error("BL0408", node, "a timetable has five fields").label =
        "minute, hour, day of month, month, day of week";
    return;
  }
  CronMistake mistake;
  trigger->what = node.text;
  trigger->cron = Cron::Parse(node.text, &mistake);
  if (trigger->cron) return;
  const bool whole = mistake.length == 0 && mistake.offset == 0;
  const Span span =
      whole ? reader.SpanOf(node)
            : ScalarPlaces(node, reader.source, reader.lines).At(mistake.offset, mistake.length);
  Finding& finding = reader.Error("BL0408", span, std::move(mistake.message));
  (whole ? finding.label : finding.help) = std::move(mistake.help);
}

void ReadZone(Reader& reader, const Node& node, Trigger* trigger) {
  trigger->tz = node.text;
  if (!node.is_string() || !FindTimeZone(node.text)) {
    reader.Error("BL0420", node, absl::StrCat("`", node.text, "` is not a time zone")).help =
        "a name such as Europe/Berlin or UTC; `ls /usr/share/zoneinfo` has them all";
  }
}

void ReadOtherFlow(Reader& reader, const Node& node, Trigger* trigger) {
  if (!reader.CheckName(node, "flow name", Reader::NameRule::kSlug)) return;
  trigger->what = node.text;
  if (node.text != reader.flow.name) return;
  reader.Error("BL0421", node, "the flow would start itself without end").help =
      "a `loop` repeats steps; a `cron` trigger repeats runs";
}

void ReadInputs(Reader& reader, const Node& node, Trigger* trigger) {
  const Scope scope{.roots = kRootTrigger | kRootNow};
  Fields given(reader, node, "inputs", "`inputs`", /*open=*/true);
  for (const auto& [name, value] : node.entries) {
    const std::vector<std::string>& known = reader.input_names;
    if (std::find(known.begin(), known.end(), name->text) == known.end()) {
      reader.Unknown("BL0204", "input", name->text, reader.SpanOf(*name), known);
    }
    trigger->inputs.emplace_back(name->text, reader.Value(*value, scope));
  }
}

// Nobody is there to be asked for what is missing.
void RequireInputs(Reader& reader, const Node& node, const Trigger& trigger) {
  for (const Input& input : reader.flow.inputs) {
    const bool given = std::any_of(trigger.inputs.begin(), trigger.inputs.end(),
                                   [&](const auto& entry) { return entry.first == input.name; });
    if (given || !input.default_json.empty()) continue;
    reader
        .Error("BL0423", node,
               absl::StrCat("the trigger does not give the input `", input.name, "`"))
        .help = absl::StrCat("give it under `inputs` of the trigger, or declare a default");
  }
}

// Keys that mean nothing for this kind of trigger.
void RefuseOthers(Reader& reader, const Fields& fields, const Trigger& trigger) {
  const auto refuse = [&](const char* key, Trigger::Kind kind) {
    const Node* node = fields.Get(key);
    if (node == nullptr || trigger.kind == kind) return;
    reader.Error("BL0422", *node,
                 absl::StrCat("`", key, "` belongs to a `", TriggerKindName(kind), "` trigger"));
  };
  refuse("tz", Trigger::Kind::kCron);
  refuse("catchup", Trigger::Kind::kCron);
  refuse("when", Trigger::Kind::kFlow);
}

void ReadTrigger(Reader& reader, const Node& node) {
  Fields fields(reader, node, "triggers", "a trigger");
  if (!fields.valid()) return;
  fields.ExactlyOne({"cron", "webhook", "event", "flow"});
  Trigger trigger{.span = reader.SpanOf(node)};
  using Kind = Trigger::Kind;
  for (const Kind kind : {Kind::kFlow, Kind::kEvent, Kind::kWebhook, Kind::kCron}) {
    if (fields.Get(TriggerKindName(kind)) != nullptr) trigger.kind = kind;
  }
  if (const Node* cron = fields.Get("cron")) ReadTimetable(reader, *cron, &trigger);
  if (const Node* zone = fields.Get("tz")) ReadZone(reader, *zone, &trigger);
  if (const Node* flow = fields.Get("flow")) ReadOtherFlow(reader, *flow, &trigger);
  fields.Text("event", &trigger.what);
  trigger.overlap =
      static_cast<Trigger::Overlap>(fields.Word("overlap", {"skip", "queue", "allow"}, 0));
  trigger.catchup =
      static_cast<Trigger::Catchup>(fields.Word("catchup", {"none", "last", "all"}, 0));
  trigger.when = static_cast<When>(fields.Word("when", {"success", "failure", "done"}, 0));
  RefuseOthers(reader, fields, trigger);
  if (const Node* inputs = fields.Get("inputs")) ReadInputs(reader, *inputs, &trigger);
  RequireInputs(reader, node, trigger);
  reader.flow.triggers.push_back(std::move(trigger));
}

}  // namespace

void ReadTriggers(Reader& reader, const Node& triggers) {
  if (!triggers.is_list()) reader.WrongType(triggers, "`triggers`", "a list");
  if (triggers.items.size() > kTriggersMax) {
    reader.Error("BL0403", triggers,
                 absl::StrCat("a flow has at most ", kTriggersMax, " triggers"));
    return;
  }
  for (const NodePtr& trigger : triggers.items) ReadTrigger(reader, *trigger);
}

}  // namespace beamline::flowspec
