// `beamline top`: once, over and over on a screen, or line by line.
#include <poll.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/top_text.h"
#include "cli/verbs.h"
#include "cli/watch.h"

namespace beamline::cli {
namespace {

constexpr int kRunsMax = 100;  // as the daemon's

// Looks, and knows what it saw last.
class Looker {
 public:
  Looker(Client& client, int runs_max) : client_(client) { request_.set_runs_max(runs_max); }

  absl::Status Look() {
    auto activity = client_.GetActivity(request_);
    if (!activity.ok()) return activity.status();
    std::optional<RunRate> rate;
    if (last_) rate = RateBetween(*last_, *activity);
    rate_ = rate.value_or(RateOfLastMinute(*activity));
    last_ = *std::move(activity);
    return absl::OkStatus();
  }
  const v1::GetActivityResponse& activity() const { return *last_; }
  const RunRate& rate() const { return rate_; }

 private:
  Client& client_;
  v1::GetActivityRequest request_;
  std::optional<v1::GetActivityResponse> last_;
  RunRate rate_;
};

}  // namespace

int Top(const Arguments& arguments, Context& context) {
  int runs_max = 0;
  if (!absl::SimpleAtoi(arguments.Get("limit"), &runs_max) || runs_max < 1 || runs_max > kRunsMax) {
    return Fail(context, kExitUsage, absl::StrCat("--limit is a number from 1 to ", kRunsMax));
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  Looker looker(**client, runs_max);
  if (context.format == Format::kJsonl) {
    return WatchData(context, [&]() -> absl::StatusOr<std::string> {
      if (absl::Status status = looker.Look(); !status.ok()) return status;
      return TopJson(looker.activity(), looker.rate());
    });
  }
  if (context.out.tty && !context.wants_data()) {
    return WatchLines(
        context, [&](int width, int height) -> absl::StatusOr<std::vector<std::string>> {
          if (absl::Status status = looker.Look(); !status.ok()) return status;
          return TopLines(looker.activity(), looker.rate(), context.out, width, height);
        });
  }
  if (absl::Status status = looker.Look(); !status.ok()) return FailWith(context, status);
  if (context.wants_data()) {
    return PrintData(context, TopJson(looker.activity(), looker.rate()));
  }
  context.out.Write(absl::StrCat(
      absl::StrJoin(TopLines(looker.activity(), looker.rate(), context.out, context.width, 0),
                    "\n"),
      "\n"));
  return kExitOk;
}

}  // namespace beamline::cli
