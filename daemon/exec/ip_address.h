// Internet addresses and ranges of them, as values.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace beamline::exec {

// An IPv4 or IPv6 address. IPv4 is held as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that both
// spellings of an address are the same value.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  // Dotted IPv4 or IPv6 without brackets and without a zone.
  static std::optional<IpAddress> Parse(absl::string_view text);
  // Nothing for other families.
  static std::optional<IpAddress> FromSocket(const sockaddr* address);

  bool is_v4() const;
  std::string ToString() const;  // as Parse reads it
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

struct IpRange {
  IpAddress base;
  int bits = 128;  // of `base` that count; an IPv4 range has 96 more than is written

  // "10.0.0.0/8", "fd00::/8", or one address.
  static std::optional<IpRange> Parse(absl::string_view text);
  bool Contains(const IpAddress& address) const;
};

}  // namespace beamline::exec
