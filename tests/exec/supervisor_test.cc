// The supervisor by itself, spoken to over its socket.
#include "daemon/exec/supervisor.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/exec/supervisor_wire.h"
#include "tests/exec/executor_fixture.h"

namespace beamline::exec {
namespace {

class Supervised {
 public:
  Supervised() {
    int ends[2];
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
    socket_ = ends[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 3);
    std::string program = EXEC_SUPERVISOR;
    char* argv[] = {program.data(), nullptr};
    posix_spawn(&pid_, argv[0], &actions, nullptr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
  }
  ~Supervised() {
    if (socket_ >= 0) Close();
  }
  // Ends it; its exit code.
  int Close() {
    close(socket_);
    socket_ = -1;
    int status = -1;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void Spawn(uint64_t key, const SpawnRequest& request) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const int fds[] = {null, null, null};
    SendAll(EncodeSpawn(key, request), fds);
    close(null);
  }
  void Bash(uint64_t key, const std::string& script) {
    Spawn(key, {{"bash", "-c", script}, {"PATH=/usr/bin:/bin"}, dir.path});
  }
  void SendAll(const std::string& bytes, absl::Span<const int> fds = {}) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = SendBytes(socket_, bytes.data() + sent, bytes.size() - sent, fds);
      if (n < 0) return;
      if (n > 0) fds = {};
      sent += n;
      pollfd writable{socket_, POLLOUT, 0};
      poll(&writable, 1, -1);
    }
  }
  // The next reply; a key of 0 if it closes the connection or takes too long.
  Reply Next() {
    Reply reply{};
    pollfd readable{socket_, POLLIN, 0};
    if (poll(&readable, 1, absl::ToInt64Milliseconds(kPatience)) <= 0) return {};
    return recv(socket_, &reply, sizeof reply, MSG_WAITALL) == sizeof reply ? reply : Reply{};
  }

  TemporaryDirectory dir;

 private:
  int socket_ = -1;
  pid_t pid_ = -1;
};

TEST_CASE("started, then exited with its status and memory") {
  Supervised s;
  s.Spawn(7, {{"sh", "-c", "exit 5"}, {}, "/"});  // no PATH at all: the default one
  Reply reply = s.Next();
  CHECK(reply.kind == ReplyKind::kStarted);
  CHECK(reply.key == 7);
  CHECK(reply.value > 1);
  reply = s.Next();
  CHECK(reply.kind == ReplyKind::kExited);
  CHECK(WEXITSTATUS(reply.value) == 5);
  CHECK(reply.signalled == 0);
  CHECK(reply.peak_rss_bytes > 0);
}

TEST_CASE("a program that is not there, a directory that is not there") {
  Supervised s;
  s.Spawn(1, {{"/no/such"}, {}, "/"});
  Reply reply = s.Next();
  CHECK(reply.kind == ReplyKind::kSpawnFailed);
  CHECK(reply.stage == SpawnStage::kExec);
  CHECK(reply.value == ENOENT);
  s.Spawn(2, {{"/bin/true"}, {}, "/no/such"});
  reply = s.Next();
  CHECK(reply.stage == SpawnStage::kDir);
  CHECK(reply.key == 2);
}

TEST_CASE("a signal that reached the process is told apart from an exit before it") {
  Supervised s;
  s.Bash(1, "exec sleep 1000");
  CHECK(s.Next().kind == ReplyKind::kStarted);
  s.SendAll(EncodeSignal(RequestKind::kTerminate, 1));
  Reply reply = s.Next();
  CHECK(reply.signalled == 1);
  CHECK(WTERMSIG(reply.value) == SIGTERM);
  s.SendAll(EncodeSignal(RequestKind::kTerminate, 1));  // gone, and nobody else is meant
  s.SendAll(EncodeSignal(RequestKind::kKill, 99));
  s.Bash(3, "true");
  CHECK(s.Next().key == 3);
}

TEST_CASE("when the socket closes everything dies, daemons that forked twice as well") {
  Supervised s;
  s.Bash(1,
         "(setsid env -i bash -c 'trap \"\" TERM HUP; echo $$ > wiped; sleep 1000; true' &) & "
         "(setsid bash -c 'echo $$ > outer; bash -c \"echo \\$\\$ > inner; sleep 1000; true\"; "
         "true' &) & "
         "echo $$ > leader; sleep 1000; true");
  std::vector<pid_t> pids;
  for (const char* name : {"leader", "wiped", "outer", "inner"})
    pids.push_back(PidIn(s.dir / name));
  for (pid_t pid : pids) REQUIRE(pid > 0);
  CHECK(s.Close() == 0);
  for (pid_t pid : pids) CHECK_FALSE(IsAlive(pid));  // it goes last
}

TEST_CASE("requests of a mebibyte arrive, however they are cut") {
  Supervised s;
  SpawnRequest request{{"true"}, {}, "/"};
  for (int i = 0; i < 9; ++i) request.argv.push_back(std::string(100000, 'x'));
  s.Spawn(1, request);
  CHECK(s.Next().kind == ReplyKind::kStarted);
  CHECK(s.Next().value == 0);
}

TEST_CASE("nonsense ends it, and with it what it started") {
  Supervised s;
  s.Bash(1, "echo $$ > pid; sleep 1000; true");
  const pid_t pid = PidIn(s.dir / "pid");
  REQUIRE(pid > 0);
  s.SendAll(std::string(64, '\xff'));
  CHECK(s.Next().key == 1);
  CHECK(s.Next().key == 0);
  CHECK_FALSE(IsAlive(pid));
}

}  // namespace
}  // namespace beamline::exec
