// Host byte order: both ends are the same binary.
#include "daemon/exec/supervisor_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

namespace beamline::exec {
namespace {

struct Header {
  uint32_t size = 0;  // of the whole message
  RequestKind kind = RequestKind::kKill;
  uint64_t key = 0;
  uint32_t argc = 0, envc = 0;
};

// argv and environment are held to 1 MiB by StepCommand; twice that is nonsense.
constexpr size_t kMessageBytesMax = 2 << 20;
constexpr size_t kReadBytes = 64 << 10;

std::string WithHeader(Header header, size_t body_bytes) {
  header.size = sizeof(Header) + body_bytes;
  std::string message;
  message.reserve(header.size);
  message.append(reinterpret_cast<const char*>(&header), sizeof header);
  return message;
}

// Points `out` at the `count` strings that start at `*at`; false if they do not all end before
// `end`.
bool TakeStrings(uint32_t count, const char** at, const char* end, std::vector<const char*>* out) {
  if (count > static_cast<size_t>(end - *at)) return false;
  out->reserve(count + 1);
  for (uint32_t i = 0; i < count; ++i) {
    const void* nul = memchr(*at, '\0', end - *at);
    if (nul == nullptr) return false;
    out->push_back(*at);
    *at = static_cast<const char*>(nul) + 1;
  }
  out->push_back(nullptr);
  return true;
}

}  // namespace

std::string EncodeSpawn(uint64_t key, const SpawnRequest& spawn) {
  size_t bytes = spawn.dir.size() + 1;
  for (const std::string& arg : spawn.argv) bytes += arg.size() + 1;
  for (const std::string& variable : spawn.env) bytes += variable.size() + 1;
  std::string message = WithHeader({.kind = RequestKind::kSpawn,
                                    .key = key,
                                    .argc = static_cast<uint32_t>(spawn.argv.size()),
                                    .envc = static_cast<uint32_t>(spawn.env.size())},
                                   bytes);
  const auto add = [&](const std::string& text) { message.append(text.c_str(), text.size() + 1); };
  for (const std::string& arg : spawn.argv) add(arg);
  for (const std::string& variable : spawn.env) add(variable);
  add(spawn.dir);
  return message;
}

std::string EncodeSignal(RequestKind kind, uint64_t key) {
  return WithHeader({.kind = kind, .key = key}, 0);
}

RequestReader::~RequestReader() {
  for (int fd : fds_) close(fd);
}

RequestReader::State RequestReader::Receive(int socket) {
  if (begin_ > 0) {
    memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + kReadBytes) buffer_.resize(end_ + kReadBytes);

  iovec part{buffer_.data() + end_, buffer_.size() - end_};
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? State::kOpen : State::kClosed;
  if (n == 0) return State::kClosed;
  end_ += n;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const int* fds = reinterpret_cast<const int*>(CMSG_DATA(c));
    fds_.insert(fds_.end(), fds, fds + (c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  }
  // Descriptors that did not arrive (the system is out of files) cannot be matched any more.
  return (message.msg_flags & MSG_CTRUNC) != 0 ? State::kClosed : State::kOpen;
}

std::optional<Request> RequestReader::Next() {
  Header header;
  if (broken_ || end_ - begin_ < sizeof header) return std::nullopt;
  memcpy(&header, buffer_.data() + begin_, sizeof header);
  if (header.size < sizeof header || header.size > kMessageBytesMax) broken_ = true;
  if (broken_ || end_ - begin_ < header.size) return std::nullopt;

  Request request{.kind = header.kind, .key = header.key};
  const char* at = buffer_.data() + begin_ + sizeof header;
  const char* end = buffer_.data() + begin_ + header.size;
  begin_ += header.size;
  if (header.kind != RequestKind::kSpawn) return request;
  std::vector<const char*> dir;
  if (header.argc == 0 || fds_.size() < 3 || !TakeStrings(header.argc, &at, end, &request.argv) ||
      !TakeStrings(header.envc, &at, end, &request.env) || !TakeStrings(1, &at, end, &dir)) {
    broken_ = true;
    return std::nullopt;
  }
  request.dir = dir.front();
  for (int& fd : request.fds) {
    fd = fds_.front();
    fds_.pop_front();
  }
  return request;
}

ssize_t SendBytes(int socket, const char* bytes, size_t size, absl::Span<const int> fds) {
  iovec part{const_cast<char*>(bytes), size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))];
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
  }
  const ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return n;
  // Out of something for now. ETOOMANYREFS: as many descriptors are under way as may be open.
  const bool is_full = errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM ||
                       errno == ETOOMANYREFS;
  return is_full ? 0 : -1;
}

}  // namespace beamline::exec
