// Which addresses the daemon's own requests may reach: flows, and the data that goes through them,
// must not turn the daemon into a way around a firewall (SSRF).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "daemon/exec/ip_address.h"

namespace beamline::exec {

// Immutable, so it may be shared by threads.
//
// Public addresses are allowed. Loopback, private, link-local (cloud metadata), shared, multicast
// and reserved ones are not, however they are written (IPv4 in IPv6, 6to4, NAT64), but for what the
// configuration names. daemon/adr/0012 has the reasons.
class HttpGuard {
 public:
  // Only what is public.
  HttpGuard() = default;

  // `allow` is a list as in "intranet.example, 10.0.0.0/8, [fd00::1]:8080": names (all addresses
  // that they have), addresses and ranges, each with a port or for all ports. With
  // `loopback_by_name`, URLs of this machine (localhost, 127.0.0.1, [::1]) are allowed as well.
  // InvalidArgument names the entry that is none.
  static absl::StatusOr<HttpGuard> Parse(absl::string_view allow, bool loopback_by_name);

  // Whom a connection is for.
  struct Target {
    std::string host;  // of the URL, lower case, an IPv6 address without brackets
    int port = 0;
    // The URL came from a server out there, not from the flow; see Check.
    bool redirected_from_outside = false;
    bool configured = false;  // the URL is the daemon's own: all is allowed
  };

  // Ok if `address` may be connected to for `target`; PermissionDenied says why not and what would
  // allow it. Loopback is only for URLs that say so themselves: neither a name in the DNS of
  // strangers nor a redirect by a server that is not on loopback leads there.
  absl::Status Check(const Target& target, const IpAddress& address) const;

  // Whether `http_allow` names the target, by its name or as `address`.
  bool Allows(const Target& target, const IpAddress* address) const;

 private:
  struct Entry {
    std::string host;  // or, if empty:
    IpRange range;
    int port = 0;  // 0: all
  };
  std::vector<Entry> allow_;
  bool loopback_by_name_ = false;
};

bool IsLoopback(const IpAddress& address);

}  // namespace beamline::exec
