// `beamline worker run`: makes any command a worker. One loop polls the processes, the signals and
// what the daemon says.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "cli/worker_child.h"
#include "cli/worker_stream.h"
#include "flowspec/mutex.h"

namespace beamline::cli {
namespace {

constexpr int kCreditMax = 1000;
constexpr absl::Duration kBackoffMin = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMax = absl::Seconds(5);
constexpr absl::Duration kHeartbeatDefault = absl::Seconds(10);
constexpr absl::Duration kKillAfter = absl::Seconds(8);     // less than the daemon waits
constexpr absl::Duration kAbandonAfter = absl::Seconds(1);  // pipes that outlive their process
constexpr size_t kChunkBytesMax = 64 << 10;

// What the daemon said, handed from the transport's thread to the loop.
class Inbox {
 public:
  Inbox() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Inbox() { close(fd_); }
  int fd() const { return fd_; }

  void Put(v1::DaemonWord& word) {
    flowspec::MutexLock lock(&mu_);
    words_.emplace_back().Swap(&word);
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  }

  std::vector<v1::DaemonWord> Take() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(fd_, &count, sizeof(count));
    flowspec::MutexLock lock(&mu_);
    return std::exchange(words_, {});
  }

 private:
  const int fd_;
  flowspec::Mutex mu_;
  std::vector<v1::DaemonWord> words_ ABSL_GUARDED_BY(mu_);
};

// A directory for the files of $BEAMLINE_OUTPUT.
class Scratch {
 public:
  Scratch() {
    const char* tmp = getenv("TMPDIR");
    path_ = absl::StrCat(tmp == nullptr || *tmp != '/' ? "/tmp" : tmp, "/beamline-worker-XXXXXX");
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  bool ok() const { return !path_.empty(); }
  std::string NextFile() { return absl::StrCat(path_, "/", ++last_); }

 private:
  std::string path_;
  int last_ = 0;
};

std::string DefaultId() {
  char host[64] = "worker";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(host, ":", getpid());
}

class WorkerRun {
 public:
  WorkerRun(Context& context, v1::Hello hello, std::vector<std::string> command)
      : context_(context), hello_(std::move(hello)), command_(std::move(command)) {}

  int Run() {
    if (!scratch_.ok()) return Fail(context_, kExitFailed, "cannot create a temporary directory");
    while (true) {
      const absl::Status end = Serve();
      children_.clear();  // their leases are over: nobody would take what they come to
      if (killed_) return kExitInterrupted;
      if (end.ok() || leaving_) return kExitOk;
      if (!WorthAnother(end)) return FailWith(context_, end);
      if (attached_) Hint(context_, absl::StrCat("lost the daemon: ", end.message()));
      attached_ = false;
      if (!Rest()) return kExitOk;
    }
  }

 private:
  struct Child {
    std::unique_ptr<WorkerChild> process;
    absl::Time kill_at = absl::InfiniteFuture();
  };

  // One stream, from its beginning to its end.
  absl::Status Serve() {
    WorkerStream stream(context_.socket, hello_,
                        [this](v1::DaemonWord& word) { inbox_.Put(word); });
    stream_ = &stream;
    inbox_.Take();
    heartbeat_ = kHeartbeatDefault;
    next_heartbeat_ = absl::Now() + heartbeat_;
    stream.Start();
    while (!stream.AwaitEnd(absl::ZeroDuration())) {
      Wait();
      for (v1::DaemonWord& word : inbox_.Take()) Hear(word);
      if (!HearSignals()) break;
      Proceed();
      Beat();
      if (leaving_ && children_.empty() && !said_goodbye_) {
        said_goodbye_ = true;
        stream.SayGoodbye();
      }
    }
    stream_ = nullptr;
    return killed_ ? absl::CancelledError("interrupted") : stream.status();
  }

  // A daemon that comes back soon, or another stream of ours that it has not noticed the end of.
  bool WorthAnother(const absl::Status& end) const {
    switch (end.code()) {
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kCancelled:
      case absl::StatusCode::kUnknown:
      case absl::StatusCode::kInternal:
        return true;
      case absl::StatusCode::kAlreadyExists:
        return ever_attached_;
      default:
        return false;
    }
  }

  // Until the next attempt to attach; false if a signal came.
  bool Rest() {
    const absl::Time until = absl::Now() + backoff_;
    backoff_ = std::min(backoff_ * 2, kBackoffMax);
    while (absl::Now() < until || !IsListening(context_.socket)) {
      pollfd fd{signals_.fd(), POLLIN, 0};
      poll(&fd, 1, 50);
      if (!HearSignals() || leaving_) return false;
    }
    return true;
  }

  void Wait() {
    std::vector<pollfd> fds = {{signals_.fd(), POLLIN, 0}, {inbox_.fd(), POLLIN, 0}};
    absl::Time until = next_heartbeat_;
    for (const Child& child : children_) {
      const WorkerChild::Fds& open = child.process->fds();
      if (open.in >= 0) fds.push_back({open.in, POLLOUT, 0});
      for (int fd : {open.out, open.err, open.exit}) {
        if (fd >= 0) fds.push_back({fd, POLLIN, 0});
      }
      until = std::min({until, child.kill_at, child.process->exited_at() + kAbandonAfter});
    }
    // The stream's end wakes nobody: it is looked for often enough for a person.
    const auto wait_ms = absl::ToInt64Milliseconds(until - absl::Now()) + 1;
    poll(fds.data(), fds.size(), static_cast<int>(std::clamp<int64_t>(wait_ms, 0, 200)));
  }

  void Hear(v1::DaemonWord& word) {
    if (word.has_welcome()) {
      attached_ = ever_attached_ = true;
      backoff_ = kBackoffMin;
      if (word.welcome().heartbeat_interval().seconds() > 0) {
        heartbeat_ = absl::Seconds(word.welcome().heartbeat_interval().seconds());
      }
      Hint(context_, absl::StrCat("worker ", hello_.worker_id(), " is attached to ",
                                  context_.socket, "\n→ beamline worker list"));
      if (leaving_) SayDrain();
    } else if (word.has_assign()) {
      Begin(std::move(*word.mutable_assign()));
    } else if (word.has_cancel()) {
      for (Child& child : children_) {
        const v1::Assign& assign = child.process->assign();
        if (assign.lease_epoch() == word.cancel().lease_epoch() &&
            assign.ref().run_id() == word.cancel().ref().run_id() &&
            assign.ref().path() == word.cancel().ref().path()) {
          Stop(child, word.cancel().force());
        }
      }
    } else if (word.has_drain()) {
      Hint(context_, absl::StrCat("draining: ", Printable(word.drain().reason())));
      leaving_ = true;
    } else if (word.has_result_ack() && word.result_ack().verdict() != v1::RESULT_VERDICT_TAKEN) {
      Warn(context_, absl::StrCat(Printable(word.result_ack().ref().path()),
                                  ": the daemon did not take the result: ",
                                  Printable(word.result_ack().message())));
    }
  }

  void Begin(v1::Assign assign) {
    if (leaving_) {
      v1::WorkerWord word;
      *word.mutable_reject()->mutable_ref() = assign.ref();
      word.mutable_reject()->set_lease_epoch(assign.lease_epoch());
      word.mutable_reject()->set_reason("draining");
      return stream_->Say(std::move(word));
    }
    const v1::AttemptRef ref = assign.ref();
    const uint64_t epoch = assign.lease_epoch();
    auto process = WorkerChild::Start(command_, std::move(assign), scratch_.NextFile());
    v1::WorkerWord word;
    if (process.ok()) {
      *word.mutable_accept()->mutable_ref() = ref;
      word.mutable_accept()->set_lease_epoch(epoch);
      children_.push_back({*std::move(process)});
    } else {
      *word.mutable_reject()->mutable_ref() = ref;
      word.mutable_reject()->set_lease_epoch(epoch);
      word.mutable_reject()->set_reason(std::string(process.status().message()));
    }
    stream_->Say(std::move(word));
  }

  void Stop(Child& child, bool force) {
    child.process->Stop(force);
    child.kill_at = std::min(child.kill_at, absl::Now() + kKillAfter);
  }

  // False: everything is to end at once.
  bool HearSignals() {
    while (const int signal = signals_.Take()) {
      if (signal == SIGTSTP) signals_.StopProcess();
      if (signal != SIGINT && signal != SIGTERM && signal != SIGHUP) continue;
      if (leaving_ && signal == SIGINT) {
        killed_ = true;
        return false;
      }
      if (!leaving_) {
        leaving_ = true;
        Hint(context_,
             absl::StrCat("draining: ", Count(static_cast<long long>(children_.size()), "attempt"),
                          " to finish", signal == SIGINT ? "; ^C kills" : ""));
        if (attached_) SayDrain();
      }
    }
    return true;
  }

  void SayDrain() {
    v1::WorkerWord word;
    word.mutable_drain();
    stream_->Say(std::move(word));
  }

  void Proceed() {
    const absl::Time now = absl::Now();
    for (Child& child : children_) {
      WorkerChild& process = *child.process;
      const auto print = [&](v1::LogStream which, std::string_view bytes) {
        Print(process.assign(), which, bytes);
      };
      process.Proceed(print);
      if (now >= child.kill_at) {
        process.Stop(/*force=*/true);
        child.kill_at = absl::InfiniteFuture();
      }
      if (now >= process.exited_at() + kAbandonAfter) process.Abandon();
      if (!process.done()) continue;
      v1::WorkerWord word;
      *word.mutable_result() = process.TakeResult(print);
      Tell(word.result());
      stream_->Say(std::move(word));
    }
    children_.erase(std::remove_if(children_.begin(), children_.end(),
                                   [](const Child& child) { return child.process->done(); }),
                    children_.end());
  }

  void Print(const v1::Assign& assign, v1::LogStream which, std::string_view bytes) {
    while (!bytes.empty()) {
      v1::WorkerWord word;
      v1::LogChunk* chunk = word.mutable_log_chunk();
      *chunk->mutable_ref() = assign.ref();
      chunk->set_lease_epoch(assign.lease_epoch());
      chunk->set_stream(which);
      chunk->set_data(std::string(bytes.substr(0, kChunkBytesMax)));
      bytes.remove_prefix(chunk->data().size());
      stream_->Say(std::move(word));
    }
  }

  void Tell(const v1::Result& result) {
    if (!context_.err.tty && !result.has_failure()) return;
    Hint(context_,
         absl::StrCat(result.has_failure()   ? "✖ "
                      : result.has_stopped() ? "◌ "
                                             : "✔ ",
                      Printable(result.ref().path()), " of ", result.ref().run_id(),
                      result.has_failure() ? ": " : "", Printable(result.failure().message())));
  }

  // Often enough for the strictest of what runs.
  void Beat() {
    absl::Duration interval = heartbeat_;
    for (const Child& child : children_) {
      const auto& heartbeat = child.process->assign().heartbeat();
      const absl::Duration silence =
          absl::Seconds(heartbeat.seconds()) + absl::Nanoseconds(heartbeat.nanos());
      if (silence > absl::ZeroDuration()) interval = std::min(interval, silence / 3);
    }
    const absl::Time now = absl::Now();
    next_heartbeat_ = std::min(next_heartbeat_, now + interval);
    if (now < next_heartbeat_ || !attached_) return;
    next_heartbeat_ = now + interval;
    v1::WorkerWord word;
    word.mutable_heartbeat()->set_inflight(static_cast<int32_t>(children_.size()));
    word.mutable_heartbeat()->set_credit(hello_.credit());
    stream_->Say(std::move(word));
  }

  Context& context_;
  const v1::Hello hello_;
  const std::vector<std::string> command_;
  SignalPipe signals_;
  Scratch scratch_;
  Inbox inbox_;
  std::vector<Child> children_;
  WorkerStream* stream_ = nullptr;  // of the Serve under way
  bool attached_ = false, ever_attached_ = false;
  bool leaving_ = false, said_goodbye_ = false, killed_ = false;
  absl::Duration backoff_ = kBackoffMin, heartbeat_ = kHeartbeatDefault;
  absl::Time next_heartbeat_;
};

}  // namespace

int WorkerRunCommand(const Arguments& arguments, Context& context) {
  v1::Hello hello;
  int credit = 0;
  if (!absl::SimpleAtoi(arguments.Get("credit"), &credit) || credit < 1 || credit > kCreditMax) {
    return Fail(context, kExitUsage, absl::StrCat("--credit is a number from 1 to ", kCreditMax));
  }
  if (arguments.Get("queue").empty() || arguments.All("task").empty()) {
    return Fail(context, kExitUsage, "--queue and --task say what the worker serves",
                "beamline worker run --queue enrich --task Enrich/v2 -- ./enrich");
  }
  hello.set_worker_id(arguments.Has("id") ? arguments.Get("id") : DefaultId());
  hello.set_protocol_version(1);
  hello.set_credit(credit);
  hello.set_program(absl::StrCat("beamline: ", absl::StrJoin(arguments.All("CMD"), " ")));
  v1::Capability* capability = hello.add_capabilities();
  capability->set_queue(arguments.Get("queue"));
  for (const std::string& task : arguments.All("task")) capability->add_tasks(task);
  signal(SIGPIPE, SIG_IGN);  // commands need not read their input
  // Starts the daemon if there is none; later it is waited for.
  absl::StatusOr<std::unique_ptr<Client>> client = Connect(context);
  if (!client.ok()) return FailWith(context, client.status());
  return WorkerRun(context, std::move(hello), arguments.All("CMD")).Run();
}

}  // namespace beamline::cli
