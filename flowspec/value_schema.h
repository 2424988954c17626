// Checks JSON values against the JSON Schemas that a flow states (draft-07, through valijson; its
// patterns are matched by RE2, never std::regex).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace beamline::flowspec {

// InvalidArgument: `schema` (JSON text) is not a schema that this release can check; says why.
// Refused are `$ref`, patterns that are not RE2's, and schemas so large that checking would not
// stay linear in the value. CheckValue also follows local `$ref`s (of schemas that we publish).
absl::Status CheckSchema(std::string_view schema);

// What is wrong with `value` (JSON text) under `schema`, one line each with a JSON pointer; empty
// if valid. Compiled schemas are cached by text (64 of them, thread-safe).
std::vector<std::string> CheckValue(std::string_view schema, std::string_view value);

}  // namespace beamline::flowspec
