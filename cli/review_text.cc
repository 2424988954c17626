// Lays out what a reviewer needs to know, most important first.
#include "cli/review_text.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/glyphs.h"
#include "cli/inbox.h"
#include "cli/output.h"
#include "cli/text_diff.h"
#include "cli/value_change_text.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"
#include "flowspec/money.h"

namespace beamline::cli {
namespace {

// The step at a path of a run: "enrich[17]/check" is the child `check` of `enrich`.
int32_t StepAt(const flowspec::Flow& flow, const std::string& path) {
  int32_t parent = -1;
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    const std::string id(part.substr(0, part.find('[')));
    int32_t found = -1;
    for (size_t i = 0; i < flow.steps.size(); ++i) {
      if (flow.steps[i].id == id && flow.steps[i].parent == parent) found = static_cast<int32_t>(i);
    }
    if (found < 0) return -1;
    parent = found;
  }
  return parent;
}

// "http POST https://cms.example/posts"; what is computed in the run stands as `…`.
std::string StepText(const flowspec::Step& step) {
  static const std::string* const kComputed = new std::string("\"…\"");
  const absl::StatusOr<std::string> body = flowspec::Render(
      step.input, [](flowspec::ExprIndex) -> const std::string& { return *kComputed; });
  std::string text = flowspec::KindName(step.kind);
  if (!body.ok()) return text;
  const auto members = flowspec::ObjectMembers(*body);
  for (const char* key : {"method", "url", "run", "queue", "task", "uses", "route", "model",
                          "title", "name", "message"}) {
    for (const auto& [name, value] : members) {
      if (name != QuoteJson(key)) continue;
      const std::string word =
          flowspec::JsonKind(value) == '"' ? flowspec::UnquoteJson(value) : std::string(value);
      absl::StrAppend(&text, " ", Printable(word.substr(0, word.find('\n'))));
    }
  }
  return text;
}

std::vector<std::string> Head(const std::string& text, int lines_max, int* left) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  *left = 0;
  if (lines_max > 0 && static_cast<int>(lines.size()) > lines_max) {
    *left = static_cast<int>(lines.size()) - lines_max;
    lines.resize(static_cast<size_t>(lines_max));
  }
  return lines;
}

// The content of an artifact that is text and not too large, else what is known of it.
std::string ArtifactText(const nlohmann::json& artifact, const BlobReader& read_blob) {
  if (!artifact["artifact"].is_string() || !artifact.contains("sha256") ||
      !artifact["sha256"].is_string() || !artifact.contains("bytes") ||
      !artifact["bytes"].is_number_unsigned()) {
    return artifact.dump();
  }
  const auto bytes = artifact["bytes"].get<uint64_t>();
  const auto sha256 = artifact["sha256"].get<std::string>();
  v1::Blob blob;
  blob.set_blob_uri("blob:sha256:" + sha256);
  blob.set_sha256(sha256);
  blob.set_bytes(bytes);
  std::string text = read_blob ? read_blob(blob) : "";
  const bool shown = !text.empty() && text.find('\0') == text.npos;
  if (shown && text.back() != '\n') text += '\n';
  return absl::StrCat("artifact ", artifact["artifact"].get<std::string>(), ", ", ShortBytes(bytes),
                      ", sha256 ", sha256, "\n", shown ? text : "");
}

class Layout {
 public:
  Layout(const v1::Task& task, const flowspec::Flow* flow, const BlobReader& read_blob,
         const ReviewOptions& options)
      : task_(task),
        summary_(task.summary()),
        flow_(flow),
        read_blob_(read_blob),
        options_(options),
        step_(flow == nullptr ? -1 : StepAt(*flow, summary_.path())) {}

  std::string Text() {
    AddHead();
    AddDecisions();
    AddShown();
    AddForm();
    AddConsequences();
    return std::move(text_);
  }

 private:
  void Line(const std::string& line) { absl::StrAppend(&text_, line, "\n"); }
  std::string Dim(const std::string& text) const { return Paint(options_.color, Ink::kDim, text); }

  void AddHead() {
    std::string head = absl::StrCat(Paint(options_.color, Ink::kBold, NameOf(summary_.task())),
                                    "  ", Printable(summary_.flow()), "/",
                                    Printable(summary_.path()), "  round ", summary_.round());
    if (summary_.max_rounds() > 0) absl::StrAppend(&head, " of ", summary_.max_rounds());
    absl::StrAppend(&head, "  digest ", summary_.digest().substr(0, 12));
    if (summary_.state() != v1::TASK_STATE_OPEN) {
      absl::StrAppend(&head, "  ", StateWord(summary_.state()));
    }
    const std::string spent = SpentText();
    const bool fits = DisplayWidth(head) + DisplayWidth(spent) + 2 <= options_.width;
    Line(fits && !spent.empty() ? absl::StrCat(head, "  ", spent) : head);
    if (!fits && !spent.empty()) Line(spent);
    Line(Paint(options_.color, Ink::kBold, Printable(summary_.title())));
    std::string from = absl::StrCat(
        "from ", Printable(summary_.initiator()), ", ",
        ShortDuration(std::max(absl::ZeroDuration(), options_.now - ToTime(summary_.opened_at()))),
        " ago");
    if (summary_.has_until()) {
      const absl::Duration left = ToTime(summary_.until()) - options_.now;
      absl::StrAppend(&from, left > absl::ZeroDuration() ? ", expires in " + ShortDuration(left)
                                                         : std::string(", its time is over"));
    }
    Line(Dim(from));
    std::vector<std::string> asked(task_.approvers().begin(), task_.approvers().end());
    if (summary_.escalated()) {
      asked.insert(asked.end(), task_.escalate_to().begin(), task_.escalate_to().end());
    }
    std::string people = asked.empty() ? "anybody" : Printable(absl::StrJoin(asked, ", "));
    Line(Dim(absl::StrCat("asked: ", people, summary_.escalated() ? " (escalated)" : "", "; ",
                          summary_.approvals(), " of ", summary_.quorum(), " have approved")));
  }

  // "spent $0.41 of $5.00": what the run has cost until now, and what it may cost.
  std::string SpentText() const {
    const v1::Usage& usage = task_.usage();
    const flowspec::Budget budget = flow_ == nullptr ? flowspec::Budget() : flow_->budget;
    if (usage.requests() == 0 && !flowspec::IsLimited(budget)) return "";
    const bool priced = usage.requests() == 0 || usage.has_nano_usd();
    std::vector<std::string> spent;
    if (priced) {
      spent.push_back(flowspec::Dollars(usage.nano_usd()));
      if (budget.usd >= 0) {
        absl::StrAppend(&spent[0], " of ", flowspec::Dollars(std::llround(budget.usd * 1e9)));
      }
    }
    if (!priced || budget.tokens >= 0) {
      spent.push_back(absl::StrCat(
          usage.input_tokens() + usage.output_tokens(),
          budget.tokens >= 0 ? absl::StrCat(" of ", budget.tokens) : std::string(), " tokens"));
    }
    return "spent " + absl::StrJoin(spent, ", ");
  }

  void AddDecisions() {
    for (const v1::TaskDecision& decision : task_.decisions()) {
      const char* said = decision.verdict() == v1::VERDICT_REJECT            ? "rejected it"
                         : decision.verdict() == v1::VERDICT_REQUEST_CHANGES ? "asked for changes"
                         : decision.verdict() == v1::VERDICT_RESPOND         ? "filled it in"
                                                                             : "approved it";
      Line(absl::StrCat("round ", decision.round(), "  ", Printable(decision.voter()), " ", said,
                        decision.comment().empty() ? "" : ": ", Printable(decision.comment())));
    }
    for (const v1::TaskDelegation& delegation : task_.delegations()) {
      Line(absl::StrCat(Printable(delegation.voter()), " handed the vote to ",
                        Printable(delegation.to())));
    }
  }

  // What has changed since the last round; in the first one, all of it.
  void AddShown() {
    const std::string now = ShownText(task_.show(), read_blob_);
    std::string shown = now;
    bool diff = false;
    if (summary_.round() > 1) {
      const std::string before = ShownText(task_.show_before(), read_blob_);
      const auto changed =
          UnifiedDiff({absl::StrCat("round ", summary_.round() - 1), before},
                      {absl::StrCat("round ", summary_.round()), now}, /*color=*/false);
      if (changed && changed->empty()) Line(Dim("it shows the same as in the round before"));
      if (changed && !changed->empty()) {
        shown = *changed;
        diff = true;
      }
    }
    if (task_.has_show() || diff) AddLines(shown, diff);
  }

  void AddLines(const std::string& text, bool diff) {
    Line("");
    int left = 0;
    const std::vector<std::string> head = Head(text, options_.lines_max, &left);
    if (diff) {
      for (const std::string& line : DiffLines(absl::StrJoin(head, "\n"), options_.color)) {
        Line(line);
      }
    } else {
      // The text comes from a run: it must not reach the terminal as anything but text.
      for (const std::string& line : head) Line(Printable(line));
    }
    if (left > 0) Line(Dim(absl::StrCat("… ", Count(left, "line"), " more: v")));
    Line("");
  }

  void AddForm() {
    if (task_.form().empty()) return;
    using Json = nlohmann::ordered_json;
    const Json form = Json::parse(task_.form(), nullptr, /*allow_exceptions=*/false);
    const Json payload = Json::parse(task_.payload().json(), nullptr, /*allow_exceptions=*/false);
    Line("to be filled in:");
    const auto fields = form.is_object() ? form.find("properties") : form.end();
    if (fields == form.end() || !fields->is_object()) {
      Line("  " + Printable(task_.form()));
      return;
    }
    for (const auto& [name, field] : fields->items()) {
      const Json required = form.value("required", Json::array());
      const bool must = std::find(required.begin(), required.end(), Json(name)) != required.end();
      std::string line = absl::StrCat("  ", Printable(name));
      if (payload.is_object() && payload.contains(name)) {
        absl::StrAppend(&line, " = ", Printable(payload[name].dump()));
      }
      absl::StrAppend(&line, "  ",
                      Dim(absl::StrCat(must ? "required " : "", Printable(field.dump()))));
      Line(line);
    }
  }

  void AddConsequences() {
    if (step_ < 0) return;
    std::vector<std::string> next;
    for (const flowspec::Step& step : flow_->steps) {
      const bool follows =
          std::any_of(step.needs.begin(), step.needs.end(), [&](const flowspec::Need& need) {
            return need.step == step_ && need.when != flowspec::When::kFailure;
          });
      if (follows) next.push_back(absl::StrCat(step.id, ": ", StepText(step)));
    }
    Line(absl::StrCat("on approve: ",
                      next.empty() ? "nothing more depends on it" : absl::StrJoin(next, "; ")));
    if (!task_.rerun().empty() && summary_.round() < summary_.max_rounds()) {
      Line(absl::StrCat("on changes: ", Printable(task_.rerun()),
                        " runs again, and what depends on it"));
    }
  }

  const v1::Task& task_;
  const v1::TaskSummary& summary_;
  const flowspec::Flow* flow_;
  const BlobReader& read_blob_;
  const ReviewOptions& options_;
  const int32_t step_;
  std::string text_;
};

}  // namespace

std::string ReviewText(const v1::Task& task, const flowspec::Flow* flow,
                       const BlobReader& read_blob, const ReviewOptions& options) {
  return ForLocale(Layout(task, flow, read_blob, options).Text());
}

std::string ShownText(const v1::Value& value, const BlobReader& read_blob) {
  std::string json = ValueJson(value, read_blob);
  // Not ordered: two rounds with the same members are then the same, however they were written.
  const auto parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return json;
  if (parsed.is_null()) return "";
  if (parsed.is_object() && parsed.size() == 3 && parsed.contains("artifact")) {
    return ArtifactText(parsed, read_blob);
  }
  std::string text = parsed.is_string()
                         ? parsed.get<std::string>()
                         : parsed.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

std::string TaskJson(const v1::Task& task, const BlobReader& read_blob) {
  std::vector<std::string> decisions, approvers;
  for (const v1::TaskDecision& decision : task.decisions()) {
    decisions.push_back(absl::StrCat(
        "{\"round\":", decision.round(), ",\"verdict\":",
        QuoteJson(decision.verdict() == v1::VERDICT_APPROVE           ? "approve"
                  : decision.verdict() == v1::VERDICT_REJECT          ? "reject"
                  : decision.verdict() == v1::VERDICT_REQUEST_CHANGES ? "request-changes"
                                                                      : "respond"),
        ",\"by\":", QuoteJson(decision.voter()), ",\"at\":", QuoteJson(TimeText(decision.time())),
        ",\"comment\":", QuoteJson(decision.comment()),
        ",\"digest\":", QuoteJson(decision.digest()), "}"));
  }
  for (const std::string& one : task.approvers()) approvers.push_back(QuoteJson(one));
  std::string json = TaskSummaryJson(task.summary());
  json.pop_back();
  absl::StrAppend(&json, ",\"show\":", ValueJson(task.show(), read_blob),
                  ",\"show_before\":", ValueJson(task.show_before(), read_blob),
                  ",\"form\":", task.form().empty() ? "null" : task.form(),
                  ",\"payload\":", ValueJson(task.payload(), read_blob), ",\"approvers\":[",
                  absl::StrJoin(approvers, ","), "],\"rerun\":", QuoteJson(task.rerun()),
                  task.has_usage() ? absl::StrCat(",\"usage\":", UsageJson(task.usage())) : "",
                  ",\"may_decide\":", task.refusal().empty() ? "true" : "false", ",\"decisions\":[",
                  absl::StrJoin(decisions, ","), "]}");
  return json;
}

}  // namespace beamline::cli
