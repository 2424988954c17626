// What a step hands on, as JSON: the lines it wrote to $BEAMLINE_OUTPUT, or its captured stdout.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace beamline::exec {

inline constexpr size_t kStepOutputBytesMax = 16 << 20;  // of the file, and of captured stdout
inline constexpr int kJsonDepthMax = 128;

// The JSON object (text) that the lines in `text` describe; empty if there are none. Lines are
//   name=value      a string: everything after the first "="
//   name:=json      any JSON value
//   name<<WORD      a string of all lines up to one that is WORD, joined by newlines
// or blank. A name is [A-Za-z_][A-Za-z0-9_]*; of lines with the same name the last counts, as a
// script that changes its mind expects.
// Errors: InvalidArgument naming the line; ResourceExhausted over kStepOutputBytesMax.
absl::StatusOr<std::string> ParseStepOutput(absl::string_view text);

// Captured stdout as JSON text: one string without the trailing newline; an array of its lines; or
// the JSON value that it is, compact, object keys sorted.
// Errors: InvalidArgument (not UTF-8, not JSON, deeper than kJsonDepthMax).
absl::StatusOr<std::string> CaptureText(absl::string_view stdout_text);
absl::StatusOr<std::string> CaptureLines(absl::string_view stdout_text);
absl::StatusOr<std::string> CaptureJson(absl::string_view stdout_text);

// Whether `text` is one JSON value.
bool IsJson(absl::string_view text);

}  // namespace beamline::exec
