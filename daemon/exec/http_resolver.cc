// Requests for a name that is being looked up wait for the same answer.
#include "daemon/exec/http_resolver.h"

#include <netdb.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace beamline::exec {
namespace {

constexpr uint64_t kKnownMs = 30'000;
constexpr size_t kKnownMax = 4096;

}  // namespace

struct HttpResolver::Query {
  uv_getaddrinfo_t request{};
  HttpResolver* resolver = nullptr;
  std::string host;
  std::vector<std::function<void(const Addresses&)>> waiting;
};

void HttpResolver::Lookup(const std::string& host, std::function<void(const Addresses&)> done) {
  if (const std::optional<IpAddress> literal = IpAddress::Parse(host)) {
    return done(std::vector<IpAddress>{*literal});
  }
  const auto known = known_.find(host);
  if (known != known_.end() && known->second.until_ms > uv_now(loop_)) {
    return done(known->second.addresses);
  }
  std::shared_ptr<Query>& query = asked_[host];
  if (query != nullptr) return query->waiting.push_back(std::move(done));
  query = std::make_shared<Query>();
  query->resolver = this;
  query->host = host;
  query->request.data = query.get();
  query->waiting.push_back(std::move(done));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  const int error = uv_getaddrinfo(
      loop_, &query->request,
      [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
        auto* query = static_cast<Query*>(request->data);
        query->resolver->Finish(query, status, found);
        uv_freeaddrinfo(found);
      },
      host.c_str(), nullptr, &hints);
  if (error != 0) Finish(query.get(), error, nullptr);
}

void HttpResolver::Finish(Query* query, int error, const addrinfo* found) {
  const std::shared_ptr<Query> ended = std::move(asked_.extract(query->host).mapped());
  Addresses addresses = std::vector<IpAddress>();
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    const std::optional<IpAddress> address = IpAddress::FromSocket(info->ai_addr);
    if (address && std::find(addresses->begin(), addresses->end(), *address) == addresses->end()) {
      addresses->push_back(*address);
    }
  }
  if (error != 0 || addresses->empty()) {
    addresses =
        absl::UnavailableError(absl::StrCat("cannot find the host ", ended->host, ": ",
                                            error == 0 ? "it has no address" : uv_strerror(error)));
  } else {
    if (known_.size() >= kKnownMax) known_.clear();
    known_[ended->host] = {addresses, uv_now(loop_) + kKnownMs};
  }
  for (const auto& done : ended->waiting) done(addresses);
}

}  // namespace beamline::exec
