// One round of evaluation: plain paths are read here, everything else in one trip to a child.
#pragma once

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "daemon/engine/compiled_flow.h"
#include "daemon/engine/scope.h"
#include "daemon/ports/evaluator.h"
#include "daemon/run/value.h"

namespace beamline::engine {

class Evaluation {
 public:
  Evaluation(const CompiledFlow& flow, std::string tenant, Scope& scope,
             ports::Evaluator& evaluator, const ports::BlobStore& blobs)
      : flow_(flow),
        tenant_(std::move(tenant)),
        scope_(scope),
        evaluator_(evaluator),
        blobs_(blobs) {}

  // Sets the roots `vars` and `env` from what the flow says.
  run::Error SetContext();

  // Evaluates `wanted`; results and errors are kept by expression.
  void Evaluate(const std::vector<flowspec::ExprIndex>& wanted);
  // Forgets the result of an expression, so that it is evaluated anew (another item).
  void Forget(flowspec::ExprIndex expr) { results_.erase(expr); }

  // JSON text. REQUIRES: evaluated.
  absl::StatusOr<std::string> Result(flowspec::ExprIndex expr) const;
  // `value` with its holes filled; what fails is told with its place in the flow.
  absl::StatusOr<std::string> Render(const flowspec::Template& value) const;
  // {"name": value, …}
  absl::StatusOr<std::string> RenderObject(
      const std::vector<std::pair<std::string, flowspec::Template>>& values);

 private:
  void EvaluateWithJq(const std::vector<flowspec::ExprIndex>& wanted);
  void FailAll(const std::vector<flowspec::ExprIndex>& wanted, const absl::Status& status);
  absl::Status Located(flowspec::ExprIndex expr, const absl::Status& status) const;

  const CompiledFlow& flow_;
  const std::string tenant_;
  Scope& scope_;
  ports::Evaluator& evaluator_;
  const ports::BlobStore& blobs_;
  absl::flat_hash_map<flowspec::ExprIndex, absl::StatusOr<std::string>> results_;
};

// What a failed evaluation is as an error of a step: "limit" for a breached limit, else
// "expression".
run::Error ExpressionError(const absl::Status& status);

}  // namespace beamline::engine
