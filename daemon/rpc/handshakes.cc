// A connection that was closed soon after it came, and a failure that was heard of meanwhile,
// belong together; where several peers were closed within the same second, all of them are named.
#include "daemon/rpc/handshakes.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "daemon/ports/mutex.h"

namespace beamline::rpc {
namespace {

constexpr absl::Duration kHandshakeMax = absl::Seconds(12);  // the transport gives up after 10
constexpr absl::Duration kSilence = absl::Minutes(1);
constexpr size_t kWatchedMax = 4096;
constexpr size_t kHeardMax = 64;
constexpr size_t kToldMax = 1024;
constexpr size_t kPeersShown = 3;
constexpr int kLooksMax = 3;  // that a failure waits for its connection to be closed

// gRPC has one log for the whole process.
struct Heard {
  ports::Mutex mu;
  std::vector<std::string> reasons ABSL_GUARDED_BY(mu);
};
Heard& TheHeard() {
  static auto* const heard = new Heard;
  return *heard;
}

ino_t SocketInode(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

std::string PeerOf(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[NI_MAXHOST];
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof(host), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return "somebody who is gone";
  }
  return host;
}

}  // namespace

void Handshakes::Hear(std::string_view line) {
  // "Handshake failed with fatal error SSL_ERROR_SSL: error:0A000086:SSL routines::certificate
  // verify failed."
  absl::string_view text(line.data(), line.size());
  if (!absl::ConsumePrefix(&text, "Handshake failed with fatal error ")) return;
  absl::ConsumeSuffix(&text, ".");
  if (const size_t colon = text.rfind(':'); colon != text.npos) text.remove_prefix(colon + 1);
  Heard& heard = TheHeard();
  ports::MutexLock lock(&heard.mu);
  std::string reason(absl::StripLeadingAsciiWhitespace(text));
  const bool known = std::count(heard.reasons.begin(), heard.reasons.end(), reason) > 0;
  if (!known && heard.reasons.size() < kHeardMax) heard.reasons.push_back(std::move(reason));
}

void Handshakes::Watch(int fd, absl::Time now) {
  if (watched_.size() < kWatchedMax) watched_.push_back({fd, SocketInode(fd), PeerOf(fd), now});
}

std::vector<std::string> Handshakes::Closed(absl::Time now) {
  std::vector<std::string> peers;
  std::deque<Connection> open;
  for (Connection& connection : watched_) {
    if (SocketInode(connection.fd) != connection.inode) {
      peers.push_back(std::move(connection.peer));
    } else if (now - connection.at < kHandshakeMax) {
      open.push_back(std::move(connection));
    }
  }
  watched_ = std::move(open);
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

std::vector<std::string> Handshakes::Tell(absl::Time now) {
  {
    Heard& heard = TheHeard();
    ports::MutexLock lock(&heard.mu);
    for (std::string& reason : heard.reasons) unexplained_.emplace_back(std::move(reason), 0);
    heard.reasons.clear();
  }
  std::vector<std::string> peers = Closed(now);
  std::vector<std::string> lines;
  if (peers.empty()) {
    for (auto& [reason, looks] : unexplained_) ++looks;
    std::erase_if(unexplained_, [](const auto& entry) { return entry.second >= kLooksMax; });
    return lines;
  }
  if (peers.size() > kPeersShown) peers.resize(kPeersShown);
  absl::erase_if(told_, [&](const auto& entry) { return now - entry.second >= kSilence; });
  for (auto& [reason, looks] : unexplained_) {
    std::string line =
        absl::StrCat("the TLS handshake with ", absl::StrJoin(peers, " or "), " failed: ", reason);
    if (told_.size() < kToldMax && told_.emplace(line, now).second) {
      lines.push_back(std::move(line));
    }
  }
  unexplained_.clear();
  return lines;
}

}  // namespace beamline::rpc
