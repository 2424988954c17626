// A reader that walks over JSON text without building values: it finds the slice of a path, keeps
// every digit of a number, and bounds nesting.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "flowspec/expr.h"

namespace beamline::flowspec {

inline constexpr int kJsonDepthMax = 256;

// InvalidArgument unless `json` is one JSON value (RFC 8259; UTF-8 is not checked) that nests at
// most kJsonDepthMax levels.
absl::Status CheckJson(std::string_view json);

// The text that a JSON string literal (with its quotes) means. REQUIRES: a valid literal.
std::string UnquoteJson(std::string_view literal);

}  // namespace beamline::flowspec
