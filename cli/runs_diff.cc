// `beamline runs diff`: two runs, as text.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/run_diff.h"
#include "cli/run_name.h"
#include "cli/text_diff.h"
#include "cli/tree.h"
#include "cli/value_change_text.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr size_t kStepsShown = 50;
constexpr int kNameWidth = 9;

// Lines under names that stand in a column of their own.
class Report {
 public:
  explicit Report(const Context& context)
      : context_(context),
        color_(context.out.color),
        glyphs_(GlyphsFor(LocaleIsUtf8())),
        width_(context.out.tty ? context.width : kNoWidth) {}

  void Head(const char* side, const v1::Run& run) {
    const Mark mark = MarkOf(run.status(), false, glyphs_);
    std::string line = absl::StrCat(
        ShortId(run.id()), "  ", Printable(run.flow()), "  ",
        Paint(color_, mark.ink,
              absl::StrCat(std::string(mark.glyph), " ", proto::StatusWord(run.status()))));
    if (run.has_finished_at()) {
      absl::StrAppend(&line, " in ",
                      ShortDuration(ToTime(run.finished_at()) - ToTime(run.started_at())));
    }
    if (run.has_replay_of()) {
      absl::StrAppend(&line, ", replays ", ShortId(run.replay_of().run_id()),
                      run.replay_of().from().empty() ? "" : " from ",
                      Printable(run.replay_of().from()));
    }
    Line(side, line);
  }

  void Line(const std::string& name, const std::string& text) {
    context_.out.Write(ForLocale(
        absl::StrCat(Paint(color_, Ink::kDim, PadRight(name, kNameWidth)), " ", text, "\n")));
  }

  void Change(const char* name, const TextChange& change) {
    Line(name, Arrow(change.from, change.to));
  }

  void Values(const std::string& name, const ValueDiff& diff, const std::string& indent = "") {
    std::string title = name;
    const int width = width_ - kNameWidth - 1 - static_cast<int>(indent.size());
    for (const std::string& line : ValueChangeLines(diff.changes, diff.left_out, color_, width)) {
      Line(std::exchange(title, ""), indent + line);
    }
  }

  void Flow(const std::string& diff) {
    std::string title = "flow";
    for (const std::string& line : DiffLines(diff, color_)) Line(std::exchange(title, ""), line);
  }

  void Steps(const RunDiff& diff) {
    std::string title = "steps";
    for (size_t i = 0; i < std::min(diff.steps.size(), kStepsShown); ++i) {
      Step(std::exchange(title, ""), diff.steps[i]);
    }
    if (diff.steps.size() > kStepsShown) {
      Line("", Paint(color_, Ink::kDim,
                     absl::StrCat("… and ", diff.steps.size() - kStepsShown,
                                  " more that differ (-o json shows all)")));
    }
  }

  void Events(const RunDiff& diff) {
    if (diff.events.empty()) return;
    std::vector<std::string> counts;
    for (const auto& [type, count] : diff.events) {
      counts.push_back(absl::StrCat(Printable(type), " ", count.first, " → ", count.second));
    }
    std::string title = "events";
    for (const std::string& line : WrapText(absl::StrJoin(counts, ", "), width_ - kNameWidth - 1)) {
      Line(std::exchange(title, ""), line);
    }
  }

 private:
  static constexpr int kNoWidth = 10'000;

  std::string Arrow(const std::string& from, const std::string& to) const {
    const auto text = [](const std::string& one) { return one.empty() ? "none" : Printable(one); };
    return absl::StrCat(Paint(color_, Ink::kRed, text(from)), " → ",
                        Paint(color_, Ink::kGreen, text(to)));
  }

  void Step(const std::string& title, const StepDiff& step) {
    const std::string path = Paint(color_, Ink::kBold, Printable(step.path));
    if (step.only != StepDiff::Only::kNeither) {
      const bool from = step.only == StepDiff::Only::kFrom;
      return Line(title, absl::StrCat(path, "  only in the ", from ? "first run" : "second run"));
    }
    std::vector<std::string> facts;
    if (step.status) {
      facts.push_back(
          absl::StrCat(StatusText(step.status->first), " → ", StatusText(step.status->second)));
    }
    if (step.attempts) {
      facts.push_back(absl::StrCat("tries ", step.attempts->first, " → ", step.attempts->second));
    }
    if (step.slower || step.faster) facts.push_back(TookText(step));
    Line(title, absl::StrCat(path, facts.empty() ? "" : "  ", absl::StrJoin(facts, ", ")));
    if (step.error) Line("", absl::StrCat("  error   ", Arrow(step.error->from, step.error->to)));
    if (step.reason) {
      Line("", absl::StrCat("  reason  ", Arrow(step.reason->from, step.reason->to)));
    }
    std::string name = "  output  ";
    const int width = width_ - kNameWidth - 11;
    for (const std::string& line :
         ValueChangeLines(step.output.changes, step.output.left_out, color_, width)) {
      Line("", std::exchange(name, "          ") + line);
    }
  }

  std::string StatusText(v1::Status status) const {
    const Mark mark = MarkOf(status, false, glyphs_);
    return Paint(color_, mark.ink,
                 absl::StrCat(std::string(mark.glyph), " ", proto::StatusWord(status)));
  }

  // "took 1.2s → 4.8s, 4.0 times as long"
  std::string TookText(const StepDiff& step) const {
    const auto& [from, to] = *step.took;
    const double ratio =
        absl::FDivDuration(std::max(from, to), std::max(absl::Milliseconds(1), std::min(from, to)));
    const std::string text =
        absl::StrCat("took ", ShortDuration(from), " → ", ShortDuration(to), ", ",
                     ratio < 9.95 ? absl::StrFormat("%.1f", ratio) : absl::StrFormat("%.0f", ratio),
                     step.slower ? " times as long" : " times as fast");
    return Paint(color_, step.slower ? Ink::kYellow : Ink::kPlain, text);
  }

  const Context& context_;
  const bool color_;
  const Glyphs& glyphs_;
  const int width_;
};

// What is the same, in one line.
std::string EqualText(const RunDiff& diff, const v1::Run& from) {
  std::vector<std::string> equal;
  if (!diff.digest) equal.emplace_back("flow");
  if (diff.inputs.changes.empty() && from.has_inputs()) equal.emplace_back("inputs");
  if (diff.outputs.changes.empty() && from.has_outputs()) equal.emplace_back("outputs");
  if (diff.steps_equal > 0) {
    equal.push_back(Count(static_cast<long long>(diff.steps_equal), "step"));
  }
  if (diff.events_equal > 0) {
    equal.push_back(absl::StrCat(
        "the counts of ", Count(static_cast<long long>(diff.events_equal), "type"), " of events"));
  }
  return equal.empty() ? "nothing" : absl::StrJoin(equal, ", ");
}

std::optional<RunSide> ReadSide(const Context& context, NamedRun& run, const std::string& name,
                                int* code) {
  if (!ResolveName(context, name, &run, code)) return std::nullopt;
  RunSide side;
  auto view = LoadView(*run.client, run.id,
                       [&](const v1::ExecutionEvent& event) { ++side.events[EventType(event)]; });
  if (!view.ok()) {
    *code = FailWith(context, view.status());
    return std::nullopt;
  }
  side.run = (*view)->run();
  side.read_blob = BlobsOf(*run.client, run.id);
  return side;
}

// How the flows of two runs differ as text; "" where they cannot be had.
std::string FlowDiffOf(Client& client, const RunDiff& diff, const v1::Run& from,
                       const v1::Run& to) {
  if (!diff.digest) return "";
  const auto a = client.GetRun(from.id()), b = client.GetRun(to.id());
  if (!a.ok() || !b.ok()) return "";
  return UnifiedDiff(
             {absl::StrCat(from.flow(), "@", from.digest().substr(0, 12)), a->flow_source()},
             {absl::StrCat(to.flow(), "@", to.digest().substr(0, 12)), b->flow_source()},
             /*color=*/false)
      .value_or("");
}

void Print(const Context& context, const RunDiff& diff, const v1::Run& from, const v1::Run& to,
           const std::string& flow_diff) {
  Report report(context);
  report.Head("from", from);
  report.Head("to", to);
  if (diff.flow) report.Change("name", *diff.flow);
  if (diff.digest) {
    report.Change("digest", {diff.digest->from.substr(0, 12), diff.digest->to.substr(0, 12)});
  }
  report.Flow(flow_diff);
  if (diff.error) report.Change("error", *diff.error);
  report.Values("inputs", diff.inputs);
  report.Values("outputs", diff.outputs);
  report.Steps(diff);
  report.Events(diff);
  report.Line("equal", EqualText(diff, from));
}

}  // namespace

int RunsDiff(const Arguments& arguments, Context& context) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  NamedRun run{*std::move(client), ""};
  int code = kExitOk;
  const auto from = ReadSide(context, run, arguments.Get("FROM"), &code);
  if (!from) return code;
  const auto to = ReadSide(context, run, arguments.Get("TO"), &code);
  if (!to) return code;
  const RunDiff diff = DiffRuns(*from, *to);
  const std::string flow_diff = FlowDiffOf(*run.client, diff, from->run, to->run);
  if (context.wants_data()) {
    return PrintData(context, RunDiffJson(diff, from->run, to->run, flow_diff));
  }
  Print(context, diff, from->run, to->run, flow_diff);
  if (from->run.id() == to->run.id()) {
    Hint(context, "they are one run");
  } else if (diff.same()) {
    Hint(context, "they differ in nothing but ids and times");
  } else {
    Hint(context, absl::StrCat("→ beamline runs show ", ShortId(from->run.id()),
                               " · beamline runs show ", ShortId(to->run.id())));
  }
  return kExitOk;
}

}  // namespace beamline::cli
