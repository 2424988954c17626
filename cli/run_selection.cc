// The daemon filters by what its table has; the query is worked out here, over each page.
#include "cli/run_selection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/run_name.h"

namespace beamline::cli {
namespace {

constexpr int kPageMax = 1000;

}  // namespace

std::vector<Flag> WithRunFilters(std::vector<Flag> own) {
  std::vector<Flag> flags = {
      {.name = "status",
       .letter = 's',
       .value = "STATUS",
       .help = "only with this status",
       .repeated = true,
       .completes = Completes::kChoice,
       .choices = {"pending", "running", "waiting", "paused", "succeeded", "failed", "cancelled"}},
      {.name = "flow",
       .letter = 'f',
       .value = "NAME",
       .help = "only of this flow",
       .completes = Completes::kFlowName},
      {.name = "label", .value = "K=V", .help = "only with this label", .repeated = true},
      {.name = "since",
       .value = "TIME",
       .help = "only started since: a duration (2h, 7d), or RFC 3339"},
      {.name = "query",
       .value = "JQ",
       .help = "only those for which this jq expression is true, over `runs list -o json`"},
  };
  flags.insert(flags.end(), own.begin(), own.end());
  return flags;
}

std::string ManyRunsText(const std::string& which) {
  return absl::StrCat(
      "Instead of RUN, filters or --all name many: they are listed, and you are asked; without a "
      "terminal it takes --yes. Unless --status says otherwise, the runs are meant that are ",
      which, ".");
}

bool HasRunFilter(const Arguments& arguments) {
  for (const char* name : {"status", "flow", "label", "since", "query"}) {
    if (arguments.Has(name)) return true;
  }
  return false;
}

bool ReadRunSelection(const Arguments& arguments, const Context& context, RunSelection* selection,
                      int* code) {
  v1::ListRunsRequest& request = selection->request;
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
    if (!time.ok()) {
      *code = Fail(context, kExitUsage, std::string(time.status().message()));
      return false;
    }
    request.mutable_since()->set_seconds(absl::ToUnixSeconds(*time));
  }
  return ReadQuery(arguments, context, &selection->query, code);
}

absl::StatusOr<SelectedRuns> FetchRuns(Client& client, RunSelection& selection) {
  SelectedRuns selected;
  std::vector<v1::RunSummary>& runs = selected.runs;
  selection.request.clear_page_token();
  int looked_at = 0;
  while (true) {
    const int left = selection.limit - static_cast<int>(runs.size());
    selection.request.set_page_size(selection.query ? kPageMax : std::min(left, kPageMax));
    auto page = client.ListRuns(selection.request);
    if (!page.ok()) return page.status();
    for (v1::RunSummary& run : *page->mutable_runs()) {
      if (static_cast<int>(runs.size()) == selection.limit) break;
      if (selection.query) {
        const absl::StatusOr<bool> fits = selection.query->Fits(RunSummaryJson(run));
        if (!fits.ok()) return fits.status();
        if (!*fits) continue;
      }
      runs.push_back(std::move(run));
    }
    looked_at += page->runs_size();
    selection.request.set_page_token(page->next_page_token());
    const bool more = !page->next_page_token().empty();
    selected.cut = more && selection.query && looked_at >= selection.looked_at_max;
    if (!more || selected.cut || static_cast<int>(runs.size()) == selection.limit) return selected;
  }
}

std::string CutText(const RunSelection& selection) {
  return absl::StrCat("only the newest ", selection.looked_at_max,
                      " runs were looked at; narrow it with --since, --flow or --status");
}

}  // namespace beamline::cli
