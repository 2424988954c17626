// From YAML text to a checked Flow: all findings of a file at once.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "flowspec/finding.h"
#include "flowspec/flow.h"

namespace beamline::flowspec {

struct ParseResult {
  std::shared_ptr<const Flow> flow;  // null if a finding is an error
  Findings findings;                 // in source order
};

struct ParseOptions {
  // Also compile the expressions with jq (about 20 ms plus 0.3 ms an expression that is not a plain
  // path). The daemon does this once per digest at submit; so does `validate`.
  bool compile_expressions = true;
  // The flow was accepted before, perhaps by an earlier release that could not tell as much: what
  // is only judged to come to nothing (BL0207, BL0217 to BL0222) is then a warning, so that what
  // was started or registered goes on.
  bool accepted_before = false;
  // Where the flows that are used are at hand, reads of their outputs and inputs for them are
  // checked, too.
  ChildFlows children;
};

// Bounded whatever `source` is: 1 MiB, depth 64, 10,000 nodes through aliases; each limit has its
// own code. Never throws.
ParseResult ParseFlow(std::string_view source, const ParseOptions& options = {});

// What keeps this flow from being executed by this release ("not executable yet"), as errors;
// empty if it can run.
Findings CheckExecutable(const Flow& flow);

}  // namespace beamline::flowspec
