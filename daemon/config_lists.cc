// The settings that are lists.
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "daemon/config.h"
#include "flowspec/yaml.h"

namespace beamline::daemon {
namespace {

constexpr size_t kWorkersMax = 64;
constexpr size_t kGroupsMax = 1000, kMembersMax = 10'000;

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

std::string ReadGroups(const flowspec::Node& map,
                       std::map<std::string, std::vector<std::string>>* groups) {
  constexpr char kWanted[] = "groups maps names to lists of people, as in {editors: [ada, grace]}";
  if (!map.is_map()) return kWanted;
  if (map.entries.size() > kGroupsMax) return absl::StrCat("at most ", kGroupsMax, " groups");
  for (const auto& [name, members] : map.entries) {
    if (!members->is_list()) return kWanted;
    if (members->items.size() > kMembersMax) {
      return absl::StrCat("at most ", kMembersMax, " people in a group");
    }
    std::vector<std::string>& people = (*groups)[name->text];
    for (const flowspec::NodePtr& member : members->items) {
      if (!member->is_scalar() || member->text.empty()) return kWanted;
      people.push_back(member->text);
    }
  }
  return "";
}

}  // namespace beamline::daemon
