// An attempt has ended when its process has, and both of its pipes are empty.
#include "daemon/exec/process_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "daemon/exec/descendants.h"

namespace beamline::exec {
namespace {

constexpr size_t kReadBytes = 64 << 10;
// More than a pipe holds: after an exit, this much is everything that the process printed.
constexpr size_t kPipeBytesMax = 1 << 20;
constexpr absl::Duration kDrainTime = absl::Seconds(1);  // for what a killed group still prints
constexpr size_t kInlineBytesMax = 256 << 10;  // larger results are parsed on a worker thread

uint64_t NowMs() { return uv_hrtime() / 1000000; }

absl::Status OutOfResources(absl::string_view what) {
  const bool is_files = errno == EMFILE || errno == ENFILE;
  return absl::UnavailableError(absl::StrCat(
      "cannot make ", what, " for the step: ", strerror(errno),
      is_files ? "; raise the daemon's limit of open files or run fewer steps at once" : ""));
}

// A descriptor to read `text` from. A file in memory takes any amount at once: nobody has to feed
// it, and a step that does not read it blocks nobody.
absl::StatusOr<int> StdinOf(const std::optional<std::string>& text) {
  const int fd =
      text ? memfd_create("stdin", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return OutOfResources("standard input");
  for (size_t at = 0; text && at < text->size();) {
    const ssize_t n = write(fd, text->data() + at, text->size() - at);
    if (n < 0 && errno != EINTR) {
      absl::Status status = OutOfResources("standard input");
      close(fd);
      return status;
    }
    at += std::max<ssize_t>(n, 0);
  }
  lseek(fd, 0, SEEK_SET);
  return fd;
}

// The descriptors of a step, closed unless they were handed on.
struct Ends {
  std::array<int, 3> child{-1, -1, -1};
  std::array<int, 2> ours{-1, -1};
  ~Ends() {
    for (int fd : child) close(fd);
    for (int fd : ours) close(fd);
  }
};

}  // namespace

struct ProcessLoop::Pipe {
  uv_poll_t poll;  // first, so that the handle is the pipe
  ProcessLoop* loop;
  uint64_t key;
  RunningStep* step;
  ports::OutputStream stream;
  int fd;
};

struct ProcessLoop::Preparation {
  uv_work_t request;
  ProcessLoop* loop;
  uint64_t key;
  ports::Attempt attempt;
  std::string dir;
  absl::Status made;
};

struct ProcessLoop::Work {
  uv_work_t request;
  ProcessLoop* loop;
  std::unique_ptr<RunningStep> step;
  run::ReportAttempt report;
};

ProcessLoop::ProcessLoop(uv_loop_t* loop, const std::string& work_dir, absl::Duration grace,
                         std::vector<std::string> supervisor, ports::OutputSink& sink,
                         ports::BlobStore& blobs)
    : loop_(loop),
      grace_(grace),
      base_environment_(BaseEnvironment(environ)),
      sink_(sink),
      blobs_(blobs),
      scratch_(work_dir),
      inputs_(blobs),
      link_(
          loop, std::move(supervisor), absl::StrCat(work_dir, "/supervisor.lock"),
          [this](const Reply& reply) { OnReply(reply); }, [this] { OnLost(); }),
      read_buffer_(kReadBytes),
      timer_(new uv_timer_t) {
  uv_timer_init(loop_, timer_);
  timer_->data = this;
}

ProcessLoop::~ProcessLoop() = default;

void ProcessLoop::Start(ports::Attempt attempt, std::function<void(run::ReportAttempt)> done) {
  const uint64_t key = next_key_++;
  auto owned = std::make_unique<RunningStep>(attempt, std::move(done), sink_);
  RunningStep& step = *owned;
  running_[key] = std::move(owned);
  if (absl::Status made = MakePlaces(step, attempt); !made.ok()) {
    const std::unique_ptr<RunningStep> failed = Take(key);
    return failed->done(NotStarted(failed->ended, made.message()));
  }
  if (attempt.inputs.empty()) return Begin(key, step, attempt);
  Prepare(key, step, std::move(attempt));
}

absl::Status ProcessLoop::MakePlaces(RunningStep& step, const ports::Attempt& attempt) {
  absl::StatusOr<std::string> output_path = scratch_.NewPath(attempt.run);
  if (!output_path.ok()) return output_path.status();
  step.ended.output_path = *std::move(output_path);
  return scratch_.MakeWorkspace(attempt.workspace);
}

// Lays out what earlier steps made; on a worker thread where files have to be copied.
void ProcessLoop::Prepare(uint64_t key, RunningStep& step, ports::Attempt attempt) {
  step.inputs = attempt.inputs;
  step.preparing = true;
  const bool ready = inputs_.Ready(attempt);
  auto* prepared = new Preparation{.loop = this, .key = key, .attempt = std::move(attempt)};
  prepared->dir = InputsPath(step.ended.output_path);
  prepared->request.data = prepared;
  ++working_;
  const auto make = [](uv_work_t* request) {
    auto* prepared = static_cast<Preparation*>(request->data);
    prepared->made = prepared->loop->inputs_.Make(prepared->attempt, prepared->dir);
  };
  const auto made = [](uv_work_t* request, int) {
    const std::unique_ptr<Preparation> prepared(static_cast<Preparation*>(request->data));
    --prepared->loop->working_;
    prepared->loop->OnPrepared(*prepared);
  };
  if (!ready) {
    uv_queue_work(loop_, &prepared->request, make, made);
  } else {
    make(&prepared->request);
    made(&prepared->request, 0);
  }
}

void ProcessLoop::OnPrepared(const Preparation& prepared) {
  RunningStep& step = *running_.at(prepared.key);
  step.preparing = false;
  if (prepared.made.ok() && step.asked == StopCause::kNone) {
    for (const auto& tree : step.inputs) {
      if (tree->left_out == 0) continue;
      step.Print(ports::OutputStream::kStderr,
                 absl::StrCat("beamline: step `", tree->step, "` made ", tree->left_out,
                              " files; that is too many to appear in $BEAMLINE_IN, pack them into "
                              "fewer\n"));
    }
    return Begin(prepared.key, step, prepared.attempt);
  }
  const std::unique_ptr<RunningStep> failed = Take(prepared.key);
  failed->ended.cause = failed->asked;
  failed->done(prepared.made.ok() ? Conclude(failed->ended, blobs_)
                                  : NoInputs(failed->ended, prepared.made.message()));
  FinishIfIdle();
}

void ProcessLoop::Begin(uint64_t key, RunningStep& step, const ports::Attempt& attempt) {
  const absl::Status launched = Launch(key, step, attempt);
  if (launched.ok()) return;
  const std::unique_ptr<RunningStep> failed = Take(key);
  failed->done(NotStarted(failed->ended, launched.message()));
}

absl::Status ProcessLoop::Launch(uint64_t key, RunningStep& step, const ports::Attempt& attempt) {
  absl::StatusOr<StepCommand> command =
      ReadStepCommand(attempt, base_environment_, step.ended.output_path);
  if (!command.ok()) return command.status();
  step.ended.command = *std::move(command);

  Ends ends;
  absl::StatusOr<int> in = StdinOf(step.ended.command.stdin_text);
  if (!in.ok()) return in.status();
  ends.child[0] = *in;
  for (int i = 0; i < 2; ++i) {
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) return OutOfResources("pipes");
    ends.ours[i] = pipe_ends[0];
    ends.child[i + 1] = pipe_ends[1];
  }
  if (absl::Status connected = link_.Connect(); !connected.ok()) return connected;
  link_.Spawn(key, step.ended.command.spawn, std::exchange(ends.child, {-1, -1, -1}));
  step.ended.command.stdin_text.reset();
  WatchPipe(key, step, ports::OutputStream::kStdout, std::exchange(ends.ours[0], -1));
  WatchPipe(key, step, ports::OutputStream::kStderr, std::exchange(ends.ours[1], -1));
  return absl::OkStatus();
}

void ProcessLoop::WatchPipe(uint64_t key, RunningStep& step, ports::OutputStream stream, int fd) {
  auto* pipe = new Pipe{.loop = this, .key = key, .step = &step, .stream = stream, .fd = fd};
  uv_poll_init(loop_, &pipe->poll, fd);
  uv_poll_start(&pipe->poll, UV_READABLE | UV_DISCONNECT, [](uv_poll_t* poll, int, int) {
    auto* pipe = reinterpret_cast<Pipe*>(poll);
    ProcessLoop* loop = pipe->loop;
    const uint64_t key = pipe->key;
    if (!loop->ReadPipe(pipe)) loop->ConcludeIfEnded(key);
  });
  pipes_[key][stream == ports::OutputStream::kStderr] = pipe;
  ++step.open_pipes;
}

// One read. False: it has ended, and `pipe` is gone.
bool ProcessLoop::ReadPipe(Pipe* pipe) {
  const ssize_t n = read(pipe->fd, read_buffer_.data(), read_buffer_.size());
  if (n > 0) {
    pipe->step->Print(pipe->stream, {read_buffer_.data(), static_cast<size_t>(n)});
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  ClosePipe(pipe);
  return false;
}

void ProcessLoop::ClosePipe(Pipe* pipe) {
  --pipe->step->open_pipes;
  pipes_[pipe->key][pipe->stream == ports::OutputStream::kStderr] = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&pipe->poll),
           [](uv_handle_t* handle) { delete reinterpret_cast<Pipe*>(handle); });
  close(pipe->fd);
}

// Takes what the pipes hold now.
void ProcessLoop::DrainPipes(uint64_t key, size_t bytes_max) {
  for (Pipe* pipe : std::array<Pipe*, 2>(pipes_[key])) {
    size_t drained = 0;
    int waiting = 1;
    while (pipe != nullptr && drained < bytes_max && waiting > 0) {
      if (!ReadPipe(pipe)) break;
      drained += kReadBytes;
      pollfd polled{pipe->fd, POLLIN, 0};
      waiting = poll(&polled, 1, 0);
    }
  }
}

void ProcessLoop::ClosePipes(uint64_t key) {
  for (Pipe* pipe : std::array<Pipe*, 2>(pipes_[key])) {
    if (pipe != nullptr) ClosePipe(pipe);
  }
}

void ProcessLoop::OnReply(const Reply& reply) {
  const auto it = running_.find(reply.key);
  if (it == running_.end()) return;
  RunningStep& step = *it->second;
  switch (reply.kind) {
    case ReplyKind::kStarted:
      step.pid = reply.value;
      if (step.asked == StopCause::kNone) {
        SetAlarm(reply.key, step, RunningStep::Alarm::kTimeout, step.ended.timeout);
      }
      return;
    case ReplyKind::kSpawnFailed: {
      ClosePipes(reply.key);
      const std::unique_ptr<RunningStep> failed = Take(reply.key);
      failed->done(NotStarted(failed->ended,
                              SpawnFailure(failed->ended.command.spawn, reply.stage, reply.value)));
      return FinishIfIdle();
    }
    case ReplyKind::kExited:
      return OnExit(reply.key, step, reply);
  }
}

void ProcessLoop::OnExit(uint64_t key, RunningStep& step, const Reply& reply) {
  step.exited = true;
  step.ended.wait_status = reply.value;
  step.ended.peak_rss_bytes = reply.peak_rss_bytes;
  if (reply.signalled != 0) step.ended.cause = step.asked;
  DrainPipes(key, kPipeBytesMax);
  if (step.open_pipes > 0) SetAlarm(key, step, RunningStep::Alarm::kDrain, kDrainTime);
  ConcludeIfEnded(key);
}

// Its direct children die with the supervisor; whatever those had started is looked for here, since
// the engine may start the steps again as soon as they are reported.
void ProcessLoop::OnLost() {
  absl::flat_hash_set<std::string> attempts;
  std::vector<uint64_t> lost;
  for (const auto& [key, step] : running_) {
    if (step->preparing) continue;
    lost.push_back(key);
    attempts.insert(step->attempt_name);
    if (step->pid > 0) kill(-step->pid, SIGKILL);
  }
  KillAttempts(attempts);
  for (const uint64_t key : lost) {
    DrainPipes(key, kPipeBytesMax);
    ClosePipes(key);
    const std::unique_ptr<RunningStep> step = Take(key);
    step->EndOutput();
    unlink(step->ended.output_path.c_str());
    step->done(Unknown(step->ended));
  }
  FinishIfIdle();
}

void ProcessLoop::Stop(const run::RunId& run, const std::string& path, int32_t attempt,
                       run::StopReason reason, bool force) {
  for (const auto& [key, step] : running_) {
    if (step->run != run || step->ended.path != path || step->ended.attempt != attempt) continue;
    if (step->asked == StopCause::kNone) step->ended.reason = reason;
    return AskToEnd(key, *step, StopCause::kRequest, force);
  }
}

// The first cause counts; a later one can only add force.
void ProcessLoop::AskToEnd(uint64_t key, RunningStep& step, StopCause cause, bool force) {
  if (step.exited) return;
  const bool is_first = step.asked == StopCause::kNone;
  if (is_first) step.asked = cause;
  if (step.preparing) return;  // OnPrepared sees it
  if (force) {
    ClearAlarm(key, step);
    link_.Signal(RequestKind::kKill, key);
  } else if (is_first) {
    link_.Signal(RequestKind::kTerminate, key);
    SetAlarm(key, step, RunningStep::Alarm::kGrace, grace_);
  }
}

void ProcessLoop::SetAlarm(uint64_t key, RunningStep& step, RunningStep::Alarm alarm,
                           absl::Duration after) {
  ClearAlarm(key, step);
  if (after == absl::InfiniteDuration()) return;
  step.alarm = alarm;
  // One more, because part of the current millisecond is over: never early.
  step.alarm_ms = NowMs() + std::max<int64_t>(absl::ToInt64Milliseconds(after), 0) + 1;
  alarms_.emplace(step.alarm_ms, key);
  if (alarms_.begin()->second == key) ArmTimer();
}

// The timer itself may stay armed: it then finds nothing to do.
void ProcessLoop::ClearAlarm(uint64_t key, RunningStep& step) {
  if (step.alarm == RunningStep::Alarm::kNone) return;
  alarms_.erase({step.alarm_ms, key});
  step.alarm = RunningStep::Alarm::kNone;
  if (alarms_.empty()) uv_timer_stop(timer_);
}

void ProcessLoop::ArmTimer() {
  if (alarms_.empty()) return;
  const uint64_t now = NowMs(), at = alarms_.begin()->first;
  uv_update_time(loop_);  // the delay counts from there
  uv_timer_start(
      timer_, [](uv_timer_t* timer) { static_cast<ProcessLoop*>(timer->data)->OnTimer(); },
      at > now ? at - now : 0, 0);
}

void ProcessLoop::OnTimer() {
  while (!alarms_.empty() && alarms_.begin()->first <= NowMs()) {
    const uint64_t key = alarms_.begin()->second;
    OnAlarm(key, *running_.at(key));
  }
  ArmTimer();
}

void ProcessLoop::OnAlarm(uint64_t key, RunningStep& step) {
  const RunningStep::Alarm alarm = step.alarm;
  ClearAlarm(key, step);
  switch (alarm) {
    case RunningStep::Alarm::kTimeout:
      return AskToEnd(key, step, StopCause::kTimeout, /*force=*/false);
    case RunningStep::Alarm::kGrace:
      return link_.Signal(RequestKind::kKill, key);
    case RunningStep::Alarm::kDrain:
      ClosePipes(key);
      return ConcludeIfEnded(key);
    case RunningStep::Alarm::kNone:
      return;
  }
}

std::unique_ptr<RunningStep> ProcessLoop::Take(uint64_t key) {
  const auto it = running_.find(key);
  std::unique_ptr<RunningStep> step = std::move(it->second);
  ClearAlarm(key, *step);
  running_.erase(it);
  pipes_.erase(key);
  if (!step->inputs.empty()) StepInputs::Remove(step->inputs, InputsPath(step->ended.output_path));
  return step;
}

void ProcessLoop::ConcludeIfEnded(uint64_t key) {
  const auto it = running_.find(key);
  if (it == running_.end() || !it->second->exited || it->second->open_pipes > 0) return;
  std::unique_ptr<RunningStep> step = Take(key);
  step->EndOutput();
  struct stat file {};
  stat(step->ended.output_path.c_str(), &file);
  const size_t bytes = step->ended.captured.size() + file.st_size;
  if (bytes > kInlineBytesMax || !step->ended.command.artifacts.empty()) {
    return ConcludeOnWorker(std::move(step));
  }
  step->done(Conclude(step->ended, blobs_));
  FinishIfIdle();
}

void ProcessLoop::ConcludeOnWorker(std::unique_ptr<RunningStep> step) {
  auto* work = new Work{.loop = this, .step = std::move(step)};
  work->request.data = work;
  ++working_;
  uv_queue_work(
      loop_, &work->request,
      [](uv_work_t* request) {
        auto* work = static_cast<Work*>(request->data);
        work->report = Conclude(work->step->ended, work->loop->blobs_);
      },
      [](uv_work_t* request, int) {
        const std::unique_ptr<Work> work(static_cast<Work*>(request->data));
        --work->loop->working_;
        work->step->done(std::move(work->report));
        work->loop->FinishIfIdle();
      });
}

void ProcessLoop::Finish(std::function<void()> finished) {
  finished_ = std::move(finished);
  for (const auto& [key, step] : running_) {
    AskToEnd(key, *step, StopCause::kRequest, /*force=*/true);
  }
  FinishIfIdle();
}

void ProcessLoop::FinishIfIdle() {
  if (finished_ == nullptr || !running_.empty() || working_ > 0) return;
  link_.Close();
  uv_close(reinterpret_cast<uv_handle_t*>(timer_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_timer_t*>(handle); });
  std::exchange(finished_, nullptr)();
}

}  // namespace beamline::exec
