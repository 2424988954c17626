// `beamlined --supervise` without the daemon.
#include "daemon/exec/supervisor.h"

int main() { return beamline::exec::SupervisorMain(3); }
