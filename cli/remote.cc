// Connecting, and the certificates on this side; see remote.h.
#include "cli/remote.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <time.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/contexts.h"
#include "cli/flow_file.h"
#include "cli/openssl_handle.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(5);

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    return absl::UnauthenticatedError(path + " is no file");
  }
  absl::StatusOr<SourceFile> file = ReadSource(path);
  if (!file.ok()) return absl::UnauthenticatedError(file.status().message());
  return std::move(file->text);
}

absl::Time ExpiryOf(const X509* certificate) {
  tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&parts));
}

absl::Status CheckPair(const Remote& remote, const RemoteCredentials& pems, absl::Time now,
                       absl::Time* expires) {
  const BioHandle cert_bio = BioOf(pems.cert), key_bio = BioOf(pems.key), ca_bio = BioOf(pems.ca);
  const X509Handle certificate(PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr));
  const X509Handle authority(PEM_read_bio_X509(ca_bio.get(), nullptr, nullptr, nullptr));
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  const KeyHandle key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
  const bool fits = certificate != nullptr && key != nullptr &&
                    X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (certificate == nullptr) {
    return absl::UnauthenticatedError(remote.cert + " holds no certificate in PEM form");
  }
  if (key == nullptr) {
    return absl::UnauthenticatedError(remote.key +
                                      " holds no private key in PEM form, or is encrypted");
  }
  if (authority == nullptr) {
    return absl::UnauthenticatedError(remote.ca + " holds no certificate in PEM form");
  }
  if (!fits) {
    return absl::UnauthenticatedError(
        absl::StrCat(remote.key, " is not the key of the certificate ", remote.cert));
  }
  *expires = ExpiryOf(certificate.get());
  if (now <= *expires) return absl::OkStatus();
  return absl::UnauthenticatedError(
      absl::StrCat("your certificate ", remote.cert, " has expired on ",
                   absl::FormatTime("%Y-%m-%d", *expires, absl::UTCTimeZone())));
}

}  // namespace

absl::StatusOr<RemoteFiles> ReadRemoteFiles(const Remote& remote, absl::Time now) {
  RemoteFiles files;
  if (remote.plain()) return files;
  const std::pair<const std::string*, std::string*> parts[] = {
      {&remote.cert, &files.credentials.cert},
      {&remote.key, &files.credentials.key},
      {&remote.ca, &files.credentials.ca}};
  for (const auto& [path, pem] : parts) {
    absl::StatusOr<std::string> read = ReadPem(*path);
    if (!read.ok()) return read.status();
    *pem = *std::move(read);
  }
  absl::Status fits = CheckPair(remote, files.credentials, now, &files.expires);
  if (!fits.ok()) return fits;
  std::string port;
  files.credentials.server_name = remote.server_name;
  if (remote.server_name.empty()) {
    SplitAddress(remote.address, &files.credentials.server_name, &port);
  }
  return files;
}

absl::StatusOr<std::unique_ptr<Client>> ConnectRemote(const Remote& remote,
                                                      absl::Duration timeout) {
  absl::StatusOr<RemoteFiles> files = ReadRemoteFiles(remote, absl::Now());
  if (!files.ok()) return files.status();
  auto client = std::make_unique<Client>(remote.address, files->credentials);
  const auto pong = client->Ping(timeout);
  if (!pong.ok()) {
    absl::Status probed = ProbeTls(remote, files->credentials, std::min(timeout, kProbeTimeout));
    if (!probed.ok()) return probed;
    return absl::UnavailableError(absl::StrCat("beamlined at ", remote.address,
                                               " does not answer: ", pong.status().message()));
  }
  if (pong->protocol() != "v1") {
    return absl::UnavailableError(absl::StrCat("beamlined at ", remote.address, " speaks protocol ",
                                               Printable(pong->protocol()), ", this program v1"));
  }
  return client;
}

}  // namespace beamline::cli
