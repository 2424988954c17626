// Finds the expressions in one scalar of a flow and what they read.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "flowspec/expr.h"
#include "flowspec/finding.h"

namespace beamline::flowspec {

// Where bytes [offset, offset + length) of a scalar's value stand in the file.
using Locate = std::function<Span(size_t offset, size_t length)>;

struct Scanner {
  // Names that are roots here besides the fixed ones (the `foreach.as` name).
  std::vector<std::string> extra_roots;
  std::vector<Expression>* expressions;  // scanned expressions are appended (equal ones too)
  Findings* findings;

  // A scalar that may hold `${{ … }}`: one that is nothing but `${{ … }}` becomes a value hole,
  // any other a JSON string with interpolated holes. `$${{` is a literal `${{`.
  Template ScanScalar(std::string_view text, const Locate& locate) const;

  // An expression-only key (`if`, `items`, …): the whole of `text` is jq. Writing `${{ }}` is a
  // finding whose fix removes it. -1 after a finding.
  ExprIndex ScanBare(std::string_view text, const Locate& locate) const;
};

// The fixed roots: inputs, vars, env, run, steps, item, index, matrix, loop, feedback, trigger,
// error, now, output.
const std::vector<std::string>& FixedRoots();

// True for names that cannot become roots (by `foreach.as`): jq's keywords and builtins without
// arguments, the fixed roots, and names that begin with `__`.
bool IsReservedName(std::string_view name);

}  // namespace beamline::flowspec
