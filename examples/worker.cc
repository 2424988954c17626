// A worker in C++: answers every task with its own input, or squares a number for `Square/v1`.
//   example_worker SOCKET QUEUE TASK[,TASK…] [CREDIT] [ID]
// It ends when the daemon drains it or is gone. The program that `beamline worker run` is makes any
// command a worker; write one like this where a process for each attempt would be too much.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "cli/worker_stream.h"

namespace {

using beamline::v1::Assign;
using beamline::v1::DaemonWord;
using beamline::v1::WorkerWord;

// Welcome asks for a word every 10 s, and attempts are answered at once.
constexpr absl::Duration kHeartbeatInterval = absl::Seconds(3);

// What the attempt comes to. Anything slower than this belongs on threads of its own: words are
// heard one after the other.
WorkerWord Answer(Assign& assign) {
  WorkerWord word;
  auto* result = word.mutable_result();
  result->mutable_ref()->Swap(assign.mutable_ref());
  result->set_lease_epoch(assign.lease_epoch());
  if (assign.task() != "Square/v1") {
    result->mutable_output()->swap(*assign.mutable_input());
    return word;
  }
  double number = 0;
  if (absl::SimpleAtod(assign.input(), &number)) {
    result->set_output(absl::StrCat(number * number));
  } else {
    result->mutable_failure()->set_kind("not_a_number");
    result->mutable_failure()->set_message("Square/v1 wants a number as its input");
  }
  return word;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs("usage: example_worker SOCKET QUEUE TASK[,TASK…] [CREDIT] [ID]\n", stderr);
    return 2;
  }
  beamline::v1::Hello hello;
  hello.set_worker_id(argc > 5 ? argv[5] : absl::StrCat("example-", getpid()));
  hello.set_protocol_version(1);
  hello.set_credit(argc > 4 ? std::atoi(argv[4]) : 16);
  hello.set_program("example_worker");
  auto* capability = hello.add_capabilities();
  capability->set_queue(argv[2]);
  for (absl::string_view task : absl::StrSplit(argv[3], ',')) {
    capability->add_tasks(std::string(task));
  }
  // Everything is answered while it is heard, so that nothing runs when the daemon says Drain.
  beamline::cli::WorkerStream* stream = nullptr;
  beamline::cli::WorkerStream attached(argv[1], hello, [&stream](DaemonWord& word) {
    if (word.has_assign()) stream->Say(Answer(*word.mutable_assign()));
    if (word.has_drain()) stream->SayGoodbye();
  });
  stream = &attached;
  attached.Start();
  while (!attached.AwaitEnd(kHeartbeatInterval)) {
    WorkerWord alive;
    alive.mutable_heartbeat()->set_credit(hello.credit());
    attached.Say(alive);
  }
  const absl::Status end = attached.status();
  if (end.ok()) return 0;
  std::fprintf(stderr, "example_worker: %s\n", std::string(end.message()).c_str());
  return 1;
}
