// The commands about daemons: the one of this machine, and those elsewhere.
#include "cli/commands.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

Command InitTlsCommand() {
  return {
      .name = "daemon init-tls",
      .group = "DAEMON",
      .summary = "Make certificates for a daemon that serves the network, and for its clients",
      .description =
          "Makes a certificate authority (ECDSA P-256, ten years), a certificate for the daemon "
          "and "
          "one per client (397 days), for development and small installations. Keys are readable "
          "to "
          "their owner only, and never shown. A CA that is in the directory already signs what is "
          "added later, so that more clients can be made at any time.\n\n"
          "The name of a client is what its runs are recorded with: `ci@acme` becomes an e-mail "
          "name, `spiffe://acme/ci` a SPIFFE id, anything else the common name. Nothing that "
          "exists "
          "is overwritten without `--force`, and the CA never is.",
      .flags = {{.name = "dir",
                 .value = "DIR",
                 .help = "where they are kept (tls/ in the configuration directory)",
                 .completes = Completes::kDirectory},
                {.name = "host",
                 .value = "NAME",
                 .help = "a name or address that clients reach the daemon by; without it, those of "
                         "this machine",
                 .repeated = true},
                {.name = "client",
                 .value = "NAME",
                 .help = "who may connect; at first, without it, you",
                 .repeated = true},
                {.name = "force", .help = "replace what --host and --client name"}},
      .examples = {{"A daemon that others can reach",
                    "beamline daemon init-tls --host build.example.com --client ci@acme"},
                   {"One more client, later", "beamline daemon init-tls --client ana@acme"}},
      .exits = {kExitFailed, kExitConflict},
      .handler = DaemonInitTls,
  };
}

Positional ContextName(const char* help) {
  return {.name = "NAME", .help = help, .completes = Completes::kContext};
}

Flag FileFlag(const char* name, const char* help) {
  return {.name = name, .value = "FILE", .help = help, .completes = Completes::kFile};
}

}  // namespace

std::vector<Command> DaemonCommands() {
  constexpr const char* kDaemon = "DAEMON";
  return {
      {.name = "daemon start",
       .group = kDaemon,
       .summary = "Start the daemon if it does not run",
       .exits = {kExitConflict, kExitUnreachable},
       .handler = DaemonStart},
      {.name = "daemon stop",
       .group = kDaemon,
       .summary = "Let running steps end, then stop the daemon",
       .description = "Unfinished runs go on when the daemon is started again.",
       .flags = {{.name = "grace",
                  .value = "DURATION",
                  .help = "how long running steps may take to end; 0s kills them"}},
       .exits = {kExitConflict, kExitUnreachable},
       .handler = DaemonStop},
      {.name = "daemon status",
       .group = kDaemon,
       .summary = "Show the daemon's version, age, load and problems",
       .exits = {kExitFailed, kExitAccess, kExitUnreachable},
       .handler = DaemonStatus},
      {.name = "daemon logs",
       .group = kDaemon,
       .summary = "Print the daemon's log",
       .flags = {{.name = "follow", .letter = 'f', .help = "go on printing as it grows"},
                 {.name = "lines",
                  .letter = 'n',
                  .value = "N",
                  .help = "the last lines only",
                  .fallback = "200"}},
       .exits = {kExitNotFound, kExitConflict, kExitInterrupted},
       .handler = DaemonLogs},
      InitTlsCommand(),
  };
}

std::vector<Command> ContextCommands() {
  constexpr const char* kGroup = "CONTEXTS";
  return {
      {.name = "context ls",
       .group = kGroup,
       .summary = "List the daemons that have names, and mark the one that is meant",
       .description = "`default` is the daemon of this machine. Any other name that is not in the "
                      "list means a "
                      "further daemon of this machine, with data of its own.",
       .handler = ContextList},
      {.name = "context use",
       .group = kGroup,
       .summary = "Mean this daemon from now on",
       .description = "--context, BEAMLINE_CONTEXT and a project's .beamline.yaml are stronger.",
       .positionals = {ContextName("the context")},
       .exits = {kExitNotFound},
       .handler = ContextUse},
      {.name = "context add",
       .group = kGroup,
       .summary = "Give a name to a daemon elsewhere",
       .description =
           "The daemon is one that was started with --listen; `beamline daemon init-tls` makes "
           "certificates. The files stay where they are and are read at each command. Runs that "
           "are "
           "started over the network work in a directory of their own on the daemon's machine, "
           "which "
           "goes when the run has ended.",
       .positionals = {{.name = "NAME", .help = "the new name"}},
       .flags = {{.name = "address", .value = "HOST:PORT", .help = "where the daemon listens"},
                 FileFlag("cert", "your certificate, PEM"),
                 FileFlag("key", "its private key"),
                 FileFlag("ca", "who signs the daemon's certificate"),
                 {.name = "server-name",
                  .value = "NAME",
                  .help = "the name in the daemon's certificate, if it is not HOST"},
                 {.name = "insecure-loopback",
                  .help = "no TLS; for a daemon of this machine that was started with it"},
                 {.name = "force", .help = "replace the context if there is one of this name"}},
       .examples = {{"A daemon of the team",
                     "beamline context add team --address build.example.com:7443 --cert me.crt "
                     "--key me.key --ca ca.crt"}},
       .exits = {kExitAccess, kExitConflict},
       .handler = ContextAdd},
      {.name = "context rm",
       .group = kGroup,
       .summary = "Forget a daemon elsewhere; it and its runs stay as they are",
       .positionals = {ContextName("the context")},
       .exits = {kExitNotFound},
       .handler = ContextRemove},
  };
}

}  // namespace beamline::cli
