// Runs as people name them, and what several commands do with one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/context.h"
#include "cli/run_json.h"
#include "proto/run_view.h"

namespace beamline::cli {

// A daemon, and the run of it that a command is about.
struct NamedRun {
  std::unique_ptr<Client> client;
  std::string id;
};

// The run that the positional RUN names; without one, a person picks from the last runs. Nothing
// after telling what is wrong, with the exit code in `*code`. Starts the daemon if there is none.
std::optional<NamedRun> NameRun(const Arguments& arguments, const Context& context, int* code);
// The run called `name`, by the client in `run`.
bool ResolveName(const Context& context, const std::string& name, NamedRun* run, int* code);

// The run as it is now, folded from its events; `each` sees every one of them.
absl::StatusOr<std::unique_ptr<proto::RunView>> LoadView(
    Client& client, const std::string& run_id,
    const std::function<void(const v1::ExecutionEvent&)>& each = [](const auto&) {});

// Reads the keys of a run's items, where they do not stand in an event. Borrows `client`.
proto::RunView::ReadBlob KeysOf(Client& client, const std::string& run_id);

// Reads blobs of a run that are at most 1 MiB, 64 MiB together. Borrows `client`.
BlobReader BlobsOf(Client& client, const std::string& run_id);

struct AwaitOptions {
  std::string run_id;
  bool or_waiting = false;
  std::string step;  // a step's path to wait for; "" = the run
  absl::Duration timeout = absl::InfiniteDuration();
  std::string junit;  // file for a report; "" = none
};
// Waits and returns the exit code for how it came out.
int AwaitRun(const Context& context, Client& client, const AwaitOptions& options);

// A time that is `text` ago ("2h", "7d"), or RFC 3339. InvalidArgument otherwise.
absl::StatusOr<absl::Time> ParseSince(const std::string& text, absl::Time now);

}  // namespace beamline::cli
