// How an occasion gets to whom it is for.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "daemon/exec/http_client.h"
#include "daemon/notify/occasion.h"
#include "daemon/notify/rule.h"
#include "daemon/ports/blob_store.h"

namespace beamline::notify {

struct Delivery {
  bool delivered = false;
  // The receiver has looked at it and will never take it: trying again is no use.
  bool refused = false;
  std::string error;                                  // if it was not delivered; one line
  absl::Duration retry_after = absl::ZeroDuration();  // that the receiver asked for
};

// One delivery at a time.
class Courier {
 public:
  virtual ~Courier() = default;
  // Tries once; returns at once. `done` is called exactly once, on any thread.
  virtual void Send(const Occasion& occasion, std::function<void(Delivery)> done) = 0;
  // Thread-safe. Ends what is under way, and what is sent from now on, early: not delivered.
  virtual void Cancel() = 0;
};

// Runs Rule::command with the occasion's JSON as its standard input and BEAMLINE_* variables that
// say the same, in the directory /. It has a session of its own and is killed, with all that it has
// started, when it is over its time or the daemon ends. Exit code 0: delivered. `work_dir`:
// absolute, of this courier alone.
std::unique_ptr<Courier> MakeCommandCourier(const Rule& rule, std::string work_dir,
                                            ports::BlobStore& blobs);

// Posts the JSON to Rule::url. Any 2xx: delivered. 400, 410, 413 and 422 refuse it; whatever else
// comes, or does not come, is to be tried again. Redirects are not followed. The URL is the
// operator's: it may lead anywhere, to this machine and private networks too.
std::unique_ptr<Courier> MakeWebhookCourier(const Rule& rule, exec::HttpClient& client,
                                            std::string user_agent);

// The value of the header webhook-signature of https://www.standardwebhooks.com: "v1," and the
// base64 of HMAC-SHA256 over "<id>.<timestamp>.<body>". A secret "whsec_…" is the base64 of the
// key; any other is the key itself.
std::string Signature(const std::string& secret, const std::string& id, int64_t timestamp_s,
                      const std::string& body);

}  // namespace beamline::notify
