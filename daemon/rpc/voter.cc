// The names that stand for a caller are all that can be derived from how they are connected.
#include "daemon/rpc/voter.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace beamline::rpc {
namespace {

constexpr size_t kEntryBytesMax = 64 * 1024;  // of one user, in the system's list

// "ada" for 1000; nothing if the system does not know them.
std::optional<std::string> UserName(uid_t uid) {
  std::vector<char> buffer(kEntryBytesMax);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return std::nullopt;
  }
  return std::string(entry.pw_name);
}

std::optional<uid_t> UserNumber(const std::string& name) {
  std::vector<char> buffer(kEntryBytesMax);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return std::nullopt;
  }
  return entry.pw_uid;
}

}  // namespace

run::Voter VoterOf(const Caller& caller, const Groups& groups) {
  run::Voter voter{caller.actor, {}};
  std::vector<std::string> names{caller.actor};
  uint32_t uid = 0;
  if (absl::StartsWith(caller.actor, "uid:") &&
      absl::SimpleAtoi(absl::string_view(caller.actor).substr(4), &uid)) {
    if (const std::optional<std::string> name = UserName(uid)) {
      voter.name = *name;
      names.insert(names.end(), {*name, absl::StrCat("cert:", *name)});
    }
  } else if (absl::StartsWith(caller.actor, "cert:")) {
    voter.name = caller.actor.substr(5);
    names.push_back(voter.name);
    if (const std::optional<uid_t> number = UserNumber(voter.name)) {
      names.push_back(absl::StrCat("uid:", *number));
    }
  }
  for (const std::string& name : names) voter.may_as.push_back(absl::StrCat("user:", name));
  for (const auto& [group, members] : groups) {
    const bool member = std::any_of(members.begin(), members.end(), [&](const std::string& one) {
      return std::find(names.begin(), names.end(), one) != names.end();
    });
    if (member) voter.may_as.push_back(absl::StrCat("group:", group));
  }
  return voter;
}

}  // namespace beamline::rpc
