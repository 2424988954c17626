// The names of kinds, and what a sink's filters let through.
#include "daemon/notify/rule.h"

#include <algorithm>
#include <iterator>

namespace beamline::notify {
namespace {

constexpr const char* kNames[] = {"approval_requested", "approval_delegated", "approval_escalated",
                                  "approval_expired",   "step_parked",        "dead_letter",
                                  "run_succeeded",      "run_failed",         "run_cancelled"};
static_assert(std::size(kNames) == static_cast<size_t>(Kind::kRunCancelled) + 1);

}  // namespace

const char* KindName(Kind kind) { return kNames[static_cast<size_t>(kind)]; }

std::optional<Kind> FindKind(absl::string_view name) {
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<Kind>(found - std::begin(kNames));
}

std::vector<std::string> KindNames() { return {std::begin(kNames), std::end(kNames)}; }

bool Wants(const Rule& rule, Kind kind) {
  return std::find(rule.kinds.begin(), rule.kinds.end(), kind) != rule.kinds.end();
}

bool Follows(const Rule& rule, const std::string& flow, const run::Labels& labels) {
  const auto has = [&](const auto& label) {
    return std::find(labels.begin(), labels.end(), label) != labels.end();
  };
  const bool named = rule.flows.empty() ||
                     std::find(rule.flows.begin(), rule.flows.end(), flow) != rule.flows.end();
  return named && std::all_of(rule.labels.begin(), rule.labels.end(), has);
}

}  // namespace beamline::notify
