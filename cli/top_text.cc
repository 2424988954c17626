// Totals on top, then what waits for people, then tables; a low screen loses rows of tables first.
#include "cli/top_text.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/tree.h"
#include "cli/worker_json.h"
#include "flowspec/money.h"

namespace beamline::cli {
namespace {

constexpr uint64_t kLettersCountedMax = 100'000;  // by the daemon
constexpr int kNameWidth = 7;
constexpr int kRowsMin = 3;  // lines of a table that is shown at all, its header included

uint64_t Finished(const v1::ActivityTotals& totals) {
  return totals.succeeded() + totals.failed() + totals.cancelled();
}

std::string RateText(double rate) { return absl::StrFormat("%.*f", rate < 9.95 ? 1 : 0, rate); }

const char* StateOf(const v1::WorkerLoad& worker) {
  return worker.draining() ? "draining" : worker.silent() ? "silent" : "ready";
}

// "$0.41, 12000 tokens"; models without a price are said to have none.
std::string SpendText(const v1::ActivityTotals& totals) {
  return absl::StrCat(flowspec::Dollars(totals.nano_usd()), totals.unpriced() > 0 ? "+?" : "", ", ",
                      totals.tokens(), " tokens");
}

class Layout {
 public:
  Layout(const v1::GetActivityResponse& activity, const RunRate& rate, const Stream& stream,
         int width, int height)
      : activity_(activity),
        rate_(rate),
        stream_(stream),
        color_(stream.color),
        width_(width),
        height_(height),
        now_(ToTime(activity.time())) {}

  std::vector<std::string> Lines() {
    AddRuns();
    AddRest();
    std::vector<Section> sections = {Runs("OLDEST", activity_.oldest()), Queues(), Workers()};
    if (!BusiestAreOldest()) sections.push_back(Runs("BUSIEST", activity_.busiest()));
    AddTables(std::move(sections));
    for (std::string& line : lines_) line = ForLocale(line);
    if (height_ > 0 && static_cast<int>(lines_.size()) > height_) {
      lines_.resize(static_cast<size_t>(height_));
    }
    return std::move(lines_);
  }

 private:
  struct Section {
    std::vector<std::string> rows;  // header and rows; empty: nothing to show
    size_t missing = 0;             // rows that the daemon did not send
  };

  void Line(const char* name, const std::string& text) {
    const std::string line =
        absl::StrCat(Paint(color_, Ink::kDim, PadRight(name, kNameWidth)), "  ", text);
    lines_.push_back(stream_.tty ? CutToWidth(line, width_) : line);
  }

  std::string Number(uint64_t count, const char* what, Ink ink) const {
    return Paint(color_, count > 0 ? ink : Ink::kDim, absl::StrCat(count, " ", what));
  }

  void AddRuns() {
    const v1::GetActivityResponse& a = activity_;
    Line("runs", absl::StrJoin({Number(a.running(), "running", Ink::kCyan),
                                Number(a.waiting(), "waiting", Ink::kYellow),
                                Number(a.pending(), "pending", Ink::kPlain),
                                Number(a.paused(), "paused", Ink::kYellow)},
                               ", "));
    Line("rate", absl::StrCat(RateText(rate_.started), " started/s, ", RateText(rate_.finished),
                              " finished/s"));
    for (const auto& [name, totals] : {std::pair("hour", &a.last_hour()), {"total", &a.total()}}) {
      Line(name, absl::StrCat(totals->started(), " started, ",
                              Number(totals->succeeded(), "succeeded", Ink::kGreen), ", ",
                              Number(totals->failed(), "failed", Ink::kRed), ", ",
                              Number(totals->cancelled(), "cancelled", Ink::kPlain)));
    }
    Line("spend", absl::StrCat(SpendText(a.last_hour()), " in the last hour; ",
                               SpendText(a.total()), " in all"));
  }

  void AddRest() {
    const v1::GetActivityResponse& a = activity_;
    const bool many = a.dead_letters() >= kLettersCountedMax;
    Line("people", absl::StrCat(Number(a.tasks_open(),
                                       a.tasks_open() == 1 ? "approval waits" : "approvals wait",
                                       Ink::kYellow),
                                ", ",
                                Number(a.dead_letters(),
                                       many                    ? "dead letters or more"
                                       : a.dead_letters() == 1 ? "dead letter"
                                                               : "dead letters",
                                       Ink::kRed)));
    Line("slots",
         absl::StrCat(a.slots_busy(), " of ", a.slots(), " busy, ", a.in_line(), " in line; ",
                      Count(static_cast<long long>(a.attempts()), "attempt"), " under way"));
    Line("daemon",
         absl::StrCat(a.version(), ", up ", ShortDuration(now_ - ToTime(a.started_at())),
                      a.draining() ? Paint(color_, Ink::kYellow, ", draining") : std::string()));
  }

  Section Rendered(const Table& table, size_t missing) const {
    if (table.empty()) return {};
    return {absl::StrSplit(table.Render(stream_, width_), '\n', absl::SkipEmpty()), missing};
  }

  Section Runs(const char* title, const google::protobuf::RepeatedPtrField<v1::ActiveRun>& runs) {
    Table table({{.title = title},
                 {.title = "FLOW", .shrink = true},
                 {.title = "FOR", .right = true},
                 {.title = "UNDER WAY", .right = true},
                 {.title = "SPENT", .right = true}});
    for (const v1::ActiveRun& run : runs) {
      table.Add(
          {{ShortId(run.run_id()), Ink::kBold},
           {Printable(run.flow())},
           {ShortDuration(std::max(absl::ZeroDuration(), now_ - ToTime(run.started_at())))},
           {absl::StrCat(run.under_way())},
           {run.nano_usd() > 0 || run.tokens() == 0 ? flowspec::Dollars(run.nano_usd())
                                                    : absl::StrCat(run.tokens(), " tokens")}});
    }
    return Rendered(table, 0);
  }

  bool BusiestAreOldest() const {
    const auto is_old = [this](const v1::ActiveRun& busy) {
      return std::any_of(activity_.oldest().begin(), activity_.oldest().end(),
                         [&](const v1::ActiveRun& old) { return old.run_id() == busy.run_id(); });
    };
    return std::all_of(activity_.busiest().begin(), activity_.busiest().end(), is_old);
  }

  Section Queues() {
    Table table({{.title = "QUEUE", .shrink = true},
                 {.title = "TASK", .shrink = true},
                 {.title = "WAITING", .right = true},
                 {.title = "OLDEST", .right = true},
                 {.title = "WORKERS", .right = true}});
    for (const v1::WorkerQueue& queue : activity_.queues()) {
      const bool unserved = queue.workers() == 0 && queue.waiting() > 0;
      table.Add({{Printable(queue.queue()), Ink::kBold},
                 {Printable(queue.task())},
                 {absl::StrCat(queue.waiting())},
                 {queue.waiting() > 0 ? ShortDuration(now_ - ToTime(queue.waiting_since())) : "-"},
                 {absl::StrCat(queue.workers()), unserved ? Ink::kRed : Ink::kPlain}});
    }
    return Rendered(table, 0);
  }

  Section Workers() {
    Table table({{.title = "WORKER", .shrink = true},
                 {.title = "BUSY", .right = true},
                 {.title = "CREDIT", .right = true},
                 {.title = "TOTAL", .right = true},
                 {.title = "STATE"}});
    for (const v1::WorkerLoad& worker : activity_.workers()) {
      const bool ready = !worker.draining() && !worker.silent();
      table.Add({{Printable(worker.id()), Ink::kBold},
                 {absl::StrCat(worker.attempts())},
                 {absl::StrCat(worker.credit())},
                 {absl::StrCat(worker.assigned_total())},
                 {StateOf(worker), ready ? Ink::kGreen : Ink::kYellow}});
    }
    const auto shown = static_cast<uint64_t>(activity_.workers_size());
    return Rendered(table, activity_.workers_total() - std::min(shown, activity_.workers_total()));
  }

  // The tables share what is left of the screen, an empty line above each; where it is too little
  // for all of them, the last ones are left out.
  void AddTables(std::vector<Section> sections) {
    sections.erase(std::remove_if(sections.begin(), sections.end(),
                                  [](const Section& section) { return section.rows.empty(); }),
                   sections.end());
    const auto left = [this] {
      return height_ == 0 ? INT_MAX : height_ - static_cast<int>(lines_.size());
    };
    const size_t fit = static_cast<size_t>(std::max(0, left())) / (kRowsMin + 1);
    sections.resize(std::min(sections.size(), fit));
    for (size_t i = 0; i < sections.size(); ++i) {
      AddTable(sections[i], left() / static_cast<int>(sections.size() - i) - 1);
    }
  }

  // At most `rows_max` lines.
  void AddTable(const Section& section, int rows_max) {
    lines_.emplace_back();
    const auto rows = static_cast<int>(section.rows.size());
    const bool cut = rows > rows_max || section.missing > 0;
    const int shown = cut ? std::min(rows, rows_max - 1) : rows;
    lines_.insert(lines_.end(), section.rows.begin(), section.rows.begin() + shown);
    if (!cut) return;
    const size_t more = static_cast<size_t>(rows - shown) + section.missing;
    lines_.push_back(Paint(color_, Ink::kDim, absl::StrCat("… and ", more, " more")));
  }

  const v1::GetActivityResponse& activity_;
  const RunRate& rate_;
  const Stream& stream_;
  const bool color_;
  const int width_, height_;
  const absl::Time now_;
  std::vector<std::string> lines_;
};

// --- JSON ---

std::string TotalsJson(const v1::ActivityTotals& totals) {
  return absl::StrCat(
      "{\"started\":", totals.started(), ",\"succeeded\":", totals.succeeded(),
      ",\"failed\":", totals.failed(), ",\"cancelled\":", totals.cancelled(),
      ",\"cost_usd\":", absl::StrFormat("%.9g", static_cast<double>(totals.nano_usd()) / 1e9),
      ",\"tokens\":", totals.tokens(), ",\"requests\":", totals.requests(),
      ",\"unpriced\":", totals.unpriced(), "}");
}

std::string RunsJson(const google::protobuf::RepeatedPtrField<v1::ActiveRun>& runs) {
  return absl::StrCat(
      "[",
      absl::StrJoin(runs, ",",
                    [](std::string* out, const v1::ActiveRun& run) {
                      absl::StrAppend(
                          out, "{\"id\":", QuoteJson(run.run_id()),
                          ",\"flow\":", QuoteJson(run.flow()),
                          ",\"started_at\":", QuoteJson(TimeText(run.started_at())),
                          ",\"under_way\":", run.under_way(), ",\"cost_usd\":",
                          absl::StrFormat("%.9g", static_cast<double>(run.nano_usd()) / 1e9),
                          ",\"tokens\":", run.tokens(), "}");
                    }),
      "]");
}

std::string WorkersJson(const v1::GetActivityResponse& a) {
  return absl::StrCat("[",
                      absl::StrJoin(a.workers(), ",",
                                    [](std::string* out, const v1::WorkerLoad& worker) {
                                      absl::StrAppend(
                                          out, "{\"id\":", QuoteJson(worker.id()),
                                          ",\"state\":", QuoteJson(StateOf(worker)),
                                          ",\"credit\":", worker.credit(),
                                          ",\"attempts\":", worker.attempts(),
                                          ",\"assigned_total\":", worker.assigned_total(), "}");
                                    }),
                      "]");
}

std::string QueuesJson(const v1::GetActivityResponse& a) {
  return absl::StrCat("[",
                      absl::StrJoin(a.queues(), ",",
                                    [](std::string* out, const v1::WorkerQueue& queue) {
                                      *out += QueueJson(queue);
                                    }),
                      "]");
}

}  // namespace

std::optional<RunRate> RateBetween(const v1::GetActivityResponse& before,
                                   const v1::GetActivityResponse& now) {
  const absl::Duration passed = ToTime(now.time()) - ToTime(before.time());
  if (passed < absl::Milliseconds(100) || ToTime(now.started_at()) != ToTime(before.started_at())) {
    return std::nullopt;
  }
  const double seconds = absl::ToDoubleSeconds(passed);
  return RunRate{static_cast<double>(now.total().started() - before.total().started()) / seconds,
                 static_cast<double>(Finished(now.total()) - Finished(before.total())) / seconds};
}

RunRate RateOfLastMinute(const v1::GetActivityResponse& now) {
  const absl::Duration up = ToTime(now.time()) - ToTime(now.started_at());
  const double seconds = std::clamp(absl::ToDoubleSeconds(up), 1.0, 60.0);
  return {static_cast<double>(now.last_minute().started()) / seconds,
          static_cast<double>(Finished(now.last_minute())) / seconds};
}

std::vector<std::string> TopLines(const v1::GetActivityResponse& activity, const RunRate& rate,
                                  const Stream& stream, int width, int height) {
  return Layout(activity, rate, stream, width, height).Lines();
}

std::string TopJson(const v1::GetActivityResponse& a, const RunRate& rate) {
  return absl::StrCat(
      "{\"time\":", QuoteJson(TimeText(a.time())), ",\"version\":", QuoteJson(a.version()),
      ",\"started_at\":", QuoteJson(TimeText(a.started_at())),
      ",\"draining\":", a.draining() ? "true" : "false", ",\"runs\":{\"pending\":", a.pending(),
      ",\"running\":", a.running(), ",\"waiting\":", a.waiting(), ",\"paused\":", a.paused(),
      "},\"total\":", TotalsJson(a.total()), ",\"last_minute\":", TotalsJson(a.last_minute()),
      ",\"last_hour\":", TotalsJson(a.last_hour()),
      ",\"rate\":{\"started\":", absl::StrFormat("%.4g", rate.started),
      ",\"finished\":", absl::StrFormat("%.4g", rate.finished), "},\"slots\":{\"max\":", a.slots(),
      ",\"busy\":", a.slots_busy(), ",\"in_line\":", a.in_line(), "},\"attempts\":", a.attempts(),
      ",\"tasks\":", a.tasks_open(), ",\"dead_letters\":", a.dead_letters(),
      ",\"queues\":", QueuesJson(a), ",\"workers_total\":", a.workers_total(),
      ",\"workers\":", WorkersJson(a), ",\"oldest\":", RunsJson(a.oldest()),
      ",\"busiest\":", RunsJson(a.busiest()), "}");
}

}  // namespace beamline::cli
