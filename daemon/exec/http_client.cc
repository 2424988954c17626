// The door to the thread: everything happens in HttpLoop.
#include "daemon/exec/http_client.h"

#include <atomic>
#include <optional>
#include <utility>

#include "daemon/exec/http_loop.h"
#include "daemon/exec/loop_thread.h"

namespace beamline::exec {

const std::string* HttpResponse::Find(std::string_view name) const {
  for (const HttpHeader& header : headers) {
    if (header.name == name) return &header.value;
  }
  return nullptr;
}

class HttpClient::Thread {
 public:
  explicit Thread(Options options) : options_(std::move(options)) {}

  ~Thread() {
    Post([this](HttpLoop& loop) {
      loop.Finish();
      thread_.CloseMailbox();
    });
    thread_.Join();
    loop_.reset();
  }

  template <typename Message>
  void Post(Message message) {
    thread_.Post([this, message = std::move(message)]() mutable {
      if (!loop_) loop_.emplace(thread_.loop(), options_);
      message(*loop_);
    });
  }

  std::atomic<uint64_t> last_id{0};

 private:
  const Options options_;
  LoopThread thread_;
  std::optional<HttpLoop> loop_;  // used on the thread only
};

HttpClient::HttpClient(Options options) : thread_(std::make_unique<Thread>(std::move(options))) {}

HttpClient::~HttpClient() = default;

uint64_t HttpClient::Start(HttpRequest request, std::function<void(HttpResponse)> done) {
  const uint64_t id = ++thread_->last_id;
  thread_->Post([id, request = std::move(request), done = std::move(done)](HttpLoop& loop) mutable {
    loop.Start(id, std::move(request), std::move(done));
  });
  return id;
}

void HttpClient::Cancel(uint64_t id) {
  thread_->Post([id](HttpLoop& loop) { loop.Cancel(id); });
}

}  // namespace beamline::exec
