// The one setting that is a list.
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/config.h"
#include "flowspec/yaml.h"

namespace beamline::daemon {
namespace {

constexpr size_t kWorkersMax = 64;

bool IsLocal(absl::string_view endpoint) {
  if (absl::StartsWith(endpoint, "unix:/")) return true;
  const size_t colon = endpoint.rfind(':');
  if (colon == endpoint.npos) return false;
  int port = 0;
  const absl::string_view host = endpoint.substr(0, colon);
  return (host == "localhost" || host == "127.0.0.1" || host == "[::1]") &&
         absl::SimpleAtoi(endpoint.substr(colon + 1), &port) && port > 0 && port < 65536;
}

}  // namespace

std::string ReadWorkers(const flowspec::Node& list, std::vector<Config::Worker>* workers) {
  constexpr char kWanted[] = "workers is a list of {endpoint: …, queue: …}";
  if (!list.is_list()) return kWanted;
  if (list.items.size() > kWorkersMax) return absl::StrCat("at most ", kWorkersMax, " workers");
  for (const flowspec::NodePtr& item : list.items) {
    if (!item->is_map()) return kWanted;
    Config::Worker worker;
    for (const auto& [key, value] : item->entries) {
      const bool endpoint = key->text == "endpoint";
      if ((!endpoint && key->text != "queue") || !value->is_scalar()) return kWanted;
      (endpoint ? worker.endpoint : worker.queue) = value->text;
    }
    if (!IsLocal(worker.endpoint)) {
      return absl::StrCat("the endpoint `", worker.endpoint,
                          "` must be unix:/PATH, or a port of this machine as in 127.0.0.1:7000");
    }
    workers->push_back(std::move(worker));
  }
  return "";
}

}  // namespace beamline::daemon
