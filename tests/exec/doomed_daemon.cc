// A daemon that is going to be killed: starts the script argv[2] as a step in the directory argv[1]
// and waits for ever.
#include <unistd.h>

#include "tests/exec/executor_fixture.h"

int main(int argc, char** argv) {
  using namespace beamline;
  if (argc != 3) return 2;
  exec::ExecutorFixture fixture;
  ports::Attempt attempt = fixture.AttemptOf(exec::ExecutorFixture::Script(argv[2]));
  attempt.workspace = argv[1];
  exec::Reported reported = fixture.Start(attempt);
  while (true) pause();
}
