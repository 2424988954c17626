// The transport says how a connection was made; nothing that a client sends does.
#include "daemon/rpc/identity.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "daemon/rpc/refusal.h"

namespace beamline::rpc {
namespace {

constexpr size_t kNameBytesMax = 256;

std::vector<std::string> Values(const grpc::AuthContext& auth, const char* property) {
  std::vector<std::string> values;
  for (const grpc::string_ref& value : auth.FindPropertyValues(property)) {
    values.emplace_back(value.data(), value.size());
  }
  return values;
}

// Names end up in the log of events and on terminals.
bool Showable(const std::string& name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_isgraph(c) || c == ' '; });
}

bool FromLoopback(const std::string& peer) {
  return absl::StartsWith(peer, "ipv4:127.") || absl::StartsWith(peer, "ipv6:[::1]:") ||
         absl::StartsWith(peer, "ipv6:%5B::1%5D:") || absl::StartsWith(peer, "ipv4:[::ffff:127.");
}

absl::StatusOr<Caller> IdentifyPeer(const Peers& peers, const grpc::ServerContextBase& context) {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  // Over TLS, which no client completes without a certificate of a CA that is trusted.
  if (auth != nullptr && Values(*auth, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME) ==
                             std::vector<std::string>{GRPC_SSL_TRANSPORT_SECURITY_TYPE}) {
    absl::StatusOr<std::string> actor =
        ActorOf({.spiffe_ids = Values(*auth, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME),
                 .dns = Values(*auth, GRPC_PEER_DNS_PROPERTY_NAME),
                 .emails = Values(*auth, GRPC_PEER_EMAIL_PROPERTY_NAME),
                 .common_names = Values(*auth, GRPC_X509_CN_PROPERTY_NAME)});
    if (!actor.ok()) return Refusal(Reason::kPeerUnknown, std::string(actor.status().message()));
    return Caller{.actor = *std::move(actor), .remote = true};
  }
  const std::string peer = context.peer();
  if (const std::optional<uid_t> uid = peers.Find(peer)) {
    return Caller{.actor = absl::StrCat("uid:", *uid)};
  }
  // Without TLS the daemon listens to its own machine only.
  if (FromLoopback(peer)) return Caller{.actor = "anonymous:loopback", .remote = true};
  return Refusal(Reason::kPeerUnknown, "this connection's user is not known; reconnect");
}

}  // namespace

absl::StatusOr<std::string> ActorOf(const CertificateNames& names) {
  for (const auto* kind : {&names.spiffe_ids, &names.dns, &names.emails, &names.common_names}) {
    if (kind->empty()) continue;
    if (Showable(kind->front())) return absl::StrCat("cert:", kind->front());
    return absl::PermissionDeniedError(
        absl::StrCat("the name in this client's certificate is not of 1 to ", kNameBytesMax,
                     " printable ASCII characters"));
  }
  return absl::PermissionDeniedError(
      "this client's certificate names nobody: it needs a SPIFFE, DNS or e-mail name, or a common "
      "name");
}

absl::StatusOr<Caller> Identify(const Peers& peers, const grpc::ServerContextBase& context) {
  absl::StatusOr<Caller> caller = IdentifyPeer(peers, context);
  if (!caller.ok()) return caller;
  const auto traceparent = context.client_metadata().find("traceparent");
  if (traceparent != context.client_metadata().end()) {
    caller->traceparent.assign(traceparent->second.data(), traceparent->second.size());
  }
  return caller;
}

}  // namespace beamline::rpc
