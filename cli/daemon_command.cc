// `beamline daemon start`, `stop`, `status` and `logs`.
#include <poll.h>

#include <algorithm>
#include <fstream>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr int kLogPollMs = 200;
constexpr absl::Duration kStopPoll = absl::Milliseconds(50);
constexpr int kLinesMax = 100'000;

std::string StatusJson(const v1::GetDaemonStatusResponse& status) {
  return absl::StrCat(
      "{\"version\":", QuoteJson(status.version()), ",\"pid\":", status.pid(),
      ",\"started_at\":", QuoteJson(TimeText(status.started_at())),
      ",\"data_dir\":", QuoteJson(status.data_dir()), ",\"socket\":", QuoteJson(status.socket()),
      status.listen().empty() ? "" : absl::StrCat(",\"listen\":", QuoteJson(status.listen())),
      ",\"runs_unfinished\":", status.runs_unfinished(),
      ",\"attempts_running\":", status.attempts_running(),
      ",\"resident_bytes\":", status.resident_bytes(),
      ",\"durability\":", QuoteJson(status.durability()),
      ",\"draining\":", status.draining() ? "true" : "false", ",\"problems\":[",
      absl::StrJoin(
          status.problems(), ",",
          [](std::string* out, const std::string& problem) { *out += QuoteJson(problem); }),
      "]}");
}

void ShowStatus(const Context& context, const v1::GetDaemonStatusResponse& status) {
  const auto line = [&](const char* name, const std::string& value) {
    context.out.Write(absl::StrCat(Paint(context.out.color, Ink::kDim, PadRight(name, 11)), " ",
                                   Printable(value), "\n"));
  };
  line("beamlined", absl::StrCat(status.version(), status.draining() ? "  draining" : ""));
  line("pid", absl::StrCat(status.pid()));
  line("up", ShortDuration(absl::Now() - ToTime(status.started_at())));
  line("socket", status.socket());
  if (!status.listen().empty()) line("network", status.listen());
  line("data", status.data_dir());
  line("durability", status.durability());
  line("runs", absl::StrCat(status.runs_unfinished(), " unfinished, ",
                            Count(static_cast<long long>(status.attempts_running()), "attempt"),
                            " running"));
  line("memory", absl::StrCat(status.resident_bytes() >> 20, " MiB"));
  for (const std::string& problem : status.problems()) Warn(context, Printable(problem));
}

// What can only be done where the daemon is.
int FailElsewhere(const Context& context, std::string_view what) {
  return Fail(context, kExitConflict,
              absl::StrCat("the daemon of the context `", context.context, "` is elsewhere, at ",
                           context.remote->address, "; it cannot be ",
                           absl::string_view(what.data(), what.size()), " from here"),
              "do it on its machine, or mean this one's: --context default");
}

}  // namespace

int DaemonStart(const Arguments&, Context& context) {
  if (context.remote) return FailElsewhere(context, "started");
  const bool running = IsListening(context.socket);
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  Hint(context, absl::StrCat("beamlined ", running ? "is running already" : "is started", " on ",
                             context.socket, "\n→ beamline daemon status"));
  return kExitOk;
}

int DaemonStop(const Arguments& arguments, Context& context) {
  if (context.remote) return FailElsewhere(context, "stopped");
  absl::Duration grace = absl::ZeroDuration();  // the daemon's own setting
  if (arguments.Has("grace") && !absl::ParseDuration(arguments.Get("grace"), &grace)) {
    return Fail(context, kExitUsage, absl::StrCat("`", arguments.Get("grace"), "` is no duration"),
                "as in 30s, 5m");
  }
  // On the wire 0 is the daemon's own setting; here it is what was said.
  if (arguments.Has("grace")) grace = std::max(grace, absl::Milliseconds(1));
  absl::StatusOr<std::unique_ptr<Client>> client = ConnectToRunning(context);
  if (!client.ok()) {
    Hint(context, absl::StrCat("no beamlined is running on ", context.socket));
    return kExitOk;
  }
  if (absl::Status status = (*client)->Shutdown(grace); !status.ok()) {
    return FailWith(context, status);
  }
  // Ctrl-C ends only the waiting.
  while (IsListening(context.socket)) absl::SleepFor(kStopPoll);
  Hint(context, "beamlined is stopped; unfinished runs go on at its next start");
  return kExitOk;
}

int DaemonStatus(const Arguments&, Context& context) {
  absl::StatusOr<std::unique_ptr<Client>> client = ConnectToRunning(context);
  if (!client.ok() && context.remote) return FailWith(context, client.status());
  if (!client.ok()) {
    return Fail(context, kExitUnreachable,
                absl::StrCat("no beamlined is running on ", context.socket),
                "beamline daemon start");
  }
  auto status = (*client)->GetDaemonStatus();
  if (!status.ok()) return FailWith(context, status.status());
  if (context.wants_data()) {
    if (int code = PrintData(context, StatusJson(*status)); code != kExitOk) return code;
  } else {
    ShowStatus(context, *status);
  }
  return status->problems().empty() ? kExitOk : kExitFailed;
}

int DaemonLogs(const Arguments& arguments, Context& context) {
  if (context.remote) return FailElsewhere(context, "asked for its log");
  const std::string path = DaemonLogPath(context);
  int lines = 0;
  if (!absl::SimpleAtoi(arguments.Get("lines"), &lines) || lines < 1 || lines > kLinesMax) {
    return Fail(context, kExitUsage, absl::StrCat("--lines is a number from 1 to ", kLinesMax));
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return Fail(context, kExitNotFound, absl::StrCat("there is no log yet: ", path));
  const std::string last = LastLines(path, lines);
  if (!last.empty()) context.out.Write(last + "\n");
  while (arguments.On("follow")) {
    char buffer[16384];
    file.read(buffer, sizeof(buffer));
    const std::streamsize got = file.gcount();
    if (got > 0) context.out.Write(std::string_view(buffer, static_cast<size_t>(got)));
    file.clear();
    if (got == 0) poll(nullptr, 0, kLogPollMs);
  }
  return kExitOk;
}

}  // namespace beamline::cli
