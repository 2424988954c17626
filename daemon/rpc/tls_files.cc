// PEM through OpenSSL, so that gRPC is only given what works.
#include "daemon/rpc/tls_files.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace beamline::rpc {
namespace {

constexpr size_t kFileBytesMax = 1 << 20;

template <auto kFree>
struct Free {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

absl::Status Unusable(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(path, " ", why));
}

absl::StatusOr<std::string> ReadFile(const std::string& path, absl::string_view flag) {
  if (path.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        flag, " is missing; `beamline daemon init-tls` makes certificates to begin with"));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot read ", path, " (", flag, "): ", strerror(errno)));
  }
  std::string text(kFileBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.empty()) return Unusable(path, "is empty, or no file");
  if (text.size() > kFileBytesMax) return Unusable(path, "has over 1 MiB and is no certificate");
  if (text.find('\0') != text.npos) return Unusable(path, "is not in PEM form");
  return text;
}

Bio Open(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// All certificates in `pem`; none if one of them is damaged.
std::vector<Certificate> ReadCertificates(const std::string& pem) {
  const Bio bio = Open(pem);
  std::vector<Certificate> certificates;
  ERR_clear_error();
  while (X509* x509 = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(x509);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) certificates.clear();
  return certificates;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTimeT(timegm(&parts));
}

absl::Status CheckDates(const std::string& path, const X509* certificate, absl::Time now) {
  const auto day = [](absl::Time time) {
    return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
  };
  const absl::Time from = TimeOf(X509_get0_notBefore(certificate));
  const absl::Time until = TimeOf(X509_get0_notAfter(certificate));
  if (now > until) {
    return Unusable(path, absl::StrCat("has expired on ", day(until), "; put a new one there"));
  }
  if (now >= from) return absl::OkStatus();
  return Unusable(path, absl::StrCat("is not valid before ", day(from), "; is the clock right?"));
}

absl::StatusOr<Key> ReadKey(const std::string& path, const std::string& pem) {
  // Asked for a passphrase, it has none: nobody is there to type one.
  bool encrypted = false;
  const auto no_passphrase = [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
  };
  const Bio bio = Open(pem);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &encrypted));
  ERR_clear_error();
  if (key != nullptr) return key;
  if (encrypted) return Unusable(path, "is encrypted; the daemon needs it without a passphrase");
  return Unusable(path, "holds no private key in PEM form");
}

absl::Status CheckAuthorities(const std::string& path, const std::string& pem, absl::Time now) {
  const std::vector<Certificate> authorities = ReadCertificates(pem);
  if (authorities.empty()) return Unusable(path, "holds no certificates in PEM form");
  absl::Status dates;
  for (const Certificate& authority : authorities) {
    dates = CheckDates(path, authority.get(), now);
    if (dates.ok()) return dates;
  }
  return dates;
}

// Changes whenever one of the files does, be it written, replaced, or its link turned.
std::string LookOf(const TlsFiles& files) {
  std::string look;
  for (const std::string* path : {&files.cert, &files.key, &files.ca}) {
    struct stat info {};
    const int failed = stat(path->c_str(), &info) != 0 ? errno : 0;
    absl::StrAppend(&look, failed, ".", info.st_dev, ".", info.st_ino, ".", info.st_size, ".",
                    info.st_mtim.tv_sec, ".", info.st_mtim.tv_nsec, ".", info.st_ctim.tv_sec, ".",
                    info.st_ctim.tv_nsec, " ");
  }
  return look;
}

}  // namespace

absl::StatusOr<TlsMaterial> ReadTls(const TlsFiles& files, absl::Time now) {
  TlsMaterial material;
  const std::pair<std::string*, std::pair<const std::string*, const char*>> parts[] = {
      {&material.cert, {&files.cert, "--tls-cert"}},
      {&material.key, {&files.key, "--tls-key"}},
      {&material.ca, {&files.ca, "--tls-ca"}}};
  for (const auto& [text, place] : parts) {
    absl::StatusOr<std::string> read = ReadFile(*place.first, place.second);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  const std::vector<Certificate> chain = ReadCertificates(material.cert);
  if (chain.empty()) return Unusable(files.cert, "holds no certificate in PEM form");
  const absl::StatusOr<Key> key = ReadKey(files.key, material.key);
  if (!key.ok()) return key.status();
  const bool fits = X509_check_private_key(chain.front().get(), key->get()) == 1;
  ERR_clear_error();
  if (!fits) {
    return Unusable(files.key, absl::StrCat("is not the key of the certificate ", files.cert));
  }
  absl::Status dates = CheckDates(files.cert, chain.front().get(), now);
  if (dates.ok()) dates = CheckAuthorities(files.ca, material.ca, now);
  if (!dates.ok()) return dates;
  material.expires = TimeOf(X509_get0_notAfter(chain.front().get()));
  return material;
}

absl::StatusOr<std::unique_ptr<TlsSource>> TlsSource::Open(TlsFiles files, absl::Time now) {
  std::string look = LookOf(files);
  absl::StatusOr<TlsMaterial> material = ReadTls(files, now);
  if (!material.ok()) return material.status();
  return std::unique_ptr<TlsSource>(
      new TlsSource(std::move(files), std::move(look), *std::move(material)));
}

TlsSource::TlsSource(TlsFiles files, std::string seen, TlsMaterial material)
    : files_(std::move(files)),
      seen_(std::move(seen)),
      current_(std::make_shared<const TlsMaterial>(std::move(material))) {}

std::optional<TlsSource::News> TlsSource::Refresh(absl::Time now) {
  // Taken before reading: what is written meanwhile is read at the next look.
  std::string look = LookOf(files_);
  if (look == seen_) return std::nullopt;
  seen_ = std::move(look);
  absl::StatusOr<TlsMaterial> material = ReadTls(files_, now);
  ports::MutexLock lock(&mu_);
  if (!material.ok()) {
    refused_ = std::string(material.status().message());
    return News{false, absl::StrCat(refused_, "; the certificate before it stays in use")};
  }
  refused_.clear();
  const TlsMaterial& before = *current_;
  if (before.cert == material->cert && before.key == material->key && before.ca == material->ca) {
    return std::nullopt;
  }
  current_ = std::make_shared<const TlsMaterial>(*std::move(material));
  return News{true, absl::StrCat("new connections use ", files_.cert, ", valid until ",
                                 absl::FormatTime(current_->expires, absl::UTCTimeZone()))};
}

std::shared_ptr<const TlsMaterial> TlsSource::current() const {
  ports::MutexLock lock(&mu_);
  return current_;
}

std::string TlsSource::problem(absl::Time now) const {
  ports::MutexLock lock(&mu_);
  if (now > current_->expires) {
    return absl::StrCat("the certificate ", files_.cert, " in use has expired",
                        refused_.empty() ? "" : "; ", refused_);
  }
  if (refused_.empty()) return "";
  return absl::StrCat("the certificate on disk is not used: ", refused_);
}

}  // namespace beamline::rpc
