// What the expressions of a flow can read, as far as it is known before a run: the types of
// inputs, variables, items, and of what each step hands on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "flowspec/flow.h"
#include "flowspec/shape.h"

namespace beamline::flowspec {

// Where an expression stands: in which step (-1: the flow itself), and in which part of it.
struct Place {
  int32_t step = -1;
  enum class Part {
    kBefore,  // `if`, `foreach.items`, a matrix: outside of the step's own repetition
    kBody,    // what the step does
    kOutput,  // `output:`, which sees the raw output
    kRound    // `loop`, which sees the output of a round
  } part = Part::kBody;
};

// Refers to `flow` and `children`, which outlive it. Nothing here recurses without bound, whatever
// the flow; what would take too long is unknown.
class FlowShapes {
 public:
  FlowShapes(const Flow& flow, const ChildFlows& children);

  // The index of the step; -1 if there is none.
  int32_t Find(std::string_view id) const;
  // Of `steps.X.output`: the list of all items where there are several.
  ShapePtr Output(int32_t step);
  // Of `steps.X.FIELD`.
  ShapePtr Field(int32_t step, std::string_view field);
  // Of a root but `steps`.
  ShapePtr Root(std::string_view name, const Place& place);
  // What a value comes to at `place`.
  ShapePtr Value(const Template& value, const Place& place);
  ShapePtr Expression(ExprIndex expr, const Place& place);

 private:
  class Holes;
  using Memo = std::vector<std::optional<ShapePtr>>;

  ShapePtr Raw(int32_t step);      // what the kind makes, once
  ShapePtr OneItem(int32_t step);  // after `output:` and under `outputs`
  ShapePtr RunOutput(const Step& step) const;
  ShapePtr ChildOutput(const Step& step) const;
  ShapePtr Children(const Step& step);
  ShapePtr Items(int32_t step);        // one item of its foreach
  ShapePtr Combination(int32_t step);  // of its matrix
  ShapePtr LoopRoot(int32_t step);
  ShapePtr Inputs();
  ShapePtr Vars();
  ShapePtr Around(std::string_view root, const Place& place);
  ShapePtr ItemRecords(int32_t step);
  template <typename Make>
  ShapePtr Once(Memo& memo, int32_t at, Make make);

  const Flow& flow_;
  const ChildFlows& children_;
  absl::flat_hash_map<std::string_view, int32_t> ids_;
  std::vector<int32_t> undoes_;                    // by step: the one that it compensates, or -1
  Memo raw_, one_, items_, combinations_, loops_;  // by step
  Memo named_;                                     // inputs, vars
  int depth_ = 0;
};

// What `key` reads of a value, and how sure it is that this is nothing.
struct Below {
  enum class What {
    kFine,      // or nothing is known
    kUnnamed,   // no schema names the member; it may be there all the same
    kMissing,   // there is never such a member
    kWrongKind  // the value never has members, or elements
  } what = What::kFine;
  ShapePtr shape;
};
Below ReadBelow(const ShapePtr& shape, const PathKey& key);

}  // namespace beamline::flowspec
