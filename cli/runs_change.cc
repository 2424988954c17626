// `beamline wait`, `signal` and `runs rm`: what waits for a run, moves it, or takes it away.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/inputs.h"
#include "cli/output.h"
#include "cli/prompt.h"
#include "cli/run_name.h"
#include "cli/tree.h"
#include "cli/verbs.h"

namespace beamline::cli {

int Wait(const Arguments& arguments, Context& context) {
  AwaitOptions options;
  options.junit = arguments.Get("junit");
  if (arguments.Has("timeout") &&
      !absl::ParseDuration(arguments.Get("timeout"), &options.timeout)) {
    return Fail(context, kExitUsage,
                absl::StrCat("`", arguments.Get("timeout"), "` is no duration"),
                "as in 90s, 20m, 1h30m");
  }
  const std::string& what = arguments.Get("for");
  options.or_waiting = what == "waiting";
  if (absl::StartsWith(what, "step:")) options.step = what.substr(5);
  if (!options.or_waiting && options.step.empty() && what != "done") {
    return Fail(context, kExitUsage, absl::StrCat("cannot wait for `", what, "`"),
                "--for done, --for waiting or --for step:ID");
  }
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  options.run_id = named->id;
  return AwaitRun(context, *named->client, options);
}

int Signal(const Arguments& arguments, Context& context) {
  const bool whole = arguments.Has("payload");
  if (whole && arguments.Has("data")) {
    return Fail(context, kExitUsage, "--payload and --data exclude each other");
  }
  std::string payload = arguments.Get("payload");
  if (!whole && arguments.Has("data")) {
    const flowspec::Flow untyped;
    absl::StatusOr<std::string> fields = ReadInputs(untyped, {.pairs = arguments.All("data")});
    if (!fields.ok()) return Fail(context, kExitUsage, std::string(fields.status().message()));
    payload = *std::move(fields);
  }
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  v1::SignalRunRequest request;
  const std::string& key = arguments.Get("idempotency-key");
  request.set_request_id(key.empty() ? NewRequestId() : key);
  request.set_run_id(named->id);
  request.set_name(arguments.Get("NAME"));
  request.set_payload(payload);
  auto response = named->client->SignalRun(request);
  if (!response.ok()) return FailWith(context, response.status());
  const std::string id = ShortId(named->id);
  if (!response->expected()) {
    Warn(context,
         absl::StrCat("no step of the flow waits for `", request.name(), "`; the signal is kept"));
  }
  Hint(context, absl::StrCat(id, " got `", request.name(), "`\n→ beamline wait ", id,
                             " · beamline why ", id));
  return kExitOk;
}

int RunsRemove(const Arguments& arguments, Context& context) {
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  NamedRun run{*std::move(client), ""};
  std::vector<std::string> ids;
  int code = kExitOk;
  for (const std::string& name : arguments.All("RUN")) {
    if (!ResolveName(context, name, &run, &code)) return code;
    ids.push_back(run.id);
  }
  for (const std::string& id : ids) context.err.Write(absl::StrCat("  ", id, "\n"));
  if (!Confirm(context, absl::StrCat("delete ", Count(static_cast<long long>(ids.size()), "run"),
                                     " with events and output?"))) {
    return Fail(context, kExitUsage, "nothing was deleted",
                "say --yes to delete without being asked");
  }
  for (const std::string& id : ids) {
    if (absl::Status status = run.client->DeleteRun(id); !status.ok()) {
      return FailWith(context, status);
    }
    Hint(context, absl::StrCat(ShortId(id), " is deleted"));
  }
  return kExitOk;
}

}  // namespace beamline::cli
