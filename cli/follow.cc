// The loop behind `run`; see follow.h.
#include "cli/follow.h"

#include <poll.h>

#include <csignal>
#include <optional>
#include <utility>
#include <variant>

#include "absl/time/clock.h"
#include "cli/connect.h"
#include "cli/exit_code.h"
#include "cli/feed.h"
#include "cli/run_name.h"
#include "cli/screen.h"

namespace beamline::cli {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
// timeout(1) and CI runners signal a process and then its group, which is one wish, not two.
constexpr absl::Duration kSameInterrupt = absl::Milliseconds(250);
// A run counts as waiting once it has been so for a while: between two steps nothing runs either.
constexpr absl::Duration kWaitingGrace = absl::Milliseconds(500);

class Follower {
 public:
  Follower(const Context& context, Client& client, SignalPipe& signals, FollowOptions options)
      : context_(context),
        client_(client),
        signals_(signals),
        options_(std::move(options)),
        deadline_(absl::Now() + options_.timeout),
        view_(std::make_unique<proto::RunView>(KeysOf(client, options_.run_id))) {}

  absl::StatusOr<Followed> Run() {
    // Questions need the live tree, which shows them.
    const bool interactive =
        context_.may_ask() && ((options_.progress == ProgressKind::kAuto && !context_.quiet) ||
                               options_.progress == ProgressKind::kTty);
    if (interactive) keys_.emplace();
    progress_ = MakeProgress(options_.progress, context_, std::move(options_.places));
    Feed feed(client_, options_.run_id, progress_->wants_output(),
              [this] { Connect(context_).status().IgnoreError(); });
    while (!end_) {
      Wait(feed);
      TakeSignals();
      TakeKeys();
      for (Feed::Entry& entry : feed.Take()) Take(entry);
      Tick();
      CheckEnd(feed);
    }
    if (!status_.ok()) return status_;
    progress_->ShowNote("");
    progress_->OnEnd(*view_);
    progress_.reset();
    return Followed{*end_, std::move(view_)};
  }

 private:
  bool may_ask() const { return keys_.has_value() && keys_->fd() >= 0; }

  void Wait(const Feed& feed) {
    pollfd fds[] = {
        {feed.fd(), POLLIN, 0}, {signals_.fd(), POLLIN, 0}, {keys_ ? keys_->fd() : -1, POLLIN, 0}};
    const absl::Duration left = last_tick_ + kTick - absl::Now();
    const auto wait_ms = std::max<int64_t>(1, absl::ToInt64Milliseconds(left));
    poll(fds, std::size(fds), static_cast<int>(wait_ms));
  }

  void Take(const Feed::Entry& entry) {
    if (const auto* event = std::get_if<v1::ExecutionEvent>(&entry)) {
      view_->Apply(*event);
      progress_->OnEvent(*event, *view_);
    } else {
      progress_->OnOutput(std::get<v1::TailOutputResponse>(entry));
    }
  }

  void Tick() {
    const absl::Time now = absl::Now();
    if (now - last_tick_ < kTick) return;
    last_tick_ = now;
    if (keys_) keys_->Resume();  // a job that has come to the front gets the keys
    progress_->OnTick(*view_, now);
  }

  void CheckEnd(const Feed& feed) {
    const absl::Time now = absl::Now();
    if (view_->finished()) {
      end_ = interrupted_ ? FollowEnd::kInterrupted : FollowEnd::kFinished;
      return;
    }
    if (feed.events_ended()) {
      status_ = feed.status().ok() ? absl::UnavailableError("the run's events ended early")
                                   : feed.status();
      end_ = FollowEnd::kFinished;
      return;
    }
    const v1::Status status = view_->run().status();
    const bool waits =
        status == v1::STATUS_PAUSED || (status == v1::STATUS_WAITING && !view_->waits_for_time());
    if (!waits) {
      waiting_since_ = absl::InfiniteFuture();
    } else if (waiting_since_ == absl::InfiniteFuture()) {
      waiting_since_ = now;
    } else if (now - waiting_since_ > kWaitingGrace && !interrupted_) {
      end_ = FollowEnd::kWaiting;
    }
    if (now >= deadline_) end_ = FollowEnd::kTimeout;
  }

  void Cancel(const char* reason) {
    v1::CancelRunRequest request;
    request.set_request_id(NewRequestId());
    request.set_run_id(options_.run_id);
    request.set_reason(reason);
    // A run that has just finished needs no cancel.
    client_.CancelRun(request).status().IgnoreError();
  }

  void TakeSignals() {
    while (const int signal = signals_.Take()) {
      if (signal == SIGWINCH) {
        last_tick_ = absl::InfinitePast();
      } else if (signal == SIGTSTP) {
        Stop();
      } else if (signal == SIGHUP) {
        end_ = FollowEnd::kDetached;
      } else if (may_ask() && signal == SIGINT && !asking_ && !interrupted_) {
        asking_ = true;
        Note("[c]ancel the run  [d]etach, it goes on  [any key] back");
      } else if (!may_ask() && absl::Now() - interrupted_at_ < kSameInterrupt) {
        continue;
      } else if (asking_ || interrupted_) {
        if (!interrupted_) Cancel("interrupted");
        end_ = FollowEnd::kInterrupted;
      } else {
        interrupted_ = true;
        interrupted_at_ = absl::Now();
        Cancel("interrupted");
        Note("cancelling; once more to leave without waiting");
      }
    }
  }

  // Ctrl-Z.
  void Stop() {
    if (keys_) keys_->Suspend();
    progress_->Suspend();
    signals_.StopProcess();
    if (keys_) keys_->Resume();
    last_tick_ = absl::InfinitePast();
  }

  void Note(const char* note) {
    progress_->ShowNote(note);
    last_tick_ = absl::InfinitePast();  // shown at once
  }

  void TakeKeys() {
    if (!may_ask()) return;
    while (const char key = keys_->Take()) {
      if (key == 'd' || key == 'D') {
        end_ = FollowEnd::kDetached;
      } else if (asking_ && (key == 'c' || key == 'C')) {
        Cancel("cancelled from the terminal");
        Note("cancelling …");
      } else if (asking_) {
        Note("");
      }
      asking_ = false;
    }
  }

  const Context& context_;
  Client& client_;
  SignalPipe& signals_;
  FollowOptions options_;
  const absl::Time deadline_;
  std::unique_ptr<proto::RunView> view_;
  std::optional<KeyInput> keys_;
  std::unique_ptr<Progress> progress_;
  absl::Time last_tick_ = absl::InfinitePast();
  absl::Time waiting_since_ = absl::InfiniteFuture();
  bool asking_ = false;
  bool interrupted_ = false;
  absl::Time interrupted_at_ = absl::InfinitePast();
  std::optional<FollowEnd> end_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Followed> FollowRun(const Context& context, Client& client, SignalPipe& signals,
                                   FollowOptions options) {
  return Follower(context, client, signals, std::move(options)).Run();
}

int ExitCodeOf(const Followed& followed) {
  switch (followed.end) {
    case FollowEnd::kFinished:
      return ExitCodeOfStatus(followed.view->run().status(), followed.view->run().failure());
    case FollowEnd::kWaiting:
      return kExitWaiting;
    case FollowEnd::kDetached:
      return kExitOk;
    case FollowEnd::kTimeout:
      return kExitTimeout;
    case FollowEnd::kInterrupted:
      return kExitInterrupted;
  }
  return kExitFailed;
}

int ExitCodeOfStatus(v1::Status status, const v1::Failure& failure) {
  switch (status) {
    case v1::STATUS_SUCCEEDED:
      return kExitOk;
    case v1::STATUS_CANCELLED:
      return kExitCancelled;
    case v1::STATUS_WAITING:
    case v1::STATUS_PARKED:
    case v1::STATUS_PAUSED:
      return kExitWaiting;
    default:
      return failure.kind() == "rejected" || failure.kind() == "expired" ? kExitRejected
                                                                         : kExitFailed;
  }
}

}  // namespace beamline::cli
