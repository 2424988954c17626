// Lays out the tree; see tree.h.
#include "cli/tree.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/glyphs.h"
#include "cli/report_text.h"
#include "cli/run_json.h"
#include "cli/status_line.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

using google::protobuf::RepeatedPtrField;

constexpr int kNameWidthMax = 32;
constexpr int kDurationWidth = 6;
constexpr size_t kNotableItems = 5;
// How much of a step's output is shown. A step that others wait for is worth a few lines; what it
// printed is mostly meant for them.
constexpr size_t kOutputLines = 3;
constexpr size_t kOutputLinesOfFailed = 10;
constexpr size_t kOutputLinesOfLast = OutputTail::kLinesKept;  // nothing waits for the step
constexpr int kOutputStepsMax = 12;  // a larger flow shows the output of failed steps only
constexpr int kBarWidth = 9;
constexpr int kBranchWidth = 5;  // of "  ├─ "
constexpr int kItemIndent = 4;   // of what lies below an item

// A line, and what kind it is: kinds are dropped in this order where the terminal is too low.
enum class Kind { kOutput, kItem, kPending, kDone, kChild, kStep, kHeader };
struct Row {
  Kind kind = Kind::kStep;
  std::string text;  // painted; cut to the width at the end
};

class Layout {
 public:
  Layout(const proto::RunView& view, const OutputTail* tail, const TreeOptions& options)
      : view_(view),
        run_(view.run()),
        tail_(tail),
        options_(options),
        glyphs_(GlyphsFor(options.utf8)) {}

  std::vector<std::string> Lines() {
    MeasureNames(run_.steps(), 0);
    AddHeader();
    for (const v1::Step& step : run_.steps()) {
      if (!IsShown(step) || step.section() == v1::SECTION_COMPENSATE) continue;
      AddStep(step, run_.steps(), 0, "", Kind::kStep);
    }
    AddUndone();
    AddRunFailure();
    Shrink();
    std::vector<std::string> lines;
    for (const Row& row : rows_) lines.push_back(CutToWidth(row.text, options_.width));
    for (std::string& line : lines) line.resize(line.find_last_not_of(' ') + 1);
    return lines;
  }

 private:
  // Handlers appear once they begin.
  static bool IsShown(const v1::Step& step) {
    return step.section() <= v1::SECTION_MAIN || step.status() != v1::STATUS_PENDING;
  }
  // Children are folded away once a container is done and nothing in it went wrong.
  bool IsOpen(const v1::Step& step) const {
    return !step.steps().empty() && (options_.full || (step.status() != v1::STATUS_SUCCEEDED &&
                                                       step.status() != v1::STATUS_PENDING &&
                                                       step.status() != v1::STATUS_SKIPPED));
  }

  void MeasureNames(const RepeatedPtrField<v1::Step>& steps, int indent) {
    for (const v1::Step& step : steps) {
      if (!IsShown(step)) continue;
      ++step_count_;
      name_width_ = std::max(name_width_, indent + DisplayWidth(Printable(step.id())));
      if (IsOpen(step)) MeasureNames(step.steps(), indent + kBranchWidth);
      for (const v1::Item* item : ItemsToShow(step)) {
        if (item->status() == v1::STATUS_SUCCEEDED || item->steps().empty()) continue;
        MeasureNames(item->steps(), kItemIndent + kBranchWidth);
        break;  // the others have the same
      }
    }
    name_width_ = std::min(name_width_, kNameWidthMax);
  }

  void Add(Kind kind, std::string text) { rows_.push_back({kind, std::move(text)}); }
  std::string Dim(std::string_view text) const { return Paint(options_.color, Ink::kDim, text); }

  template <typename T>
  std::string DurationOf(const T& node) const {
    if (!node.has_started_at()) return "";
    absl::Time end = node.has_finished_at() ? ToTime(node.finished_at()) : options_.now;
    return ShortDuration(std::max(absl::ZeroDuration(), end - ToTime(node.started_at())));
  }

  void AddHeader() {
    std::string status = proto::StatusWord(run_.status());
    if (run_.has_stop() && !proto::IsTerminal(run_.status())) status = "stopping";
    std::string name = Paint(options_.color, Ink::kBold, Printable(run_.flow()));
    std::string text = absl::StrCat(name, "  ", ShortId(run_.id()), "  ", DurationOf(run_));
    if (options_.live) {
      if (status != "running") absl::StrAppend(&text, "  ", status);
      std::string keys = absl::StrCat("^C cancel ", std::string(glyphs_.dot), " d detach");
      int gap = options_.width - DisplayWidth(text) - DisplayWidth(keys);
      if (gap >= 2) absl::StrAppend(&text, std::string(static_cast<size_t>(gap), ' '), Dim(keys));
    } else {
      Mark mark = MarkOf(run_.status(), false, glyphs_);
      text = absl::StrCat(Paint(options_.color, mark.ink, mark.glyph), " ", name, "  ",
                          ShortId(run_.id()), "  ", status,
                          run_.has_finished_at() ? " in " : " for ", DurationOf(run_));
    }
    Add(Kind::kHeader, text);
  }

  // What was undone, in the order in which it happened.
  void AddUndone() {
    bool first = true;
    for (const v1::Step& step : run_.steps()) {
      if (step.section() != v1::SECTION_COMPENSATE) continue;
      if (std::exchange(first, false)) Add(Kind::kStep, Dim("compensation"));
      AddStep(step, run_.steps(), 0, "", Kind::kStep);
    }
  }

  // The run's own failure, unless a step tells it already (the outputs did not evaluate, the
  // run's time was over).
  void AddRunFailure() {
    const auto failed = [](const v1::Step& step) { return step.status() == v1::STATUS_FAILED; };
    if (options_.live || !run_.has_failure() ||
        std::any_of(run_.steps().begin(), run_.steps().end(), failed)) {
      return;
    }
    if (run_.status() != v1::STATUS_CANCELLED) {
      Add(Kind::kHeader, Paint(options_.color, Ink::kRed, FailureText(run_.failure())));
    } else if (!run_.failure().message().empty()) {
      Add(Kind::kHeader, absl::StrCat("cancelled: ", Printable(run_.failure().message())));
    }
  }

  void AddStep(const v1::Step& step, const RepeatedPtrField<v1::Step>& siblings, int indent,
               const std::string& lead, Kind kind) {
    const bool pending = step.status() == v1::STATUS_PENDING;
    const bool done = step.status() == v1::STATUS_SUCCEEDED || step.status() == v1::STATUS_SKIPPED;
    const Mark mark = MarkOf(step.status(), step.has_retry_at(), glyphs_);
    const int width = std::max(1, name_width_ - indent);
    std::string name = PadRight(CutToWidth(Printable(step.id()), width), width);
    std::string text =
        absl::StrCat(Dim(lead), Paint(options_.color, mark.ink, mark.glyph), " ",
                     pending ? Dim(name) : name, "  ", PadLeft(DurationOf(step), kDurationWidth));
    if (std::string note = NoteOf(step, siblings); !note.empty())
      absl::StrAppend(&text, "  ", note);
    Add(kind != Kind::kStep ? kind
        : pending           ? Kind::kPending
        : done              ? Kind::kDone
                            : Kind::kStep,
        text);
    AddOutput(step.path(), step.status(), OutputLimit(step, siblings),
              std::string(DisplayWidth(lead), ' '));
    AddItems(step, std::string(DisplayWidth(lead), ' '));
    if (IsOpen(step)) AddChildren(step.steps(), indent, std::string(DisplayWidth(lead), ' '));
  }

  void AddChildren(const RepeatedPtrField<v1::Step>& steps, int indent, const std::string& lead) {
    for (int i = 0; i < steps.size(); ++i) {
      const bool last = i + 1 == steps.size();
      AddStep(steps[i], steps, indent + kBranchWidth,
              absl::StrCat(lead, "  ", std::string(last ? glyphs_.last_branch : glyphs_.branch)),
              Kind::kChild);
    }
  }

  // What stands behind the duration.
  std::string NoteOf(const v1::Step& step, const RepeatedPtrField<v1::Step>& siblings) const {
    if (step.item_count() > 0) {
      const std::string reports =
          proto::IsTerminal(step.status()) ? Dim(ReportText(step)) : std::string();
      return absl::StrCat(ItemsNote(step), reports.empty() ? "" : "  ", reports);
    }
    switch (step.status()) {
      case v1::STATUS_PENDING: {
        if (proto::IsTerminal(run_.status())) return Dim("did not start");
        std::string waits = WaitsFor(step, siblings);
        return waits.empty() ? "" : Dim("waits: " + waits);
      }
      case v1::STATUS_RUNNING:
        return TryNote(step, step.retry_max());
      case v1::STATUS_FAILED:
        return absl::StrCat(step.attempts_size() > 1
                                ? absl::StrCat(Count(step.attempts_size(), "try", "tries"), "  ")
                                : "",
                            Paint(options_.color, Ink::kRed, FailureText(step.failure())),
                            step.artifacts().empty() ? "" : "  ", Dim(ReportText(step)));
      case v1::STATUS_WAITING:
        return WaitText(step, run_.id(), options_.now);
      case v1::STATUS_SUCCEEDED:
        return Dim(SuccessNote(step, siblings));
      default:
        return Dim(Printable(step.reason()));
    }
  }

  static std::string WaitsFor(const v1::Step& step, const RepeatedPtrField<v1::Step>& siblings) {
    std::vector<std::string> open;
    for (const std::string& need : step.needs()) {
      auto is_over = [&](const v1::Step& s) {
        return s.id() == need && proto::IsTerminal(s.status());
      };
      if (std::none_of(siblings.begin(), siblings.end(), is_over)) {
        open.push_back(Printable(need));
      }
    }
    return absl::StrJoin(open, ", ");
  }

  // "2 tries  14 lines  artifact report (959 B)"
  std::string SuccessNote(const v1::Step& step, const RepeatedPtrField<v1::Step>& siblings) const {
    std::vector<std::string> parts;
    if (step.reused()) {
      parts.push_back(absl::StrCat("as in run ", ShortId(run_.replay_of().run_id())));
    } else if (step.reason().starts_with("done by hand")) {
      parts.push_back(Printable(step.reason()));
    }
    if (!step.cached_from().empty()) {
      parts.push_back(absl::StrCat("cached (from run ", ShortId(step.cached_from()), ")"));
    }
    if (!step.child_run().empty()) parts.push_back("run " + ShortId(step.child_run()));
    if (step.attempts_size() > 1) parts.push_back(Count(step.attempts_size(), "try", "tries"));
    if (tail_ != nullptr && OutputLimit(step, siblings) == 0) {
      if (const int64_t lines = tail_->Count(step.path()); lines > 0) {
        parts.push_back(Count(lines, "line"));
      }
    }
    uint64_t bytes = 0;
    for (const v1::Artifact& artifact : step.artifacts()) bytes += artifact.bytes();
    if (const int count = step.artifacts_size(); count > 0) {
      parts.push_back(absl::StrCat(
          count == 1 ? "artifact " + Printable(step.artifacts(0).name()) : Count(count, "artifact"),
          " (", ShortBytes(bytes), ")"));
    }
    if (std::string reports = ReportText(step); !reports.empty()) parts.push_back(reports);
    return absl::StrJoin(parts, "  ");
  }

  // "try 2/5  unavailable · next 1.9s"
  template <typename T>
  std::string TryNote(const T& node, int max) const {
    const int tries = node.attempts_size();
    if (tries == 0) return "";
    const v1::Attempt& last = node.attempts(tries - 1);
    const std::string of = max > 1 ? absl::StrCat("/", max) : "";
    if (!node.has_retry_at()) return tries > 1 ? absl::StrCat("try ", last.n(), of) : "";
    std::string note = absl::StrCat("try ", last.n() + 1, of);
    if (last.has_failure()) absl::StrAppend(&note, "  ", FailureText(last.failure()));
    absl::Duration left = ToTime(node.retry_at()) - options_.now;
    if (!options_.live && left < absl::ZeroDuration()) return note;
    absl::StrAppend(&note, " ", std::string(glyphs_.dot), " next ",
                    ShortDuration(std::max(absl::ZeroDuration(), left)));
    return note;
  }

  // "round 2/4", "3 rounds"
  std::string RoundsNote(const v1::Step& step) const {
    const int rounds = step.items_size();
    std::string note = proto::IsTerminal(step.status())
                           ? Dim(Count(rounds, "round"))
                           : absl::StrCat("round ", rounds, "/", step.loop_max());
    if (step.status() == v1::STATUS_FAILED && step.has_failure()) {
      absl::StrAppend(&note, "  ", Paint(options_.color, Ink::kRed, FailureText(step.failure())));
    }
    return note;
  }

  // "███████░░ 812/1000  50 live  3 retry  4 ✖"
  std::string ItemsNote(const v1::Step& step) const {
    if (step.loop_max() > 0) return RoundsNote(step);
    const auto counts = view_.CountItems(step);
    const int done = counts.succeeded + counts.failed + counts.other;
    std::string note;
    if (!proto::IsTerminal(step.status())) {
      const int full = static_cast<int>(static_cast<int64_t>(kBarWidth) * done / step.item_count());
      for (int i = 0; i < kBarWidth; ++i) note += i < full ? glyphs_.bar_full : glyphs_.bar_empty;
      absl::StrAppend(&note, " ");
    }
    absl::StrAppend(&note, done, "/", step.item_count());
    if (counts.running > 0) absl::StrAppend(&note, "  ", counts.running, " live");
    if (counts.retrying > 0) absl::StrAppend(&note, "  ", counts.retrying, " retry");
    if (counts.parked > 0) absl::StrAppend(&note, "  ", counts.parked, " parked");
    if (counts.failed > 0) {
      absl::StrAppend(&note, "  ",
                      Paint(options_.color, Ink::kRed,
                            absl::StrCat(counts.failed, " ", std::string(glyphs_.failed))));
    }
    if (step.status() == v1::STATUS_FAILED && step.has_failure()) {
      absl::StrAppend(&note, "  ", Paint(options_.color, Ink::kRed, FailureText(step.failure())));
    }
    return note;
  }

  std::vector<const v1::Item*> ItemsToShow(const v1::Step& step) const {
    const bool all = options_.full || IsSmallMatrix(step);
    if (!all && step.loop_max() > 0) {  // the round that runs, or the one that failed
      if (step.items().empty() || step.status() == v1::STATUS_SUCCEEDED) return {};
      return {&*step.items().rbegin()};
    }
    if (!all) {
      return step.status() == v1::STATUS_SUCCEEDED ? std::vector<const v1::Item*>{}
                                                   : view_.NotableItems(step, kNotableItems);
    }
    std::vector<const v1::Item*> items;
    for (const v1::Item& item : step.items()) items.push_back(&item);
    return items;
  }

  void AddItems(const v1::Step& step, const std::string& lead) {
    const std::vector<const v1::Item*> items = ItemsToShow(step);
    int width = 0;
    for (const v1::Item* item : items) {
      width = std::max(width, DisplayWidth(ItemName(step, *item)));
    }
    width = std::min(width, kNameWidthMax);
    for (size_t i = 0; i < items.size(); ++i) {
      const v1::Item& item = *items[i];
      const bool last = i + 1 == items.size();
      const Mark mark = MarkOf(item.status(), item.has_retry_at(), glyphs_);
      std::string branch =
          absl::StrCat(lead, "  ", std::string(last ? glyphs_.last_branch : glyphs_.branch));
      std::string note = item.has_failure()                    ? FailureText(item.failure())
                         : item.status() == v1::STATUS_RUNNING ? TryNote(item, step.retry_max())
                         : item.status() == v1::STATUS_WAITING
                             ? WaitText(item, run_.id(), options_.now)
                             : ItemNote(item);
      std::string duration;
      if (options_.full || IsSmallMatrix(step))
        duration = PadLeft(DurationOf(item), kDurationWidth) + "  ";
      Add(Kind::kItem, absl::StrCat(Dim(branch), Paint(options_.color, mark.ink, mark.glyph), " ",
                                    PadRight(CutToWidth(ItemName(step, item), width), width), "  ",
                                    duration, note));
      std::string below = absl::StrCat(lead, "  ", last ? "  " : std::string(glyphs_.rail));
      if (item.status() == v1::STATUS_FAILED) {
        AddOutput(absl::StrCat(step.path(), "[", item.index(), "]"), item.status(),
                  kOutputLinesOfFailed, below);
      }
      if (item.status() != v1::STATUS_SUCCEEDED) AddChildren(item.steps(), kItemIndent, below);
    }
  }

  static std::string ItemNote(const v1::Item& item) {
    if (!item.cached_from().empty()) {
      return absl::StrCat("cached (from run ", ShortId(item.cached_from()), ")");
    }
    ReportSum reports;
    reports.Add(item.artifacts());
    const std::string text = reports.Text();
    if (!text.empty() || item.child_run().empty()) {
      return text.empty() ? Printable(item.reason()) : text;
    }
    return "run " + ShortId(item.child_run());
  }

  // "row 417", in the words of the flow; "round 2".
  static std::string ItemName(const v1::Step& step, const v1::Item& item) {
    if (step.loop_max() > 0) return absl::StrCat("round ", item.index() + 1);
    const std::string key = Printable(item.key());
    return step.foreach_as().empty() || step.foreach_as() == "matrix"
               ? key
               : absl::StrCat(Printable(step.foreach_as()), " ", key);
  }

  static bool HasGoneWrong(v1::Status status) {
    return status == v1::STATUS_FAILED || status == v1::STATUS_PARKED;
  }

  // How many of the last lines of the step are shown; 0 where their number is enough.
  size_t OutputLimit(const v1::Step& step, const RepeatedPtrField<v1::Step>& siblings) const {
    if (tail_ == nullptr) return 0;
    if (HasGoneWrong(step.status())) return kOutputLinesOfFailed;
    if (step_count_ > kOutputStepsMax) return 0;
    if (options_.live) return step.status() == v1::STATUS_RUNNING ? kOutputLines : 0;
    const bool last = std::none_of(siblings.begin(), siblings.end(), [&](const v1::Step& other) {
      return std::find(other.needs().begin(), other.needs().end(), step.id()) !=
             other.needs().end();
    });
    if (last) return kOutputLinesOfLast;
    return tail_->Count(step.path()) <= static_cast<int64_t>(kOutputLines) ? kOutputLines : 0;
  }

  void AddOutput(const std::string& path, v1::Status status, size_t limit,
                 const std::string& lead) {
    if (tail_ == nullptr || limit == 0) return;
    const Kind kind = HasGoneWrong(status) && !options_.live ? Kind::kStep : Kind::kOutput;
    const auto add = [&](const std::string& text) {
      std::string line = absl::StrCat(lead, "  ", std::string(glyphs_.rail), text);
      line.resize(line.find_last_not_of(' ') + 1);
      Add(kind, Dim(line));
    };
    const std::vector<std::string> lines = tail_->Last(path, limit);
    const int64_t above = tail_->Count(path) - static_cast<int64_t>(lines.size());
    if (above > 0 && !options_.live) {
      add(absl::StrCat(std::string(glyphs_.ellipsis), " ", Count(above, "line"), " above"));
    }
    for (const std::string& line : lines) add(Printable(StripEscapes(line)));
  }

  // Drops rows kind by kind until the tree fits, and says so in the last line.
  void Shrink() {
    const size_t limit = static_cast<size_t>(options_.height);
    if (options_.height <= 0 || rows_.size() <= limit) return;
    int pending = 0, done = 0, other = 0;
    for (Kind kind : {Kind::kOutput, Kind::kItem, Kind::kDone, Kind::kPending, Kind::kChild}) {
      // One line is kept for the sum.
      if (rows_.size() < limit) break;
      int& count = kind == Kind::kPending ? pending : kind == Kind::kDone ? done : other;
      // Pending steps go from the end, everything else from the start.
      std::vector<Row> kept;
      size_t excess = rows_.size() + 1 - limit;
      if (kind == Kind::kPending) std::reverse(rows_.begin(), rows_.end());
      for (Row& row : rows_) {
        if (row.kind == kind && excess > 0) {
          --excess;
          if (kind != Kind::kOutput) ++count;
        } else {
          kept.push_back(std::move(row));
        }
      }
      if (kind == Kind::kPending) std::reverse(kept.begin(), kept.end());
      rows_ = std::move(kept);
    }
    if (rows_.size() > limit - 1) {
      other += static_cast<int>(rows_.size() - (limit - 1));
      rows_.resize(limit - 1);
    }
    std::vector<std::string> parts;
    if (done > 0) parts.push_back(absl::StrCat(done, " done"));
    if (pending > 0) parts.push_back(absl::StrCat(pending, " pending"));
    if (other > 0) parts.push_back(absl::StrCat(other, " more"));
    std::string sum = parts.empty() ? "output left out" : absl::StrJoin(parts, ", ");
    Add(Kind::kHeader, Dim(absl::StrCat(std::string(glyphs_.ellipsis), " ", sum)));
  }

  const proto::RunView& view_;
  const v1::Run& run_;
  const OutputTail* tail_;
  const TreeOptions& options_;
  const Glyphs& glyphs_;
  int name_width_ = 8;
  int step_count_ = 0;
  std::vector<Row> rows_;
};

}  // namespace

std::vector<std::string> RenderTree(const proto::RunView& view, const OutputTail* tail,
                                    const TreeOptions& options) {
  return Layout(view, tail, options).Lines();
}

std::string ShortId(const std::string& run_id) {
  return run_id.size() <= 6 ? run_id : run_id.substr(run_id.size() - 6);
}

bool HasArtifacts(const google::protobuf::RepeatedPtrField<v1::Step>& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const v1::Step& step) {
    const auto of_item = [](const v1::Item& item) {
      return !item.artifacts().empty() || HasArtifacts(item.steps());
    };
    return !step.artifacts().empty() || HasArtifacts(step.steps()) ||
           std::any_of(step.items().begin(), step.items().end(), of_item);
  });
}

std::string FailureText(const v1::Failure& failure) {
  std::string kind = Printable(failure.kind());
  if (failure.has_exit_code()) kind = absl::StrCat("exit ", failure.exit_code());
  std::string message = Printable(failure.message());
  // "exit status 2" after "exit 2" says nothing new.
  if (message.empty() || message == kind) return kind.empty() ? "failed" : kind;
  if (failure.has_exit_code() && message.starts_with("exit ")) return message;
  if (message.starts_with(kind)) return message;
  return absl::StrCat(kind, ": ", message);
}

}  // namespace beamline::cli
