// The child of evaluator_test: what `beamlined --evaluator` is to the daemon.
#include "daemon/exec/evaluator_child.h"

int main() { return beamline::exec::EvaluatorMain(3); }
