// What an `approve` step asks, read from its body once the expressions have come to values.
#pragma once

#include <string>

#include "daemon/engine/step_artifacts.h"
#include "daemon/ports/blob_store.h"
#include "daemon/run/command.h"

namespace beamline::engine {

// Fills `ask` from `body` (JSON text, flowspec::Step::input): everything but the task's number and
// what the core adds. Errors: "input", a value is none that people can be asked with; "limit".
run::Error ReadAsk(const std::string& body, ports::BlobStore& blobs, run::Ask* ask);

// `show: {artifact: STEP/NAME}`: puts the artifact's digest and size in the place of its name, so
// that what is decided about is its content. `visible`: what the step can read. Anything else is
// left as it is. Errors: "input", there is no such artifact.
bool ShowsArtifact(const run::Ask& ask);
run::Error ShowArtifact(const StepArtifacts::Trees& visible, run::Ask* ask);

}  // namespace beamline::engine
