// curl follows no redirect by itself: where one leads, and what goes along, is decided here.
#include "daemon/exec/http_transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace beamline::exec {
namespace {

constexpr size_t kHeaderBytesMax = 256 << 10;
constexpr long kConnectMs = 30'000;
// Small buffers: thousands of requests wait for little answers.
constexpr long kReceiveBytes = 8 << 10;

bool IsSuccess(int status) { return status >= 200 && status < 300; }

HttpFailure FailureOf(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
      return HttpFailure::kInvalid;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
      return HttpFailure::kTls;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
      return HttpFailure::kCut;
    case CURLE_FILESIZE_EXCEEDED:
      return HttpFailure::kTooLarge;
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WRITE_ERROR:
    case CURLE_OUT_OF_MEMORY:
      return HttpFailure::kMalformed;
    default:
      return HttpFailure::kUnreachable;
  }
}

}  // namespace

HttpTransfer::HttpTransfer(uint64_t id, HttpRequest request, std::function<void(HttpResponse)> done,
                           const HttpClient::Options& options)
    : id(id),
      easy(curl_easy_init()),
      request_(std::move(request)),
      done_(std::move(done)),
      options_(options) {}

HttpTransfer::~HttpTransfer() {
  curl_easy_cleanup(easy);
  curl_slist_free_all(headers_);
  curl_slist_free_all(resolved_);
}

absl::Status HttpTransfer::Parse() {
  absl::StatusOr<HttpUrl> url = ParseHttpUrl(request_.url);
  if (!url.ok()) return url.status();
  url_ = *std::move(url);
  target_ = {url_.host, url_.port, false, request_.configured};
  return absl::OkStatus();
}

bool HttpTransfer::ThroughProxy() const {
  if (options_.proxy.empty()) return false;
  const std::optional<IpAddress> literal = IpAddress::Parse(target_.host);
  const bool here = target_.host == "localhost" || (literal && IsLoopback(*literal));
  return !here && !options_.guard.Allows(target_, literal ? &*literal : nullptr);
}

void HttpTransfer::SetMethod() {
  const std::string& method = request_.method;
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  if (method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  const bool may_be_empty = method == "GET" || method == "DELETE" || method == "OPTIONS";
  if (request_.body || !may_be_empty) {
    const size_t size = request_.body ? request_.body->size() : 0;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(size));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body ? request_.body->c_str() : "");
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
}

void HttpTransfer::SetHeaders() {
  curl_slist_free_all(headers_);
  // No pause for a "100 Continue", and no type of curl's own invention.
  headers_ = curl_slist_append(nullptr, "Expect:");
  bool typed = false;
  for (const HttpHeader& header : request_.headers) {
    typed = typed || absl::EqualsIgnoreCase(header.name, "content-type");
    const std::string line = header.value.empty() ? absl::StrCat(header.name, ";")
                                                  : absl::StrCat(header.name, ": ", header.value);
    headers_ = curl_slist_append(headers_, line.c_str());
  }
  if (!typed) headers_ = curl_slist_append(headers_, "Content-Type:");
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
}

void HttpTransfer::SetResolved(const std::vector<IpAddress>& addresses) {
  curl_slist_free_all(resolved_);
  resolved_ = nullptr;
  if (addresses.empty() || IpAddress::Parse(url_.host)) return;
  const std::string list = absl::StrJoin(addresses, ",", [](std::string* out, const IpAddress& a) {
    absl::StrAppend(out, a.is_v4() ? a.ToString() : "[" + a.ToString() + "]");
  });
  const std::string entry = absl::StrCat("+", url_.host, ":", url_.port, ":", list);
  resolved_ = curl_slist_append(nullptr, entry.c_str());
  curl_easy_setopt(easy, CURLOPT_RESOLVE, resolved_);
}

void HttpTransfer::SetConnection(uint64_t timeout_ms) {
  curl_easy_setopt(easy, CURLOPT_URL, url_.text.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, ThroughProxy() ? options_.proxy.c_str() : "");
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);  // see Authorities
  if (!options_.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout_ms));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request_.repeatable ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &OpenSocket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, this);
}

void HttpTransfer::SetAnswer() {
  if (request_.method != "HEAD") {  // which says a length, and sends nothing
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                     static_cast<curl_off_t>(request_.response_bytes_max));
  }
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBytes);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error_);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
}

absl::Status HttpTransfer::Prepare(const std::vector<IpAddress>& addresses, uint64_t timeout_ms) {
  absl::Status refused;
  std::vector<IpAddress> allowed;
  for (const IpAddress& address : addresses) {
    const absl::Status check = options_.guard.Check(target_, address);
    if (check.ok()) allowed.push_back(address);
    refused.Update(check);
  }
  if (allowed.empty() && !refused.ok()) return refused;
  response_ = {};
  header_bytes_ = body_bytes_ = 0;
  error_[0] = '\0';
  refused_ = absl::OkStatus();
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  SetConnection(timeout_ms);
  SetResolved(allowed);
  SetMethod();
  SetHeaders();
  SetAnswer();
  return absl::OkStatus();
}

curl_socket_t HttpTransfer::OpenSocket(void* data, curlsocktype, curl_sockaddr* address) {
  auto* self = static_cast<HttpTransfer*>(data);
  const std::optional<IpAddress> ip = IpAddress::FromSocket(&address->addr);
  if (!self->ThroughProxy()) {
    const absl::Status check =
        ip ? self->options_.guard.Check(self->target_, *ip)
           : absl::PermissionDeniedError("only internet addresses are connected to");
    if (!check.ok()) {
      self->refused_ = check;
      return CURL_SOCKET_BAD;
    }
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

size_t HttpTransfer::OnHeader(char* data, size_t size, size_t count, void* self) {
  const bool taken = static_cast<HttpTransfer*>(self)->TakeHeader({data, size * count});
  return taken ? size * count : 0;
}

size_t HttpTransfer::OnBody(char* data, size_t size, size_t count, void* self) {
  const bool taken = static_cast<HttpTransfer*>(self)->TakeBody({data, size * count});
  return taken ? size * count : 0;
}

bool HttpTransfer::TakeHeader(absl::string_view line) {
  received_ += line.size();
  if (absl::StartsWith(line, "HTTP/")) {  // also of each 1xx, and of a proxy
    response_.headers.clear();
    header_bytes_ = 0;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    return true;
  }
  header_bytes_ += line.size();
  if (header_bytes_ > kHeaderBytesMax) {
    too_large_ = true;
    return false;
  }
  const size_t colon = line.find(':');
  if (colon == line.npos || body_bytes_ > 0) return true;  // the empty line; a trailer
  response_.headers.push_back({absl::AsciiStrToLower(line.substr(0, colon)),
                               std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)))});
  return true;
}

bool HttpTransfer::TakeBody(std::string_view bytes) {
  received_ += bytes.size();
  body_bytes_ += bytes.size();
  if (body_bytes_ > request_.response_bytes_max) {
    too_large_ = true;
    return false;
  }
  if (IsRedirect()) return true;
  if (request_.on_data && IsSuccess(response_.status)) {
    request_.on_data(bytes);
  } else {
    response_.body.append(bytes);
  }
  return true;
}

bool HttpTransfer::IsRedirect() const {
  const int status = response_.status;
  const bool moves =
      status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
  return moves && request_.redirects_max > 0 && response_.Find("location") != nullptr;
}

void HttpTransfer::DropHeaders(bool (*drop)(const HttpHeader&)) {
  std::vector<HttpHeader>& headers = request_.headers;
  headers.erase(std::remove_if(headers.begin(), headers.end(), drop), headers.end());
}

bool HttpTransfer::FollowRedirect() {
  const auto refuse = [this](absl::string_view why) {
    Fail(HttpFailure::kRedirects, absl::StrCat("redirected by ", url_.shown(), ": ", why));
    return false;
  };
  if (++redirects_ > request_.redirects_max) {
    return refuse(absl::StrCat("more than ", request_.redirects_max, " times"));
  }
  absl::StatusOr<HttpUrl> next = ResolveHttpUrl(url_, *response_.Find("location"));
  if (!next.ok()) return refuse(next.status().message());
  if (url_.scheme == "https" && next->scheme == "http") {
    return refuse("it leads from https to http, where everybody reads along");
  }
  if (next->origin() != url_.origin()) {
    DropHeaders([](const HttpHeader& header) { return header.own_origin; });
  }
  ChangeMethod();
  char* peer = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIMARY_IP, &peer);
  const std::optional<IpAddress> from = IpAddress::Parse(peer == nullptr ? "" : peer);
  const bool outside = target_.redirected_from_outside || !from || !IsLoopback(*from);
  url_ = *std::move(next);
  target_ = {url_.host, url_.port, outside};
  return true;
}

// RFC 9110, 15.4: 303 asks for a GET, and so do 301 and 302 in answer to a POST.
void HttpTransfer::ChangeMethod() {
  const int status = response_.status;
  const bool reads = request_.method == "GET" || request_.method == "HEAD";
  const bool changes = (status == 303 && !reads) || (status < 303 && request_.method == "POST");
  if (!changes) return;
  request_.method = "GET";
  request_.body.reset();
  DropHeaders(
      [](const HttpHeader& header) { return absl::StartsWithIgnoreCase(header.name, "content-"); });
}

bool HttpTransfer::EndHop(CURLcode code, bool out_of_time) {
  if (code == CURLE_OK && IsRedirect()) return FollowRedirect();
  if (code != CURLE_OK) Judge(code, out_of_time);
  return false;
}

// Once a connection stands, curl may have handed bytes to it.
bool HttpTransfer::WasSent() const {
  curl_off_t before_sending = 0;
  long sent = 0;
  curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &before_sending);
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);
  return before_sending > 0 || sent > 0;
}

void HttpTransfer::Judge(CURLcode code, bool out_of_time) {
  HttpFailure failure = FailureOf(code);
  std::string message = error_[0] == '\0' ? curl_easy_strerror(code) : error_;
  if (!refused_.ok()) {
    failure = HttpFailure::kRefused;
    message = std::string(refused_.message());
  } else if (too_large_ || code == CURLE_FILESIZE_EXCEEDED) {
    failure = HttpFailure::kTooLarge;
    message = header_bytes_ > kHeaderBytesMax
                  ? "the headers of the answer have over 256 KiB"
                  : absl::StrCat("the answer is over ", request_.response_bytes_max >> 10, " KiB");
  } else if (code == CURLE_OPERATION_TIMEDOUT && out_of_time) {
    failure = HttpFailure::kTimeout;
    message =
        absl::StrCat("timed out after ",
                     absl::FormatDuration(absl::Ceil(request_.timeout, absl::Milliseconds(1))));
  }
  if (absl::StrContains(message, "certificate problem")) {
    absl::StrAppend(&message,
                    "; `http_ca_file` in the daemon's configuration names authorities to "
                    "trust besides the system's");
  }
  Fail(failure, std::move(message));
}

void HttpTransfer::Fail(HttpFailure failure, std::string message) {
  response_.failure = failure;
  response_.message = std::move(message);
  response_.sent = WasSent();
}

std::function<void()> HttpTransfer::TakeAnswer() {
  return [done = std::move(done_), response = std::move(response_)]() mutable {
    done(std::move(response));
  };
}

bool HttpTransfer::Moved() {
  curl_off_t uploaded = 0;
  curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
  const uint64_t moved = received_ + static_cast<uint64_t>(uploaded);
  return std::exchange(moved_, moved) != moved;
}

}  // namespace beamline::exec
