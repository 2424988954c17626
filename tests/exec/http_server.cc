// A thread per connection: there are few.
#include "tests/exec/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace beamline::exec {
namespace {

// Reads until `until` holds of what has come; false at the end of the connection.
bool ReadUntil(int fd, std::string* buffer, const std::function<bool()>& until) {
  char bytes[4096];
  while (!until()) {
    const ssize_t n = recv(fd, bytes, sizeof bytes, 0);
    if (n <= 0) return false;
    buffer->append(bytes, static_cast<size_t>(n));
  }
  return true;
}

bool ReadRequest(int fd, std::string* buffer, SeenRequest* request) {
  size_t end = 0;
  if (!ReadUntil(fd, buffer, [&] { return (end = buffer->find("\r\n\r\n")) != buffer->npos; })) {
    return false;
  }
  request->head = buffer->substr(0, end + 2);
  const std::vector<std::string> line =
      absl::StrSplit(request->head.substr(0, request->head.find("\r\n")), ' ');
  request->method = line[0];
  request->target = line[1];
  size_t length = 0;
  static_cast<void>(absl::SimpleAtoi(request->Header("Content-Length"), &length));
  const size_t whole = end + 4 + length;
  if (!ReadUntil(fd, buffer, [&] { return buffer->size() >= whole; })) return false;
  request->body = buffer->substr(end + 4, length);
  buffer->erase(0, whole);
  return true;
}

}  // namespace

std::string SeenRequest::Header(const std::string& name) const {
  for (const absl::string_view line : absl::StrSplit(head, "\r\n")) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::AsciiStrToLower(pair.first) == absl::AsciiStrToLower(name)) {
      return std::string(absl::StripAsciiWhitespace(pair.second));
    }
  }
  return "";
}

Reply Answer(int status, const std::string& body, const std::string& headers) {
  return {absl::StrCat("HTTP/1.1 ", status, " Whatever\r\n", headers,
                       "Content-Length: ", body.size(), "\r\n\r\n", body)};
}

HttpServer::HttpServer(std::function<Reply(const SeenRequest&)> handle)
    : handle_(std::move(handle)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  listen(listener_, 64);
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpServer::~HttpServer() {
  {
    ports::MutexLock lock(&mu_);
    ending_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  std::vector<std::thread> threads;
  {
    ports::MutexLock lock(&mu_);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
  close(listener_);
}

std::string HttpServer::Url(const std::string& target) const {
  return absl::StrCat("http://127.0.0.1:", port_, target);
}

std::vector<SeenRequest> HttpServer::seen() const {
  ports::MutexLock lock(&mu_);
  return seen_;
}

int HttpServer::connections() const {
  ports::MutexLock lock(&mu_);
  return static_cast<int>(threads_.size());
}

void HttpServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ports::MutexLock lock(&mu_);
    if (ending_) {
      close(fd);
      return;
    }
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpServer::Serve(int fd) {
  std::string buffer;
  Reply::Then then = Reply::Then::kKeepOpen;
  while (then == Reply::Then::kKeepOpen) {
    SeenRequest request;
    if (!ReadRequest(fd, &buffer, &request)) break;
    {
      ports::MutexLock lock(&mu_);
      seen_.push_back(request);
    }
    const Reply reply = handle_(request);
    size_t written = 0;
    while (written < reply.bytes.size()) {
      const ssize_t n =
          send(fd, reply.bytes.data() + written, reply.bytes.size() - written, MSG_NOSIGNAL);
      if (n <= 0) break;
      written += static_cast<size_t>(n);
    }
    then = reply.then;
  }
  char ignored[4096];
  while (then == Reply::Then::kHang && recv(fd, ignored, sizeof ignored, 0) > 0) {
  }
  if (then == Reply::Then::kReset) {
    const linger at_once{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  ports::MutexLock lock(&mu_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  close(fd);
}

}  // namespace beamline::exec
