// The daemon's certificate, key and CA on disk: read whole or not at all, and read anew when they
// change.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/ports/mutex.h"

namespace beamline::rpc {

// Paths of PEM files.
struct TlsFiles {
  std::string cert;  // the daemon's certificate, then those that lead to its CA
  std::string key;   // its private key, not encrypted
  std::string ca;    // who signs the certificates of clients; may hold several
};

// What the files hold, known to fit together.
struct TlsMaterial {
  std::string cert, key, ca;  // PEM
  absl::Time expires;         // of the daemon's certificate
};

// Checks that certificate and key belong together and are valid at `now`.
// FailedPrecondition: something is missing, unreadable, expired or does not fit; names the file and
// says what to do.
absl::StatusOr<TlsMaterial> ReadTls(const TlsFiles& files, absl::Time now);

// The latest material that was whole. A pair that is being swapped file by file, or is broken,
// leaves the one before in use.
class TlsSource {
 public:
  // As ReadTls.
  static absl::StatusOr<std::unique_ptr<TlsSource>> Open(TlsFiles files, absl::Time now);

  struct News {
    bool fresh = false;  // else the files cannot be used, and `text` says why
    std::string text;
  };
  // Looks at the files. Says something once per change. One thread at a time.
  std::optional<News> Refresh(absl::Time now);

  // Thread-safe.
  std::shared_ptr<const TlsMaterial> current() const;
  // What is wrong at `now`: the files on disk are refused, or what is in use has expired; "" if
  // nothing. Thread-safe.
  std::string problem(absl::Time now) const;

 private:
  TlsSource(TlsFiles files, std::string seen, TlsMaterial material);

  const TlsFiles files_;
  std::string seen_;  // what the files looked like when they were read
  mutable ports::Mutex mu_;
  std::shared_ptr<const TlsMaterial> current_ ABSL_GUARDED_BY(mu_);
  std::string refused_ ABSL_GUARDED_BY(mu_);
};

}  // namespace beamline::rpc
