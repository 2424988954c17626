// Run ids: ULIDs, 48 bits of milliseconds and 80 random bits, so that they sort by start time.
// https://github.com/ulid/spec
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace beamline::run {

struct RunId {
  std::array<uint8_t, 16> bytes{};

  // Of `time` (milliseconds) and 10 bytes of `entropy`.
  static RunId Make(absl::Time time, const std::array<uint8_t, 10>& entropy);
  // From 26 characters of Crockford's base32, either case; nothing if malformed.
  static std::optional<RunId> Parse(std::string_view text);
  // 26 lower-case characters.
  std::string ToString() const;

  friend auto operator<=>(const RunId&, const RunId&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const RunId& id) {
    return H::combine(std::move(h), id.bytes);
  }
};

}  // namespace beamline::run
