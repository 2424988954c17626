// Watching a run to its end: progress, Ctrl-C, the client's timeout.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/client.h"
#include "cli/context.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "proto/run_view.h"

namespace beamline::cli {

struct FollowOptions {
  std::string run_id;
  ProgressKind progress = ProgressKind::kAuto;
  FlowPlaces places;
  absl::Duration timeout = absl::InfiniteDuration();
};

enum class FollowEnd {
  kFinished,
  kWaiting,      // for a person: nothing goes on by itself
  kDetached,     // somebody pressed d
  kTimeout,      // options.timeout is over
  kInterrupted,  // by a signal; the run was asked to cancel
};

struct Followed {
  FollowEnd end = FollowEnd::kFinished;
  std::unique_ptr<proto::RunView> view;
};

// On a terminal the first Ctrl-C asks whether to cancel or detach, a second one cancels and ends at
// once. Elsewhere SIGINT and SIGTERM cancel the run and wait for its end; a second one that does
// not come with the first does not wait. SIGHUP (the terminal is gone) detaches.
absl::StatusOr<Followed> FollowRun(const Context& context, Client& client, SignalPipe& signals,
                                   FollowOptions options);

// The exit code for how it ended.
int ExitCodeOf(const Followed& followed);
// The exit code for a run's status: 0, 1, 7 or 10.
// `failure`: of a run that failed; kExitRejected where people said no to it.
int ExitCodeOfStatus(v1::Status status, const v1::Failure& failure);

}  // namespace beamline::cli
