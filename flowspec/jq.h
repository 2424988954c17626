// libjq behind a narrow door. All expressions of a flow are one jq program, since libjq 1.6 binds
// all its builtins at each compile (15–18 ms whatever the program).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "flowspec/expr.h"
#include "flowspec/finding.h"

namespace beamline::flowspec {

// One jq program of all `expressions` that are not plain paths, one per line after the prelude
// that defines the roots (`as_names`: the foreach names) and default(x). Its input is
//   {"roots": {"inputs": …, "steps": …, …}, "want": [expression index, …]}
// and its one output is an array with, for each wanted index, {"v": value} or {"e": "message"};
// no result or more than one is an error. `as_names` that are reserved (scan.h) are left out. The
// n-th distinct expression that is not a plain path stands on line n + 1.
std::string AssembleProgram(const std::vector<Expression>& expressions,
                            const std::vector<std::string>& as_names);

// Lets libjq judge `expressions` and appends a finding for each that it refuses, at the place in it
// where libjq can tell. Scanning (scan.h) has found unknown names before.
// Syntax takes libjq microseconds an expression; binding, which costs 15 ms and more, is done only
// for expressions with variables, `def` or labels, whose scopes scanning does not follow.
void CompileExpressions(const std::vector<Expression>& expressions,
                        const std::vector<std::string>& as_names, Findings* findings);

// A compiled program. Not thread-safe; different programs may be used by different threads.
// Runs without limits of its own: untrusted programs belong into an evaluator child.
class JqProgram {
 public:
  static absl::StatusOr<std::unique_ptr<JqProgram>> Compile(const std::string& program);
  ~JqProgram();
  // The first output for `input` (JSON text), as compact JSON text.
  // InvalidArgument: not JSON, nested over 256 levels, or a jq error (its message).
  absl::StatusOr<std::string> Run(std::string_view input);

 private:
  struct State;
  explicit JqProgram(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace beamline::flowspec
