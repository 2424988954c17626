// clone(CLONE_VM | CLONE_VFORK), because posix_spawn cannot ask for PR_SET_PDEATHSIG.
#include "daemon/exec/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace beamline::exec {
namespace {

constexpr absl::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

// Everything the child touches. It shares the parent's memory (CLONE_VM), so it must not allocate,
// and what it writes here the parent reads.
struct ChildPlan {
  const Request* request = nullptr;
  std::vector<std::string> programs;  // to try in this order
  pid_t parent = -1;
  volatile SpawnStage stage = SpawnStage::kNone;
  volatile int error = 0;
};

// The files that argv[0] may mean, under the PATH that the process itself will see.
std::vector<std::string> ProgramsFor(const Request& request) {
  const absl::string_view name = request.argv.front();
  if (name.find('/') != name.npos) return {std::string(name)};
  absl::string_view path = kDefaultPath;
  for (const char* variable : request.env) {
    if (variable == nullptr) break;
    absl::string_view text = variable;
    if (absl::ConsumePrefix(&text, "PATH=")) path = text;
  }
  std::vector<std::string> programs;
  for (absl::string_view place : absl::StrSplit(path, ':')) {
    programs.push_back(absl::StrCat(place.empty() ? "." : place, "/", name));
  }
  return programs;
}

// Runs the first of the programs that exists; returns the errno that matters most if none does.
int ExecFirst(const ChildPlan& plan) {
  char* const* argv = const_cast<char* const*>(plan.request->argv.data());
  char* const* env = const_cast<char* const*>(plan.request->env.data());
  int error = ENOENT;
  for (const std::string& program : plan.programs) {
    execve(program.c_str(), argv, env);
    if (errno == EACCES) error = EACCES;  // as execvp does: another place may still have it
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) return errno;
  }
  return error;
}

int Fail(ChildPlan* plan, SpawnStage stage, int error) {
  plan->error = error;
  plan->stage = stage;
  return 127;
}

// The child: system calls only.
int Child(void* arg) {
  auto* plan = static_cast<ChildPlan*>(arg);
  const Request& request = *plan->request;
  setsid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != plan->parent) return 127;  // it died before the line above
  for (int i = 0; i < 3; ++i) {
    if (dup2(request.fds[i], i) < 0) return Fail(plan, SpawnStage::kStdio, errno);
  }
  if (chdir(request.dir) != 0) return Fail(plan, SpawnStage::kDir, errno);
  sigset_t no_signals;
  sigemptyset(&no_signals);
  sigprocmask(SIG_SETMASK, &no_signals, nullptr);
  return Fail(plan, SpawnStage::kExec, ExecFirst(*plan));
}

}  // namespace

SpawnResult Spawn(const Request& request) {
  // Sharing memory until exec costs the same however large this process is, and half of what a
  // fork costs even when it is small.
  alignas(16) static char stack[64 << 10];
  ChildPlan plan;
  plan.request = &request;
  plan.programs = ProgramsFor(request);
  plan.parent = getpid();
  const pid_t pid = clone(Child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &plan);
  if (pid < 0) return {.stage = SpawnStage::kFork, .error = errno};
  if (plan.stage == SpawnStage::kNone) return {.pid = pid};
  // It has ended without ever being the program: whoever reaps children takes it for a stranger.
  return {.stage = plan.stage, .error = plan.error};
}

}  // namespace beamline::exec
