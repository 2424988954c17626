// The shape of curl's multi-uv example; the rules of a transfer are in HttpTransfer.
#include "daemon/exec/http_loop.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "daemon/exec/file_limit.h"

namespace beamline::exec {
namespace {

constexpr uint64_t kSweepMs = 100;
constexpr long kIdleConnectionsMax = 256;
constexpr size_t kOtherFiles = 512;  // stores, processes, clients
// Answers over this size are worked on away from the loop.
constexpr size_t kLargeBytes = 64 << 10;

// curl_global_init, once and for all.
void InitializeCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(code);
}

size_t InFlightMax(size_t wanted) {
  const size_t files = RaiseFileLimit();
  return std::min(wanted, files > 2 * kOtherFiles ? files - kOtherFiles : files / 2);
}

struct Work {
  uv_work_t request{};
  std::function<void()> answer;
};

void AnswerAside(uv_loop_t* loop, std::function<void()> answer) {
  auto* work = new Work{.answer = std::move(answer)};
  work->request.data = work;
  uv_queue_work(
      loop, &work->request, [](uv_work_t* request) { static_cast<Work*>(request->data)->answer(); },
      [](uv_work_t* request, int) { delete static_cast<Work*>(request->data); });
}

}  // namespace

// A socket that curl wants to be woken for.
struct HttpLoop::Watch {
  uv_poll_t poll{};
  HttpLoop* loop = nullptr;
  curl_socket_t socket = -1;
};

HttpLoop::HttpLoop(uv_loop_t* loop, HttpClient::Options options)
    : loop_(loop),
      authorities_(options.ca_file),
      options_(std::move(options)),
      in_flight_max_(InFlightMax(options_.in_flight_max)),
      resolver_(loop) {
  options_.ca_file = authorities_.path();
  InitializeCurl();
  multi_ = curl_multi_init();
  curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &OnSocket);
  curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &OnTimer);
  curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kIdleConnectionsMax);
  uv_timer_init(loop_, &timer_);
  uv_timer_init(loop_, &sweep_);
  timer_.data = sweep_.data = this;
}

void HttpLoop::Start(uint64_t id, HttpRequest request, std::function<void(HttpResponse)> done) {
  if (finished_) {
    return done({.failure = HttpFailure::kCancelled, .message = "the daemon is ending"});
  }
  if (waiting_.size() >= options_.waiting_max) {
    return done(
        {.failure = HttpFailure::kUnreachable,
         .message = absl::StrCat("the daemon has ", waiting_.size(), " requests waiting already")});
  }
  waiting_.push_back({id, std::move(request), std::move(done)});
  FillUp();
}

void HttpLoop::Cancel(uint64_t id) {
  if (const auto found = transfers_.find(id); found != transfers_.end()) {
    return Fail(*found->second, HttpFailure::kCancelled, "cancelled");
  }
  const auto waits = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Waiting& waiting) { return waiting.id == id; });
  if (waits == waiting_.end()) return;
  const std::function<void(HttpResponse)> done = std::move(waits->done);
  waiting_.erase(waits);
  done({.failure = HttpFailure::kCancelled, .message = "cancelled"});
}

void HttpLoop::Begin(Waiting waiting) {
  auto started = std::make_unique<HttpTransfer>(waiting.id, std::move(waiting.request),
                                                std::move(waiting.done), options_);
  HttpTransfer& transfer = *started;
  transfers_.emplace(transfer.id, std::move(started));
  const absl::Duration timeout = transfer.request().timeout;
  transfer.moved_ms = uv_now(loop_);
  if (timeout != absl::InfiniteDuration()) {
    transfer.deadline_ms = uv_now(loop_) + std::max<int64_t>(1, absl::ToInt64Milliseconds(timeout));
  }
  if (!uv_is_active(reinterpret_cast<uv_handle_t*>(&sweep_))) {
    uv_timer_start(
        &sweep_, [](uv_timer_t* timer) { static_cast<HttpLoop*>(timer->data)->Sweep(); }, kSweepMs,
        kSweepMs);
  }
  if (absl::Status parsed = transfer.Parse(); !parsed.ok()) {
    return Fail(transfer, HttpFailure::kInvalid, std::string(parsed.message()));
  }
  Hop(transfer);
}

void HttpLoop::Hop(HttpTransfer& transfer) {
  if (transfer.ThroughProxy()) {  // which looks names up itself
    const std::optional<IpAddress> literal = IpAddress::Parse(transfer.target().host);
    return Connect(transfer, literal ? std::vector<IpAddress>{*literal} : std::vector<IpAddress>());
  }
  resolver_.Lookup(
      transfer.target().host, [this, id = transfer.id](const HttpResolver::Addresses& addresses) {
        const auto found = transfers_.find(id);
        if (found == transfers_.end()) return;
        if (addresses.ok()) return Connect(*found->second, *addresses);
        Fail(*found->second, HttpFailure::kUnreachable, std::string(addresses.status().message()));
      });
}

void HttpLoop::Connect(HttpTransfer& transfer, const std::vector<IpAddress>& addresses) {
  const absl::Status prepared = transfer.Prepare(addresses, Left(transfer));
  if (!prepared.ok()) {
    return Fail(transfer, HttpFailure::kRefused, std::string(prepared.message()));
  }
  transfer.running = true;
  curl_multi_add_handle(multi_, transfer.easy);
}

// Milliseconds to the deadline, at least 1; 0 if there is none.
uint64_t HttpLoop::Left(const HttpTransfer& transfer) const {
  if (transfer.deadline_ms == 0) return 0;
  const uint64_t now = uv_now(loop_);
  return transfer.deadline_ms > now ? transfer.deadline_ms - now : 1;
}

int HttpLoop::OnSocket(CURL*, curl_socket_t socket, int what, void* data, void* known) {
  auto* self = static_cast<HttpLoop*>(data);
  auto* watch = static_cast<Watch*>(known);
  if (what == CURL_POLL_REMOVE) {
    if (watch == nullptr) return 0;
    curl_multi_assign(self->multi_, socket, nullptr);
    uv_poll_stop(&watch->poll);
    uv_close(reinterpret_cast<uv_handle_t*>(&watch->poll),
             [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
    return 0;
  }
  if (watch == nullptr) {
    watch = new Watch{.loop = self, .socket = socket};
    watch->poll.data = watch;
    uv_poll_init_socket(self->loop_, &watch->poll, socket);
    curl_multi_assign(self->multi_, socket, watch);
  }
  const int events = ((what & CURL_POLL_IN) != 0 ? UV_READABLE : 0) |
                     ((what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0);
  uv_poll_start(&watch->poll, events, [](uv_poll_t* poll, int error, int ready) {
    const auto* watch = static_cast<Watch*>(poll->data);
    const int flags = error < 0 ? CURL_CSELECT_ERR
                                : ((ready & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0) |
                                      ((ready & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0);
    watch->loop->Act(watch->socket, flags);
  });
  return 0;
}

int HttpLoop::OnTimer(CURLM*, long timeout_ms, void* data) {
  auto* self = static_cast<HttpLoop*>(data);
  if (timeout_ms < 0) return uv_timer_stop(&self->timer_);
  return uv_timer_start(
      &self->timer_,
      [](uv_timer_t* timer) { static_cast<HttpLoop*>(timer->data)->Act(CURL_SOCKET_TIMEOUT, 0); },
      static_cast<uint64_t>(timeout_ms), 0);
}

void HttpLoop::Act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_, socket, events, &running);
  TakeMessages();
}

void HttpLoop::TakeMessages() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    HttpTransfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    curl_multi_remove_handle(multi_, transfer->easy);
    transfer->running = false;
    // curl's clock and the loop's are apart by less than this.
    const bool out_of_time =
        transfer->deadline_ms != 0 && uv_now(loop_) + 2 * kSweepMs >= transfer->deadline_ms;
    if (transfer->EndHop(code, out_of_time)) {
      Hop(*transfer);
    } else {
      End(*transfer);
    }
  }
}

void HttpLoop::Fail(HttpTransfer& transfer, HttpFailure failure, std::string message) {
  transfer.Fail(failure, std::move(message));
  if (transfer.running) curl_multi_remove_handle(multi_, transfer.easy);
  End(transfer);
}

void HttpLoop::End(HttpTransfer& transfer) {
  const bool large = transfer.body_bytes() > kLargeBytes;
  std::function<void()> answer = transfer.TakeAnswer();
  transfers_.erase(transfer.id);
  if (large) {
    AnswerAside(loop_, std::move(answer));
  } else {
    answer();
  }
  FillUp();
}

void HttpLoop::FillUp() {
  if (filling_) return;  // from Begin, of a request that failed at once
  filling_ = true;
  while (!waiting_.empty() && transfers_.size() < in_flight_max_) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    Begin(std::move(next));
  }
  filling_ = false;
  if (transfers_.empty()) uv_timer_stop(&sweep_);
}

// What curl does not see: a name that is not found in time, and silence.
void HttpLoop::Sweep() {
  const uint64_t now = uv_now(loop_);
  std::vector<uint64_t> late, silent;
  for (const auto& [id, transfer] : transfers_) {
    if (transfer->Moved()) transfer->moved_ms = now;
    const auto silence_max = transfer->request().silence_max;
    if (!transfer->running && transfer->deadline_ms != 0 && now >= transfer->deadline_ms) {
      late.push_back(id);
    } else if (absl::Milliseconds(now - transfer->moved_ms) > silence_max) {
      silent.push_back(id);
    }
  }
  for (const uint64_t id : late) {
    HttpTransfer& transfer = *transfers_.at(id);
    Fail(transfer, HttpFailure::kTimeout,
         absl::StrCat("timed out after ", absl::FormatDuration(absl::Ceil(
                                              transfer.request().timeout, absl::Milliseconds(1)))));
  }
  for (const uint64_t id : silent) {
    HttpTransfer& transfer = *transfers_.at(id);
    Fail(transfer, HttpFailure::kTimeout,
         absl::StrCat("no byte went for ", absl::FormatDuration(transfer.request().silence_max)));
  }
}

void HttpLoop::Finish() {
  finished_ = true;
  for (const Waiting& waiting : std::exchange(waiting_, {})) {
    waiting.done({.failure = HttpFailure::kCancelled, .message = "the daemon is ending"});
  }
  while (!transfers_.empty()) {
    Fail(*transfers_.begin()->second, HttpFailure::kCancelled, "the daemon is ending");
  }
  curl_multi_cleanup(multi_);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&sweep_), nullptr);
}

}  // namespace beamline::exec
