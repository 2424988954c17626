// Limits by setrlimit(2), the rest by prctl(2) and a seccomp filter.
#include "daemon/exec/evaluator_confine.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "absl/status/status.h"

namespace beamline::exec {
namespace {

// Files of an evaluator. 0, 1 and 2 are /dev/null; libjq writes its last words there.
constexpr int kSocketFd = 3;
constexpr int kStatmFd = 4;                 // the process's own memory figures
constexpr rlim_t kStackBytesMax = 8 << 20;  // libjq recurses by the nesting of values
constexpr long kCpuSecondsAhead = 16;
constexpr long kCpuSecondsLow = 8;

// What reading a socket, allocating memory, seeding hashes and dying takes. Everything else fails
// with EPERM: abort(3) then ends by its trap instruction, and local time is UTC.
constexpr long kSystemCalls[] = {
    SYS_read,         SYS_write,           SYS_pread64,      SYS_brk,
    SYS_mmap,         SYS_munmap,          SYS_mremap,       SYS_mprotect,
    SYS_madvise,      SYS_futex,           SYS_rt_sigreturn, SYS_rt_sigprocmask,
    SYS_exit,         SYS_exit_group,      SYS_setrlimit,    SYS_clock_gettime,
    SYS_gettimeofday, SYS_restart_syscall, SYS_getrandom};

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;  // no filter
#endif

void FilterSystemCalls() {
  if (kArchitecture == 0) return;
  std::vector<sock_filter> code = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (const long call : kSystemCalls) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
  sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  // A kernel or container without seccomp leaves the other walls standing.
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// The system call of old: unlike prlimit(2) it reaches no other process, so the filter allows it.
bool SetLimit(int resource, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  return syscall(SYS_setrlimit, resource, &limit) == 0;
}

}  // namespace

absl::StatusOr<EvaluatorLimits> EvaluatorLimits::Confine(int fd) {
  const int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd != kSocketFd || statm < 0 || (statm != kStatmFd && dup2(statm, kStatmFd) < 0)) {
    return absl::InternalError("an evaluator needs its socket as file 3, and /proc");
  }
  close_range(kStatmFd + 1, ~0U, 0);
  // The child's parent is the thread that started it, which lives as long as the pool.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);

  EvaluatorLimits limits(kStatmFd);
  limits.memory_max_ = limits.MappedBytes() + kEvaluationBytesMax + kProgramBytesMax;
  if (!SetLimit(RLIMIT_AS, limits.memory_max_, limits.memory_max_) ||
      !SetLimit(RLIMIT_CORE, 0, 0) || !SetLimit(RLIMIT_STACK, kStackBytesMax, kStackBytesMax) ||
      !SetLimit(RLIMIT_NOFILE, kStatmFd + 1, kStatmFd + 1) || !SetLimit(RLIMIT_FSIZE, 0, 0) ||
      prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return absl::InternalError("an evaluator cannot limit itself");
  }
  FilterSystemCalls();
  return limits;
}

size_t EvaluatorLimits::MappedBytes() const {
  char text[64] = {};
  if (pread(statm_, text, sizeof(text) - 1, 0) <= 0) return 0;
  return std::strtoul(text, nullptr, 10) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

void EvaluatorLimits::AllowProgram() { SetLimit(RLIMIT_AS, memory_max_, memory_max_); }

void EvaluatorLimits::AllowEvaluation() {
  SetLimit(RLIMIT_AS, std::min(memory_max_, MappedBytes() + kEvaluationBytesMax), memory_max_);
}

void EvaluatorLimits::ExtendProcessorTime() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  if (used.tv_sec + kCpuSecondsLow < cpu_seconds_) return;
  cpu_seconds_ = used.tv_sec + kCpuSecondsAhead;
  SetLimit(RLIMIT_CPU, static_cast<rlim_t>(cpu_seconds_), RLIM_INFINITY);
}

}  // namespace beamline::exec
