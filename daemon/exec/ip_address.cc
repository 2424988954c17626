// inet_pton reads, inet_ntop writes: they know no octal, no short forms and no names.
#include "daemon/exec/ip_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <algorithm>

#include "absl/strings/numbers.h"

namespace beamline::exec {
namespace {

constexpr size_t kV4At = 12;  // where the four bytes of an IPv4 address stand
constexpr int kV4Bits = 96;

void SetV4(const void* four, IpAddress* address) {
  address->bytes[10] = address->bytes[11] = 0xff;
  memcpy(&address->bytes[kV4At], four, 4);
}

}  // namespace

std::optional<IpAddress> IpAddress::Parse(absl::string_view text) {
  const std::string plain(text);
  IpAddress address;
  in_addr v4;
  if (inet_pton(AF_INET, plain.c_str(), &v4) == 1) {
    SetV4(&v4, &address);
    return address;
  }
  if (inet_pton(AF_INET6, plain.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::optional<IpAddress> IpAddress::FromSocket(const sockaddr* address) {
  IpAddress result;
  if (address->sa_family == AF_INET) {
    SetV4(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr, &result);
    return result;
  }
  if (address->sa_family != AF_INET6) return std::nullopt;
  memcpy(result.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, 16);
  return result;
}

bool IpAddress::is_v4() const {
  return bytes[10] == 0xff && bytes[11] == 0xff &&
         std::all_of(bytes.begin(), bytes.begin() + 10, [](uint8_t byte) { return byte == 0; });
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_v4()) {
    inet_ntop(AF_INET, &bytes[kV4At], text, sizeof text);
  } else {
    inet_ntop(AF_INET6, bytes.data(), text, sizeof text);
  }
  return text;
}

std::optional<IpRange> IpRange::Parse(absl::string_view text) {
  const size_t slash = text.find('/');
  const std::optional<IpAddress> base = IpAddress::Parse(text.substr(0, slash));
  if (!base) return std::nullopt;
  if (slash == text.npos) return IpRange{*base, 128};
  int bits = 0;
  const int bits_max = base->is_v4() ? 32 : 128;
  if (!absl::SimpleAtoi(text.substr(slash + 1), &bits) || bits < 0 || bits > bits_max) {
    return std::nullopt;
  }
  return IpRange{*base, base->is_v4() ? bits + kV4Bits : bits};
}

bool IpRange::Contains(const IpAddress& address) const {
  const int whole = bits / 8;
  if (!std::equal(base.bytes.begin(), base.bytes.begin() + whole, address.bytes.begin())) {
    return false;
  }
  const int rest = bits % 8;
  if (rest == 0) return true;
  return (base.bytes[whole] ^ address.bytes[whole]) >> (8 - rest) == 0;
}

}  // namespace beamline::exec
