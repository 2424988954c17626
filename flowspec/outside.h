// What a flow names that is not in it: models, queues, registered flows and secrets. Only the
// daemon that shall run it knows whether they are there.
#pragma once

#include <string>
#include <vector>

#include "flowspec/flow.h"

namespace beamline::flowspec {

struct Outside {
  enum class Kind { kRoute, kModel, kQueue, kFlow, kSecret } kind = Kind::kRoute;
  std::string name;  // "writer", "openai/gpt-5", a queue, "child@sha256:…", a secret
  std::string task;  // of a queue
  Span span;         // of the first step that names it

  friend bool operator==(const Outside& a, const Outside& b) {
    return a.kind == b.kind && a.name == b.name && a.task == b.task;
  }
};

// Whether the step hands the secret to what it does.
bool UsesSecret(const Step& step, const Secret& secret);

// Each once, in the order of the steps. Names that are computed are left out.
std::vector<Outside> OutsideOf(const Flow& flow);

// The finding about `outside` under its code (BL0603 …), as an error: `why` says what is wrong.
Finding OutsideFinding(const Outside& outside, std::string why, std::string help);

// What is said where no daemon was asked: warnings. Nothing of secrets, which are the daemon's.
Findings Unasked(const Flow& flow);

}  // namespace beamline::flowspec
