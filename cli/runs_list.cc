// `beamline runs list`: runs in a table, newest first.
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/run_name.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "cli/watch.h"

namespace beamline::cli {
namespace {

constexpr int kLimitMax = 10'000;
constexpr int kPageMax = 1000;

struct Query {
  v1::ListRunsRequest request;
  int limit = 0;
};

// Fills in `query`, or tells what is wrong and returns the exit code.
int ReadQuery(const Arguments& arguments, const Context& context, Query* query) {
  if (!absl::SimpleAtoi(arguments.Get("limit"), &query->limit) || query->limit < 1 ||
      query->limit > kLimitMax) {
    return Fail(context, kExitUsage, absl::StrCat("--limit is a number from 1 to ", kLimitMax));
  }
  v1::ListRunsRequest& request = query->request;
  for (const std::string& word : arguments.All("status")) {
    request.add_statuses(proto::StatusFromWord(word));
  }
  request.set_flow(arguments.Get("flow"));
  for (const std::string& text : arguments.All("label")) {
    std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    v1::Label* label = request.add_labels();
    label->set_key(parts.first);
    label->set_value(parts.second);
  }
  if (const std::string& since = arguments.Get("since"); !since.empty()) {
    absl::StatusOr<absl::Time> time = ParseSince(since, absl::Now());
    if (!time.ok()) return Fail(context, kExitUsage, std::string(time.status().message()));
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(*time));
  }
  return kExitOk;
}

// Pages until the limit is reached.
absl::StatusOr<std::vector<v1::RunSummary>> Fetch(Client& client, Query query) {
  std::vector<v1::RunSummary> runs;
  do {
    const int left = query.limit - static_cast<int>(runs.size());
    query.request.set_page_size(std::min(left, kPageMax));
    auto page = client.ListRuns(query.request);
    if (!page.ok()) return page.status();
    for (v1::RunSummary& run : *page->mutable_runs()) runs.push_back(std::move(run));
    query.request.set_page_token(page->next_page_token());
  } while (!query.request.page_token().empty() && static_cast<int>(runs.size()) < query.limit);
  return runs;
}

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
  Query query;
  if (int code = ReadQuery(arguments, context, &query); code != kExitOk) return code;
  const bool watch = arguments.On("watch");
  if (watch && (!context.out.tty || context.wants_data())) {
    return Fail(context, kExitUsage, "--watch needs a terminal and text");
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  if (watch) {
    return WatchTable(context, nullptr, [&]() -> absl::StatusOr<Table> {
      auto runs = Fetch(**client, query);
      if (!runs.ok()) return runs.status();
      return TableOf(*runs);
    });
  }
  auto runs = Fetch(**client, query);
  if (!runs.ok()) return FailWith(context, runs.status());
  if (context.wants_data()) return PrintData(context, JsonOf(*runs));
  if (runs->empty()) {
    Hint(context, "no runs\n→ beamline run FILE");
    return kExitOk;
  }
  TableOf(*runs).Print(context);
  return kExitOk;
}

}  // namespace beamline::cli
