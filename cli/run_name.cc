// Finding and reading runs; see run_name.h.
#include "cli/run_name.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/exit_code.h"
#include "cli/follow.h"
#include "cli/glyphs.h"
#include "cli/junit.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/text.h"
#include "cli/tree.h"

namespace beamline::cli {
namespace {

constexpr int kPickerRuns = 10;
constexpr size_t kBlobBytesMax = 1 << 20;
constexpr size_t kBlobBytesMaxTotal = 64 << 20;
constexpr size_t kKeysBytesMax = 64 << 20;
constexpr absl::Duration kReconnectInterval = absl::Milliseconds(500);

// Shows the last runs with numbers. "" if nobody picks one.
std::string PickRun(const Context& context, Client& client, int* code) {
  v1::ListRunsRequest request;
  request.set_page_size(kPickerRuns);
  auto runs = client.ListRuns(request);
  if (!runs.ok()) {
    *code = FailWith(context, runs.status());
    return "";
  }
  if (runs->runs().empty()) {
    *code = Fail(context, kExitNotFound, "there are no runs yet", "beamline run FILE");
    return "";
  }
  const Glyphs& glyphs = GlyphsFor(LocaleIsUtf8());
  for (int i = 0; i < runs->runs_size(); ++i) {
    const v1::RunSummary& run = runs->runs(i);
    const Mark mark = MarkOf(run.status(), false, glyphs);
    context.err.Write(absl::StrCat(
        PadLeft(absl::StrCat(i + 1), 3), "  ", Paint(context.err.color, mark.ink, mark.glyph), " ",
        PadRight(CutToWidth(Printable(run.flow()), 24), 24), "  ", ShortId(run.id()), "  ",
        ShortDuration(absl::Now() - ToTime(run.started_at())), " ago\n"));
  }
  std::optional<std::string> answer = Ask(context, "which run? [1] ");
  int number = 1;
  if (!answer || (!answer->empty() && (!absl::SimpleAtoi(*answer, &number) || number < 1 ||
                                       number > runs->runs_size()))) {
    *code = Fail(context, kExitUsage, "no run was picked");
    return "";
  }
  return runs->runs(number - 1).id();
}

// Waits on although the daemon goes away and comes back meanwhile.
absl::StatusOr<v1::WaitRunResponse> PatientWait(const Context& context, Client& client,
                                                const v1::WaitRunRequest& request) {
  while (true) {
    const absl::Time asked = absl::Now();
    auto response = client.WaitRun(request);
    if (!absl::IsUnavailable(response.status())) return response;
    // A daemon that does not even take the question is not asked again at once.
    if (absl::Now() - asked < kReconnectInterval) absl::SleepFor(kReconnectInterval);
    if (absl::Status status = Connect(context).status(); !status.ok()) return status;
  }
}

}  // namespace

bool ResolveName(const Context& context, const std::string& name, NamedRun* run, int* code) {
  absl::StatusOr<std::string> id = run->client->ResolveRun(name);
  if (id.ok()) {
    run->id = *std::move(id);
    return true;
  }
  *code = FailWith(context, id.status());
  const std::string candidates(DescribeError(id.status()).Metadata("ids"));
  for (absl::string_view candidate : absl::StrSplit(candidates, ',', absl::SkipWhitespace())) {
    context.err.Write(absl::StrCat("  ", Printable(std::string(candidate)), "\n"));
  }
  return false;
}

std::optional<NamedRun> NameRun(const Arguments& arguments, const Context& context, int* code) {
  const std::string& name = arguments.Get("RUN");
  if (name.empty() && !context.may_ask()) {
    *code = Fail(context, kExitUsage, "which run is meant?", "name one, as in @latest");
    return std::nullopt;
  }
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) {
    *code = FailWith(context, client.status());
    return std::nullopt;
  }
  NamedRun run{*std::move(client), ""};
  if (name.empty())
    run.id = PickRun(context, *run.client, code);
  else
    ResolveName(context, name, &run, code);
  if (run.id.empty()) return std::nullopt;
  return run;
}

proto::RunView::ReadBlob KeysOf(Client& client, const std::string& run_id) {
  return [&client, run_id](const v1::Blob& blob) {
    return client.ReadBlob(run_id, blob.blob_uri(), kKeysBytesMax).value_or("");
  };
}

absl::StatusOr<std::unique_ptr<proto::RunView>> LoadView(
    Client& client, const std::string& run_id,
    const std::function<void(const v1::ExecutionEvent&)>& each) {
  auto view = std::make_unique<proto::RunView>(KeysOf(client, run_id));
  v1::StreamExecutionEventsRequest request;
  request.set_run_id(run_id);
  CallStopper stopper;
  absl::Status status = client.StreamEvents(request, &stopper, [&](const EventBatch& events) {
    for (const v1::ExecutionEvent& event : events) {
      view->Apply(event);
      each(event);
    }
    return true;
  });
  if (!status.ok()) return status;
  return view;
}

BlobReader BlobsOf(Client& client, const std::string& run_id) {
  auto left = std::make_shared<size_t>(kBlobBytesMaxTotal);
  return [&client, run_id, left](const v1::Blob& blob) -> std::string {
    if (blob.bytes() > std::min(kBlobBytesMax, *left)) return "";
    *left -= blob.bytes();
    return client.ReadBlob(run_id, blob.blob_uri(), kBlobBytesMax).value_or("");
  };
}

int AwaitRun(const Context& context, Client& client, const AwaitOptions& options) {
  v1::WaitRunRequest request;
  request.set_run_id(options.run_id);
  request.set_or_waiting(options.or_waiting);
  request.set_step(options.step);
  if (options.timeout != absl::InfiniteDuration()) {
    request.set_timeout_ms(std::max<int64_t>(1, absl::ToInt64Milliseconds(options.timeout)));
  }
  auto response = PatientWait(context, client, request);
  if (!response.ok()) return FailWith(context, response.status());
  const std::string id = ShortId(options.run_id);
  if (!options.junit.empty()) {
    auto run = client.GetRun(options.run_id);
    absl::Status status = run.ok() ? WriteJunit(run->run(), options.junit) : run.status();
    if (!status.ok()) return FailWith(context, status);
  }
  if (!response->reached()) {
    Hint(context, absl::StrCat("the time is over; the run goes on\n→ beamline wait ", id));
    return kExitTimeout;
  }
  if (context.wants_data()) {
    auto run = client.GetRun(options.run_id);
    if (!run.ok()) return FailWith(context, run.status());
    int code = PrintData(context, RunJson(run->run(), BlobsOf(client, options.run_id)));
    if (code != kExitOk) return code;
  } else {
    std::string line = absl::StrCat(id, " ", proto::StatusWord(response->status()));
    if (response->status() == v1::STATUS_FAILED && response->has_failure()) {
      absl::StrAppend(&line, "  ", FailureText(response->failure()));
    }
    Hint(context, line);
    if (response->status() == v1::STATUS_FAILED) {
      Hint(context, absl::StrCat("→ beamline why ", id, " · beamline runs show ", id));
    }
  }
  // The step that was waited for is over, whatever the run does next.
  if (!options.step.empty()) return kExitOk;
  return ExitCodeOfStatus(response->status(), response->failure());
}

absl::StatusOr<absl::Time> ParseSince(const std::string& text, absl::Time now) {
  absl::Duration ago;
  int64_t days = 0;
  if (text.ends_with('d') && absl::SimpleAtoi(text.substr(0, text.size() - 1), &days) &&
      days >= 0) {
    return now - absl::Hours(24) * days;
  }
  if (absl::ParseDuration(text, &ago) && ago >= absl::ZeroDuration()) return now - ago;
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat("`", text, "` is no time: write 30m, 2h, 7d or 2025-01-31T12:00:00Z"));
}

}  // namespace beamline::cli
