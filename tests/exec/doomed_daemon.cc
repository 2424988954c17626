// A daemon that is going to be killed: starts the script argv[2] as a step in the directory argv[1]
// and waits for ever.
#include <unistd.h>

#include "tests/exec/executor_fixture.h"

int main(int argc, char** argv) {
  using beamline::exec::ExecutorFixture;
  if (argc != 3) return 2;
  ExecutorFixture fixture;
  beamline::ports::Attempt attempt = fixture.AttemptOf(ExecutorFixture::Script(argv[2]));
  attempt.workspace = argv[1];
  fixture.Start(attempt);
  while (true) pause();
}
