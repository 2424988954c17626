// Streams of a real daemon: past then live, resumed anywhere, dropped at any time.
#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/rpc/beamlined.h"
#include "tests/rpc/client.h"

namespace beamline::rpc_testing {
namespace {

constexpr char kChain[] =
    "beamline: flow/v1\n"
    "name: chain\n"
    "steps:\n"
    "  - {id: a, set: {x: 1}}\n"
    "  - {id: b, run: 'echo one; echo two >&2; sleep 0.05; echo three'}\n"
    "  - id: c\n"
    "    foreach: {items: '[1, 2, 3]'}\n"
    "    run: 'echo item $I'\n"
    "    env: {I: '${{ item }}'}\n"
    "  - {id: d, set: {x: 2}}\n";
constexpr char kSleep[] =
    "beamline: flow/v1\nname: sleep\nsteps:\n  - {id: nap, run: [sleep, '60']}\n";

struct Fixture {
  TemporaryDirectory directory;
  Beamlined daemon{directory.path()};
  bool listens = daemon.AwaitSocket();
  Client client{daemon.socket()};

  // The daemon's: connections, and some of its own.
  int OpenSockets() const {
    int sockets = 0;
    std::error_code gone;  // closed while we look
    for (const auto& fd :
         std::filesystem::directory_iterator(absl::StrCat("/proc/", daemon.pid(), "/fd"))) {
      const std::string target = std::filesystem::read_symlink(fd, gone).string();
      if (target.rfind("socket:", 0) == 0) ++sockets;
    }
    return sockets;
  }
};

void CheckGapFree(const std::vector<v1::ExecutionEvent>& events, uint64_t after_seq) {
  for (size_t i = 0; i < events.size(); ++i) CHECK(events[i].seq() == after_seq + 1 + i);
  REQUIRE(!events.empty());
  CHECK(events.back().has_run_finished());
}

TEST_CASE_FIXTURE(Fixture,
                  "two who follow from the start see the same events, without gap or repeat") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kChain);
  REQUIRE(id.ok());
  std::vector<v1::ExecutionEvent> first, second;
  std::thread other([&] { second = Client(daemon.socket()).AllEvents(*id); });
  first = client.AllEvents(*id);
  other.join();
  CheckGapFree(first, 0);
  REQUIRE(first.size() == second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    CHECK(first[i].SerializeAsString() == second[i].SerializeAsString());
    CHECK(first[i].run_id() == *id);
    CHECK(first[i].trace_id().size() == 32);
    CHECK(first[i].span_id().size() == 16);
    CHECK(first[i].has_time());
  }
  const v1::RunStarted& started = first[0].run_started();
  REQUIRE(started.outline_size() == 4);
  CHECK(started.outline(1).id() == "b");
  CHECK(started.outline(1).kind() == "run");
  CHECK(started.outline(2).foreach ());
  CHECK(started.outline(3).needs_size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a stream resumes after every event, past and live") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kChain);
  REQUIRE(id.ok());
  // While it runs: leave after each event, come back with its seq.
  uint64_t seq = 0;
  bool finished = false;
  while (!finished) {
    v1::StreamExecutionEventsRequest request;
    request.set_run_id(*id);
    request.set_after_seq(seq);
    request.set_follow(true);
    uint64_t got = 0;
    client
        .Events(request,
                [&](const v1::ExecutionEvent& event) {
                  got = event.seq();
                  finished = event.has_run_finished();
                  return false;
                })
        .IgnoreError();
    REQUIRE(got == seq + 1);
    seq = got;
  }
  // When it is over: from each of them on.
  for (uint64_t after = 0; after < seq; ++after) CheckGapFree(client.AllEvents(*id, after), after);
  CHECK(client.AllEvents(*id, seq).empty());
  CHECK(client.AllEvents(*id, seq + 1000).empty());
}

TEST_CASE_FIXTURE(Fixture, "without follow a stream ends at the present") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kSleep);
  REQUIRE(id.ok());
  v1::StreamExecutionEventsRequest request;
  request.set_run_id(*id);
  int events = 0;
  CHECK(client.Events(request, [&](const v1::ExecutionEvent&) { return ++events > 0; }).ok());
  CHECK(events >= 1);
}

TEST_CASE_FIXTURE(Fixture, "what steps print is followed to the end, filtered, and resumed") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kChain);
  REQUIRE(id.ok());
  v1::TailOutputRequest request;
  request.set_run_id(*id);
  request.set_follow(true);
  const auto chunks = client.Output(request);
  REQUIRE(chunks.ok());
  std::string out, err;
  for (const v1::TailOutputResponse& chunk : *chunks) {
    CHECK(chunk.attempt() == 1);
    (chunk.stream() == v1::OUTPUT_STREAM_STDERR ? err : out) += chunk.data();
  }
  CHECK(err == "two\n");
  for (const char* line : {"one\n", "three\n", "item 1\n", "item 2\n", "item 3\n"}) {
    CHECK(out.find(line) != std::string::npos);
  }
  for (size_t i = 0; i < chunks->size(); ++i) {
    request.set_offset((*chunks)[i].next_offset());
    CHECK(client.Output(request)->size() == chunks->size() - i - 1);
  }
  request.set_offset(0);
  request.set_step("c[1]");
  const auto item = client.Output(request);
  REQUIRE(item.ok());
  REQUIRE(item->size() == 1);
  CHECK((*item)[0].data() == "item 2\n");
  request.set_step("c");
  CHECK(client.Output(request)->size() == 3);
  request.set_step("nothing");
  CHECK(client.Output(request)->empty());
  request.set_offset(uint64_t{1} << 50);
  CHECK(ReasonOf(client.Output(request).status()) == "ARGUMENT_INVALID");
}

TEST_CASE_FIXTURE(Fixture, "a blob is read by those whose run names it, and by nobody else") {
  REQUIRE(listens);
  const auto id = client.StartFlow(
      "beamline: flow/v1\nname: big\nsteps:\n"
      "  - {id: big, run: 'head -c 3000000 /dev/zero | tr \"\\0\" x', capture: text}\n");
  REQUIRE(id.ok());
  REQUIRE(client.WaitFor(*id) == v1::STATUS_SUCCEEDED);
  const auto run = client.Get(*id);
  REQUIRE(run.ok());
  const std::string uri = run->run().steps(0).output().blob().blob_uri();
  REQUIRE(uri != "");
  const auto content = client.Blob(*id, uri);
  REQUIRE(content.ok());
  CHECK(content->size() == run->run().steps(0).output().blob().bytes());
  CHECK(content->substr(0, 5) == "\"xxxx");

  const auto other = client.StartFlow("beamline: flow/v1\nname: o\nsteps:\n  - {id: a, set: {}}\n");
  REQUIRE(other.ok());
  CHECK(ReasonOf(client.Blob(*other, uri).status()) == "BLOB_NOT_FOUND");
  CHECK(ReasonOf(client.Blob(*id, "blob:sha256:../../key").status()) == "BLOB_NOT_FOUND");
  CHECK(ReasonOf(client.Blob(*id, "file:///etc/passwd").status()) == "ARGUMENT_INVALID");
}

TEST_CASE_FIXTURE(Fixture, "streams and waits whose clients are gone leave nothing behind") {
  REQUIRE(listens);
  const auto id = client.StartFlow(kSleep);
  REQUIRE(id.ok());
  while (client.Status()->attempts_running() == 0) absl::SleepFor(absl::Milliseconds(5));
  absl::SleepFor(absl::Milliseconds(100));  // the step has its process and pipes by now
  const int sockets_before = OpenSockets();
  v1::StreamExecutionEventsRequest stream;
  stream.set_run_id(*id);
  stream.set_follow(true);
  v1::WaitRunRequest wait;
  wait.set_run_id(*id);
  {
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        Client other(daemon.socket());
        for (int j = 0; j < 10; ++j) {
          const absl::Status late = other.Events(
              stream, [](const v1::ExecutionEvent&) { return true; }, absl::Milliseconds(20));
          CHECK(absl::IsDeadlineExceeded(late));
          CHECK(absl::IsDeadlineExceeded(other.Wait(wait, absl::Milliseconds(5)).status()));
          other.Events(stream, [](const v1::ExecutionEvent&) { return false; }).IgnoreError();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (int i = 0; i < 200 && OpenSockets() > sockets_before; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  CHECK(OpenSockets() == sockets_before);
  // A call that were never ended would keep the daemon from ending.
  REQUIRE(client.Cancel(*id, true).ok());
  daemon.Signal(SIGTERM);
  CHECK(daemon.AwaitExit(absl::Seconds(5)) == 0);
}

}  // namespace
}  // namespace beamline::rpc_testing
