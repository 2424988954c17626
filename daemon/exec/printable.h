// Bytes of strangers made fit for messages.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace beamline::exec {

bool IsUtf8(absl::string_view text);

// `text` as one line of UTF-8 of at most `bytes_max` bytes: terminal escapes and control characters
// are dropped, bytes that are not UTF-8 become '?', and what is cut off is marked by "...".
std::string PrintableLine(absl::string_view text, size_t bytes_max);

}  // namespace beamline::exec
