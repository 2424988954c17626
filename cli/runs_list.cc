// `beamline runs list`: runs in a table, newest first.
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/run_selection.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "cli/watch.h"

namespace beamline::cli {
namespace {

constexpr int kLimitMax = 10'000;
// Of a list that is asked for again each second.
constexpr int kWatchedMax = 10'000;

std::string JsonOf(const std::vector<v1::RunSummary>& runs) {
  std::string json = "[";
  for (const v1::RunSummary& run : runs) {
    absl::StrAppend(&json, json.size() > 1 ? "," : "", RunSummaryJson(run));
  }
  return json + "]";
}

Table TableOf(const std::vector<v1::RunSummary>& runs) {
  const Glyphs& glyphs = GlyphsFor(LocaleIsUtf8());
  const absl::Time now = absl::Now();
  Table table({{.title = "RUN"},
               {.title = "FLOW", .shrink = true},
               {.title = "STATUS"},
               {.title = "TOOK", .right = true},
               {.title = "STARTED", .right = true},
               {.title = "ERROR", .shrink = true}});
  for (const v1::RunSummary& run : runs) {
    const Mark mark = MarkOf(run.status(), false, glyphs);
    const absl::Time end = run.has_finished_at() ? ToTime(run.finished_at()) : now;
    const absl::Time start = ToTime(run.started_at());
    table.Add(
        {{ShortId(run.id())},
         {Printable(run.flow())},
         {absl::StrCat(std::string(mark.glyph), " ", proto::StatusWord(run.status())), mark.ink},
         {ShortDuration(end - start)},
         {absl::StrCat(ShortDuration(now - start), " ago")},
         {Printable(run.error()), Ink::kDim}});
  }
  return table;
}

}  // namespace

int RunsList(const Arguments& arguments, Context& context) {
  RunSelection selection;
  int code = kExitOk;
  if (!absl::SimpleAtoi(arguments.Get("limit"), &selection.limit) || selection.limit < 1 ||
      selection.limit > kLimitMax) {
    return Fail(context, kExitUsage, absl::StrCat("--limit is a number from 1 to ", kLimitMax));
  }
  if (!ReadRunSelection(arguments, context, &selection, &code)) return code;
  const bool watch = arguments.On("watch");
  if (watch && (!context.out.tty || context.wants_data())) {
    return Fail(context, kExitUsage, "--watch needs a terminal and text");
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  if (watch) {
    selection.looked_at_max = kWatchedMax;
    return WatchTable(context, nullptr, [&]() -> absl::StatusOr<Table> {
      auto selected = FetchRuns(**client, selection);
      if (!selected.ok()) return selected.status();
      return TableOf(selected->runs);
    });
  }
  auto selected = FetchRuns(**client, selection);
  if (!selected.ok()) return FailWith(context, selected.status());
  if (selected->cut) Warn(context, CutText(selection));
  if (context.wants_data()) return PrintData(context, JsonOf(selected->runs));
  if (selected->runs.empty()) {
    Hint(context, HasRunFilter(arguments) ? "no run fits\n→ beamline runs list"
                                          : "no runs\n→ beamline run FILE");
    return kExitOk;
  }
  TableOf(selected->runs).Print(context);
  return kExitOk;
}

}  // namespace beamline::cli
