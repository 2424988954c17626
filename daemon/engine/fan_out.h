// What a foreach goes through, and what combinations a matrix has.
#pragma once

#include <memory>
#include <string>

#include "daemon/engine/evaluation.h"
#include "daemon/engine/scope.h"
#include "daemon/engine/values.h"
#include "daemon/run/value.h"
#include "flowspec/flow.h"

namespace beamline::engine {

struct FannedOut {
  std::shared_ptr<const Items> items;
  std::string items_json;  // array of all items
  std::string keys_json;   // array of their keys; empty: the indices
};

// The items of a foreach, batched and named by its `key`. Errors: "expression"; "limit", more than
// 1,000,000 items. REQUIRES: `evaluation` has evaluated what `items` refers to.
run::Error FanOutForeach(const flowspec::Foreach& foreach, Evaluation* evaluation, Scope* scope,
                         FannedOut* out);

// The combinations of a matrix: the first axis varies slowest, what holds an `exclude` is left out,
// each `include` is added. Each is named by its values, joined by dashes. Errors: "expression";
// "limit", more than 10,000 combinations.
run::Error FanOutMatrix(const flowspec::Matrix& matrix, Evaluation* evaluation, FannedOut* out);

}  // namespace beamline::engine
