// Occasions posted to a server, signed as https://www.standardwebhooks.com says.
#include <sodium.h>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "daemon/exec/http_result.h"
#include "daemon/exec/http_url.h"
#include "daemon/exec/printable.h"
#include "daemon/exec/secrets.h"
#include "daemon/notify/courier.h"
#include "daemon/ports/mutex.h"

namespace beamline::notify {
namespace {

constexpr size_t kAnswerBytesMax = 64 << 10;
constexpr size_t kErrorBytesMax = 500;

absl::StatusOr<std::string> Read(const Text& text) {
  if (!text.env.empty()) return exec::ReadSecret("env", text.env);
  if (!text.file.empty()) return exec::ReadSecret("file", text.file);
  return text.plain;
}

class WebhookCourier : public Courier {
 public:
  WebhookCourier(const Rule& rule, exec::HttpClient& client, std::string user_agent)
      : rule_(rule), client_(client), user_agent_(std::move(user_agent)) {}

  void Send(const Occasion& occasion, std::function<void(Delivery)> done) override {
    std::vector<std::string> hidden;
    absl::StatusOr<exec::HttpRequest> request = RequestFor(occasion, &hidden);
    if (!request.ok()) return done({.error = std::string(request.status().message())});
    const auto redactor = std::make_shared<const exec::Redactor>(hidden);
    ports::MutexLock lock(&mu_);
    if (cancelled_) return done({.error = "the daemon ends"});
    request_ =
        client_.Start(*std::move(request),
                      [this, redactor, done = std::move(done)](const exec::HttpResponse& response) {
                        done(Judge(redactor, response));
                      });
  }

  void Cancel() override {
    ports::MutexLock lock(&mu_);
    cancelled_ = true;
    client_.Cancel(request_);
  }

 private:
  // What stands in `hidden` is not to be quoted from the server's answer.
  absl::StatusOr<exec::HttpRequest> RequestFor(const Occasion& occasion,
                                               std::vector<std::string>* hidden) const {
    exec::HttpRequest request{.method = "POST", .url = rule_.url};
    request.body = JsonOf(occasion);
    request.timeout = rule_.timeout;
    request.response_bytes_max = kAnswerBytesMax;
    request.redirects_max = 0;
    request.configured = true;
    const std::string id = IdOf(occasion);
    const int64_t now_s = absl::ToUnixSeconds(absl::Now());
    request.headers = {{"Content-Type", "application/json"},
                       {"User-Agent", user_agent_},
                       {"Idempotency-Key", id},
                       {"webhook-id", id},
                       {"webhook-timestamp", absl::StrCat(now_s)}};
    if (rule_.secret) {
      const absl::StatusOr<std::string> secret = Read(*rule_.secret);
      if (!secret.ok()) return secret.status();
      hidden->push_back(*secret);
      request.headers.push_back(
          {"webhook-signature", Signature(*secret, id, now_s, *request.body)});
    }
    for (const auto& [name, text] : rule_.headers) {
      const absl::StatusOr<std::string> value = Read(text);
      if (!value.ok()) return value.status();
      hidden->push_back(*value);
      request.headers.push_back({name, *value});
    }
    return request;
  }

  Delivery Judge(const std::shared_ptr<const exec::Redactor>& redactor,
                 const exec::HttpResponse& response) const {
    if (response.status / 100 == 2) return {.delivered = true};  // whatever it says besides
    const absl::StatusOr<exec::HttpUrl> url = exec::ParseHttpUrl(rule_.url);
    exec::EndedRequest ended{.method = "POST",
                             .shown_url = url.ok() ? url->shown() : "",
                             .expect = {"2xx"},
                             .redactor = redactor};
    const run::ReportAttempt report = exec::ConcludeRequest(ended, response);
    const int status = response.status;
    return {.refused = status == 400 || status == 410 || status == 413 || status == 422,
            .error = exec::PrintableLine(report.error.message, kErrorBytesMax),
            .retry_after = report.retry_after};
  }

  const Rule rule_;
  exec::HttpClient& client_;
  const std::string user_agent_;
  ports::Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t request_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace

std::unique_ptr<Courier> MakeWebhookCourier(const Rule& rule, exec::HttpClient& client,
                                            std::string user_agent) {
  return std::make_unique<WebhookCourier>(rule, client, std::move(user_agent));
}

std::string Signature(const std::string& secret, const std::string& id, int64_t timestamp_s,
                      const std::string& body) {
  std::string key = secret;
  absl::string_view encoded = secret;
  if (std::string decoded;
      absl::ConsumePrefix(&encoded, "whsec_") && absl::Base64Unescape(encoded, &decoded)) {
    key = std::move(decoded);
  }
  const std::string text = absl::StrCat(id, ".", timestamp_s, ".", body);
  const auto bytes = [](const std::string& s) {
    return reinterpret_cast<const unsigned char*>(s.data());
  };
  unsigned char mac[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, bytes(key), key.size());
  crypto_auth_hmacsha256_update(&state, bytes(text), text.size());
  crypto_auth_hmacsha256_final(&state, mac);
  return absl::StrCat(
      "v1,", absl::Base64Escape(absl::string_view(reinterpret_cast<char*>(mac), sizeof(mac))));
}

}  // namespace beamline::notify
