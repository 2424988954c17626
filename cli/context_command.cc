// `beamline context ls`, `use`, `add` and `rm`.
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/contexts.h"
#include "cli/output.h"
#include "cli/places.h"
#include "cli/remote.h"
#include "cli/run_json.h"
#include "cli/verbs.h"
#include "flowspec/finding.h"

namespace beamline::cli {
namespace {

constexpr absl::Duration kExpiresSoon = absl::Hours(24 * 14);

// The file was read when the command began, or there would be no command.
Contexts Load() { return ReadContexts(ContextsPath(ProcessEnvironment())).value_or(Contexts()); }

int Save(const Context& context, const Contexts& contexts) {
  const absl::Status written = WriteContexts(ContextsPath(ProcessEnvironment()), contexts);
  if (written.ok()) return kExitOk;
  return Fail(context, kExitFailed, std::string(written.message()));
}

int FailUnknown(const Context& context, const Contexts& contexts, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, remote] : contexts.remotes) names.push_back(known);
  const std::string near = flowspec::DidYouMean(name, names);
  return Fail(context, kExitNotFound, absl::StrCat("there is no context `", name, "`"),
              near.empty() ? "beamline context ls" : absl::StrCat("did you mean `", near, "`?"));
}

std::string ContextsJson(const Contexts& contexts, const std::string& meant) {
  std::string json =
      absl::StrCat("[{\"name\":", QuoteJson(kLocalContext),
                   ",\"current\":", meant == kLocalContext ? "true" : "false", ",\"local\":true}");
  for (const auto& [name, remote] : contexts.remotes) {
    absl::StrAppend(&json, ",{\"name\":", QuoteJson(name),
                    ",\"current\":", meant == name ? "true" : "false",
                    ",\"local\":false,\"address\":", QuoteJson(remote.address));
    const auto add = [&](const char* key, const std::string& value) {
      if (!value.empty()) absl::StrAppend(&json, ",\"", key, "\":", QuoteJson(value));
    };
    add("cert", remote.cert);
    add("key", remote.key);
    add("ca", remote.ca);
    add("server_name", remote.server_name);
    json += "}";
  }
  return json + "]";
}

// The new context as the flags say; nothing after telling what is wrong with them.
std::optional<Remote> RemoteFrom(const Arguments& arguments, const Context& context) {
  Remote remote{.address = arguments.Get("address"), .server_name = arguments.Get("server-name")};
  const auto path = [&](const char* flag) {
    return arguments.Has(flag) ? AbsolutePath(arguments.Get(flag)) : std::string();
  };
  remote.cert = path("cert");
  remote.key = path("key");
  remote.ca = path("ca");
  if (remote.address.empty()) {
    Fail(context, kExitUsage, "`beamline context add` needs --address HOST:PORT");
    return std::nullopt;
  }
  std::string problem;
  if (remote.plain() != arguments.On("insecure-loopback")) {
    problem = remote.plain() ? "a daemon elsewhere is reached over TLS; give --cert, --key and --ca"
                             : "--insecure-loopback is for a daemon without TLS; leave it out, or "
                               "--cert, --key and --ca";
  } else {
    problem = CheckRemote(remote);
  }
  if (problem.empty()) return remote;
  Fail(context, kExitUsage, problem,
       remote.plain() ? "beamline daemon init-tls makes certificates" : "");
  return std::nullopt;
}

}  // namespace

int ContextList(const Arguments&, Context& context) {
  const Contexts contexts = Load();
  const std::string& meant = context.context;
  if (context.wants_data()) return PrintData(context, ContextsJson(contexts, meant));
  Table table({{""}, {"CONTEXT"}, {"ADDRESS"}, {"CERTIFICATE", false, true}});
  const auto mark = [&](const std::string& name) {
    return Table::Cell{name == meant ? "*" : "", Ink::kGreen};
  };
  const bool further = meant != kLocalContext && contexts.remotes.count(meant) == 0;
  table.Add({mark(kLocalContext), {kLocalContext}, {"this machine"}, {""}});
  if (further) table.Add({mark(meant), {meant}, {"this machine"}, {""}});
  for (const auto& [name, remote] : contexts.remotes) {
    table.Add({mark(name), {name}, {remote.address}, {remote.plain() ? "none" : remote.cert}});
  }
  table.Print(context);
  return kExitOk;
}

int ContextUse(const Arguments& arguments, Context& context) {
  Contexts contexts = Load();
  const std::string& name = arguments.Get("NAME");
  if (name != kLocalContext && contexts.remotes.count(name) == 0) {
    return FailUnknown(context, contexts, name);
  }
  contexts.current = name == kLocalContext ? "" : name;
  if (int code = Save(context, contexts); code != kExitOk) return code;
  Hint(context, absl::StrCat("commands mean `", name, "` from now on\n→ beamline daemon status"));
  const std::string variable = ProcessEnvironment()("BEAMLINE_CONTEXT");
  if (!variable.empty() && variable != name) {
    Warn(context, absl::StrCat("BEAMLINE_CONTEXT is `", variable, "`, which is stronger"));
  }
  return kExitOk;
}

int ContextAdd(const Arguments& arguments, Context& context) {
  Contexts contexts = Load();
  const std::string& name = arguments.Get("NAME");
  if (!IsContextName(name) || name == kLocalContext) {
    return Fail(context, kExitUsage,
                absl::StrCat("`", name, "` cannot be the name of a daemon elsewhere"),
                "letters, digits, . _ - only, and not `default`");
  }
  const std::optional<Remote> remote = RemoteFrom(arguments, context);
  if (!remote) return kExitUsage;
  if (contexts.remotes.count(name) > 0 && !arguments.On("force")) {
    return Fail(context, kExitConflict, absl::StrCat("there is a context `", name, "` already"),
                "--force replaces it");
  }
  const absl::Time now = absl::Now();
  const absl::StatusOr<RemoteFiles> files = ReadRemoteFiles(*remote, now);
  if (!files.ok()) return FailWith(context, files.status());
  contexts.remotes[name] = *remote;
  if (int code = Save(context, contexts); code != kExitOk) return code;
  if (files->expires - now < kExpiresSoon) {
    Warn(context, absl::StrCat("your certificate expires on ",
                               absl::FormatTime("%Y-%m-%d", files->expires, absl::UTCTimeZone())));
  }
  Hint(context, absl::StrCat("`", name, "` is ", remote->address, "\n→ beamline context use ", name,
                             " · beamline daemon status --context ", name));
  return kExitOk;
}

int ContextRemove(const Arguments& arguments, Context& context) {
  Contexts contexts = Load();
  const std::string& name = arguments.Get("NAME");
  if (contexts.remotes.erase(name) == 0) return FailUnknown(context, contexts, name);
  const bool meant = contexts.current == name;
  if (meant) contexts.current.clear();
  if (int code = Save(context, contexts); code != kExitOk) return code;
  Hint(context,
       absl::StrCat("`", name, "` is forgotten", meant ? "; commands mean `default` again" : ""));
  return kExitOk;
}

}  // namespace beamline::cli
