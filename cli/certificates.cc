// X.509 through OpenSSL; see certificates.h.
#include "cli/certificates.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/openssl_handle.h"

namespace beamline::cli {
namespace {

using NumberHandle = OpensslHandle<BIGNUM, BN_free>;
using ExtensionHandle = OpensslHandle<X509_EXTENSION, X509_EXTENSION_free>;

constexpr absl::Duration kAuthorityValid = absl::Hours(24 * 3650);
constexpr absl::Duration kLeafValid = absl::Hours(24 * 397);
constexpr absl::Duration kClockSkew = absl::Minutes(5);  // between the machines that use them
constexpr size_t kCommonNameBytesMax = 64;               // RFC 5280, ub-common-name

absl::Status OpensslError(const char* what) {
  char text[256] = "no reason given";
  if (const unsigned long error = ERR_get_error(); error != 0) {
    ERR_error_string_n(error, text, sizeof(text));
  }
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("OpenSSL cannot ", what, ": ", text));
}

std::string PemOf(int (*write)(BIO*, const void*), const void* object) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (write(bio.get(), object) != 1) return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

std::string KeyPem(EVP_PKEY* key) {
  return PemOf(
      [](BIO* bio, const void* object) {
        auto* key = static_cast<EVP_PKEY*>(const_cast<void*>(object));
        return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
      },
      key);
}

std::string CertificatePem(X509* certificate) {
  return PemOf(
      [](BIO* bio, const void* object) {
        return PEM_write_bio_X509(bio, static_cast<X509*>(const_cast<void*>(object)));
      },
      certificate);
}

// What a certificate is to say besides its key and dates.
struct Statement {
  std::string common_name;
  std::vector<std::pair<int, std::string>> extensions;  // NID and value, as in openssl.cnf
  absl::Duration valid;
};

// A certificate for `key`, not signed yet; null if it cannot be.
X509Handle Draft(const Statement& statement, EVP_PKEY* key, X509* issuer, absl::Time now) {
  X509Handle certificate(X509_new());
  X509* x509 = certificate.get();
  const NumberHandle serial(BN_new());
  // 127 bits of chance and positive: what browsers and RFC 5280 want of a serial number.
  bool good = BN_rand(serial.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(x509)) != nullptr &&
              X509_set_version(x509, X509_VERSION_3) == 1 && X509_set_pubkey(x509, key) == 1;
  good = good &&
         ASN1_TIME_set(X509_getm_notBefore(x509), absl::ToTimeT(now - kClockSkew)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(x509), absl::ToTimeT(now + statement.valid)) != nullptr;
  good = good && X509_NAME_add_entry_by_txt(
                     X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                     reinterpret_cast<const unsigned char*>(statement.common_name.data()),
                     static_cast<int>(statement.common_name.size()), -1, 0) == 1;
  if (issuer == nullptr) issuer = x509;
  good = good && X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1;
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
  for (const auto& [nid, value] : statement.extensions) {
    const ExtensionHandle extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    good = good && extension != nullptr && X509_add_ext(x509, extension.get(), -1) == 1;
  }
  return good ? std::move(certificate) : nullptr;
}

absl::StatusOr<KeyAndCertificate> Make(const Statement& statement, EVP_PKEY* authority_key,
                                       X509* authority, absl::Time now) {
  const KeyHandle key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpensslError("make a key");
  const X509Handle certificate = Draft(statement, key.get(), authority, now);
  if (certificate == nullptr) return OpensslError("make the certificate");
  EVP_PKEY* signer = authority_key == nullptr ? key.get() : authority_key;
  if (X509_sign(certificate.get(), signer, EVP_sha256()) == 0) {
    return OpensslError("sign the certificate");
  }
  KeyAndCertificate made{KeyPem(key.get()), CertificatePem(certificate.get())};
  if (made.key.empty() || made.cert.empty()) return OpensslError("write the certificate");
  return made;
}

absl::StatusOr<KeyAndCertificate> Issue(const KeyAndCertificate& authority, Statement statement,
                                        const char* purpose, const std::string& names,
                                        absl::Time now) {
  const BioHandle key_bio = BioOf(authority.key), cert_bio = BioOf(authority.cert);
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  const KeyHandle key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
  const X509Handle certificate(PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr));
  const bool fits = key != nullptr && certificate != nullptr &&
                    X509_check_private_key(certificate.get(), key.get()) == 1 &&
                    X509_check_ca(certificate.get()) == 1;
  ERR_clear_error();
  if (!fits) {
    return absl::FailedPreconditionError("the CA's key and certificate are damaged, or not a pair");
  }
  if (X509_cmp_time(X509_get0_notAfter(certificate.get()), nullptr) < 0) {
    return absl::FailedPreconditionError("the CA has expired");
  }
  statement.valid = kLeafValid;
  statement.extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                          {NID_key_usage, "critical,digitalSignature"},
                          {NID_ext_key_usage, purpose},
                          {NID_subject_key_identifier, "hash"},
                          {NID_authority_key_identifier, "keyid"}};
  if (!names.empty()) statement.extensions.emplace_back(NID_subject_alt_name, names);
  return Make(statement, key.get(), certificate.get(), now);
}

// Names go into OpenSSL's configuration syntax, where commas, colons and more have a meaning.
bool Plain(const std::string& name, const char* also) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           absl::StrContains(also, std::string(1, c));
  });
}

bool IsAddress(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

}  // namespace

absl::StatusOr<KeyAndCertificate> MakeAuthority(absl::Time now) {
  const Statement statement{"BeamLine development CA",
                            {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                             {NID_key_usage, "critical,keyCertSign,cRLSign"},
                             {NID_subject_key_identifier, "hash"}},
                            kAuthorityValid};
  return Make(statement, nullptr, nullptr, now);
}

absl::StatusOr<KeyAndCertificate> IssueForServer(const KeyAndCertificate& authority,
                                                 const std::vector<std::string>& hosts,
                                                 absl::Time now) {
  std::vector<std::string> names;
  for (const std::string& host : hosts) {
    if (IsAddress(host)) {
      names.push_back("IP:" + host);
    } else if (Plain(host, ".-_*")) {
      names.push_back("DNS:" + host);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("`", host, "` is neither the name nor the address of a machine"));
    }
  }
  if (names.empty()) return absl::InvalidArgumentError("a server needs a name");
  return Issue(authority, {.common_name = hosts.front().substr(0, kCommonNameBytesMax)},
               "serverAuth", absl::StrJoin(names, ","), now);
}

absl::StatusOr<KeyAndCertificate> IssueForClient(const KeyAndCertificate& authority,
                                                 const std::string& name, absl::Time now) {
  const bool spiffe = absl::StartsWith(name, "spiffe://");
  if (!Plain(name, spiffe ? ".-_/:" : ".-_@+") || (!spiffe && name.size() > kCommonNameBytesMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", name,
                     "` cannot be the name of a client: up to 64 letters, digits and "
                     ". _ - + @, or spiffe://TRUST-DOMAIN/PATH"));
  }
  std::string names;
  if (spiffe) {
    names = "URI:" + name;
  } else if (absl::StrContains(name, "@")) {
    names = "email:" + name;
  }
  const std::string common_name =
      spiffe ? name.substr(name.rfind('/') + 1).substr(0, kCommonNameBytesMax) : name;
  return Issue(authority, {.common_name = common_name.empty() ? "client" : common_name},
               "clientAuth", names, now);
}

}  // namespace beamline::cli
