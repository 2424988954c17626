// What one expression reads, and the names in it that mean nothing or must not be used.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flowspec/expr.h"
#include "flowspec/scan.h"
#include "flowspec/tokens.h"

namespace beamline::flowspec {

// `text` is the scalar that `tokens` index; `locate` maps it to the file.
struct ScannedText {
  std::string_view text;
  const std::vector<Token>& tokens;
  const Locate& locate;
};

// The path, if the expression is nothing but one below a root.
std::optional<PlainPath> FindPlainPath(const ScannedText& scanned);

// The references of the expression. Names that are neither root, builtin nor defined in the
// expression are findings, and so is what must not be used ($ENV, debug, import, …).
std::vector<Reference> FindReferences(const ScannedText& scanned,
                                      const std::vector<std::string>& extra_roots,
                                      Findings* findings);

}  // namespace beamline::flowspec
