// What two texts differ in, as diff(1) tells it.
#pragma once

#include <optional>
#include <string>

namespace beamline::cli {

struct NamedText {
  std::string name, text;
};

// A unified diff, "" where they are the same; nothing if diff cannot be run.
std::optional<std::string> UnifiedDiff(const NamedText& from, const NamedText& to, bool color);

}  // namespace beamline::cli
