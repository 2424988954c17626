// IANA's special-purpose address registries, as a table.
#include "daemon/exec/http_guard.h"

#include <string.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace beamline::exec {
namespace {

struct Special {
  const char* range;
  const char* what;
};

constexpr Special kV4[] = {
    {"0.0.0.0/8", "an unspecified address"},
    {"10.0.0.0/8", "a private address"},
    {"100.64.0.0/10", "a shared (carrier or cloud) address"},
    {"127.0.0.0/8", "an address of this machine"},
    {"169.254.0.0/16", "a link-local address (as of cloud metadata)"},
    {"172.16.0.0/12", "a private address"},
    {"192.0.0.0/24", "a reserved address"},
    {"192.0.2.0/24", "a reserved address"},
    {"192.88.99.0/24", "a reserved address"},
    {"192.168.0.0/16", "a private address"},
    {"198.18.0.0/15", "a reserved address"},
    {"198.51.100.0/24", "a reserved address"},
    {"203.0.113.0/24", "a reserved address"},
    {"224.0.0.0/4", "a multicast address"},
    {"240.0.0.0/4", "a reserved address"},
};

constexpr Special kV6[] = {
    {"::/128", "an unspecified address"},
    {"::1/128", "an address of this machine"},
    {"fc00::/7", "a private (unique local) address"},
    {"fe80::/10", "a link-local address"},
    {"ff00::/8", "a multicast address"},
    {"2001::/23", "a reserved address"},
    {"2001:db8::/32", "a reserved address"},
    {"3fff::/20", "a reserved address"},
};

// Where an IPv4 address is hidden in an IPv6 one.
constexpr std::pair<const char*, size_t> kCarriers[] = {{"64:ff9b::/96", 12}, {"2002::/16", 2}};

constexpr char kGlobalV6[] = "2000::/3";

bool In(const char* range, const IpAddress& address) {
  return IpRange::Parse(range)->Contains(address);
}

// The address that is meant: what NAT64 and 6to4 carry.
IpAddress Inner(const IpAddress& address) {
  for (const auto& [range, at] : kCarriers) {
    if (!In(range, address)) continue;
    IpAddress inner;
    inner.bytes[10] = inner.bytes[11] = 0xff;
    memcpy(&inner.bytes[12], &address.bytes[at], 4);
    return inner;
  }
  return address;
}

// What is special about `address`; null if it is an ordinary public one.
const char* WhatIsSpecial(const IpAddress& address) {
  if (address.is_v4()) {
    for (const Special& special : kV4) {
      if (In(special.range, address)) return special.what;
    }
    return nullptr;
  }
  for (const Special& special : kV6) {
    if (In(special.range, address)) return special.what;
  }
  return In(kGlobalV6, address) ? nullptr : "a reserved address";
}

// The URL itself says that it means this machine.
bool SaysLoopback(const std::string& host) {
  if (host == "localhost" || absl::EndsWith(host, ".localhost")) return true;  // RFC 6761
  const std::optional<IpAddress> literal = IpAddress::Parse(host);
  return literal && IsLoopback(*literal);
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace

bool IsLoopback(const IpAddress& address) {
  return In("127.0.0.0/8", address) || In("::1/128", address);
}

absl::StatusOr<HttpGuard> HttpGuard::Parse(absl::string_view allow, bool loopback_by_name) {
  HttpGuard guard;
  guard.loopback_by_name_ = loopback_by_name;
  for (absl::string_view piece : absl::StrSplit(allow, absl::ByAnyChar(", "), absl::SkipEmpty())) {
    const auto bad = [&] {
      return absl::InvalidArgumentError(
          absl::StrCat("`", piece,
                       "` is no name, address or range, as in intranet.example:8080, "
                       "10.0.0.0/8 or [fd00::1]:443"));
    };
    Entry entry;
    absl::string_view host = piece;
    const size_t colon = piece.rfind(':');
    const bool bracketed = absl::StartsWith(piece, "[");
    const bool has_port =
        colon != piece.npos && (bracketed ? piece[colon - 1] == ']' : piece.find(':') == colon);
    if (has_port) {
      if (!absl::SimpleAtoi(piece.substr(colon + 1), &entry.port) || entry.port < 1 ||
          entry.port > 65535) {
        return bad();
      }
      host = piece.substr(0, colon);
    }
    if (bracketed) {
      if (!absl::EndsWith(host, "]")) return bad();
      host = host.substr(1, host.size() - 2);
    }
    if (const std::optional<IpRange> range = IpRange::Parse(host)) {
      entry.range = *range;
    } else if (IsName(host) && !bracketed) {
      entry.host = absl::AsciiStrToLower(host);
    } else {
      return bad();
    }
    guard.allow_.push_back(std::move(entry));
  }
  return guard;
}

bool HttpGuard::Allows(const Target& target, const IpAddress* address) const {
  return std::any_of(allow_.begin(), allow_.end(), [&](const Entry& entry) {
    if (entry.port != 0 && entry.port != target.port) return false;
    if (!entry.host.empty()) return entry.host == target.host;
    return address != nullptr && entry.range.Contains(*address);
  });
}

absl::Status HttpGuard::Check(const Target& target, const IpAddress& address) const {
  const IpAddress meant = Inner(address);
  const char* special = WhatIsSpecial(meant);
  if (special == nullptr || target.configured || Allows(target, &meant)) return absl::OkStatus();
  if (loopback_by_name_ && IsLoopback(meant) && SaysLoopback(target.host) &&
      !target.redirected_from_outside) {
    return absl::OkStatus();
  }
  const std::string shown = address.ToString();
  const std::string who =
      target.host == shown ? shown : absl::StrCat(target.host, " (", shown, ")");
  return absl::PermissionDeniedError(absl::StrCat(
      who, " is ", special, ", which http steps do not reach; `http_allow: ",
      target.host.find(':') == std::string::npos ? target.host : "[" + target.host + "]", ":",
      target.port, "` in the daemon's configuration allows it"));
}

}  // namespace beamline::exec
