// ProbeTls: one handshake with OpenSSL, whose every way to fail has words.
#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/contexts.h"
#include "cli/openssl_handle.h"
#include "cli/remote.h"

namespace beamline::cli {
namespace {

using ContextHandle = OpensslHandle<SSL_CTX, SSL_CTX_free>;
using ConnectionHandle = OpensslHandle<SSL, SSL_free>;

// HTTP/2, as gRPC asks for it.
constexpr unsigned char kAlpn[] = {2, 'h', '2'};

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// A socket that is connected, with `timeout` for each thing that waits; -1 with `*why`.
int Dial(const Remote& remote, absl::Duration timeout, std::string* why) {
  std::string host, port;
  SplitAddress(remote.address, &host, &port);
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (const int failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); failed != 0) {
    *why = absl::StrCat("the name ", host, " cannot be resolved: ", gai_strerror(failed));
    return -1;
  }
  const timeval limit = absl::ToTimeval(timeout);
  int fd = -1;
  for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, at->ai_protocol);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (fd < 0 || connect(fd, at->ai_addr, at->ai_addrlen) == 0) continue;
    *why = errno == EINPROGRESS ? "nothing answers" : strerror(errno);
    close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  return fd;
}

bool AddAuthorities(const std::string& pem, SSL_CTX* context) {
  const BioHandle bio = BioOf(pem);
  bool any = false;
  while (const X509Handle authority{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    any = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) == 1 || any;
  }
  ERR_clear_error();
  return any;
}

ContextHandle MakeContext(const Remote& remote, const RemoteCredentials& credentials) {
  ContextHandle context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context.get(), kAlpn, sizeof(kAlpn));
  AddAuthorities(credentials.ca, context.get());
  SSL_CTX_use_certificate_chain_file(context.get(), remote.cert.c_str());
  SSL_CTX_use_PrivateKey_file(context.get(), remote.key.c_str(), SSL_FILETYPE_PEM);
  ERR_clear_error();
  return context;
}

void ExpectName(const std::string& name, SSL* connection) {
  unsigned char address[sizeof(in6_addr)];
  if (inet_pton(AF_INET, name.c_str(), address) == 1 ||
      inet_pton(AF_INET6, name.c_str(), address) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), name.c_str());
  } else {
    SSL_set1_host(connection, name.c_str());
    SSL_set_tlsext_host_name(connection, name.c_str());
  }
}

// What this side has against the daemon's certificate.
std::string Distrust(long result, const Remote& remote, const std::string& name) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "the daemon's certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the daemon's certificate is not valid yet; is the clock right?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return absl::StrCat("the daemon's certificate is not for the name ", name,
                          "; give the right one with --server-name");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return absl::StrCat("the daemon's certificate is signed by a CA that is not in ", remote.ca);
    default:
      return absl::StrCat("the daemon's certificate is not trusted: ",
                          X509_verify_cert_error_string(result));
  }
}

// What the daemon has against this side's, from the alert that it sent or the silence it left.
std::string Refusal(const Remote& remote) {
  const unsigned long error = ERR_peek_last_error();
  switch (ERR_GET_REASON(error)) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return absl::StrCat("the daemon does not trust the CA that signed ", remote.cert);
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return absl::StrCat("the daemon finds your certificate ", remote.cert, " expired");
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
      return absl::StrCat(remote.address, " does not speak TLS");
    default:
      return absl::StrCat("the daemon does not accept your certificate ", remote.cert,
                          "; is it signed by a CA that the daemon trusts, and for clients?");
  }
}

}  // namespace

absl::Status ProbeTls(const Remote& remote, const RemoteCredentials& credentials,
                      absl::Duration timeout) {
  std::string why;
  const Socket socket(Dial(remote, timeout, &why));
  if (socket.fd() < 0) {
    return absl::UnavailableError(absl::StrCat("cannot reach ", remote.address, ": ", why));
  }
  if (remote.plain()) return absl::OkStatus();
  const ContextHandle context = MakeContext(remote, credentials);
  const ConnectionHandle connection(SSL_new(context.get()));
  SSL_set_fd(connection.get(), socket.fd());
  ExpectName(credentials.server_name, connection.get());
  ERR_clear_error();
  if (const int done = SSL_connect(connection.get()); done != 1) {
    // A read that took `timeout` looks like one that would block.
    if (SSL_get_error(connection.get(), done) == SSL_ERROR_WANT_READ) {
      return absl::UnavailableError(
          absl::StrCat(remote.address, " accepts connections but does not answer"));
    }
    const long result = SSL_get_verify_result(connection.get());
    const std::string message =
        result != X509_V_OK ? Distrust(result, remote, credentials.server_name) : Refusal(remote);
    ERR_clear_error();
    return absl::UnauthenticatedError(message);
  }
  // TLS 1.3: this side is done before the other has looked at its certificate. A daemon that
  // accepts it speaks first, with the settings of HTTP/2.
  char byte;
  if (SSL_read(connection.get(), &byte, 1) == 1) return absl::OkStatus();
  const std::string message = Refusal(remote);
  ERR_clear_error();
  return absl::UnauthenticatedError(message);
}

}  // namespace beamline::cli
