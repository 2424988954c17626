// Two runs side by side; see run_diff.h.
#include "cli/run_diff.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/tree.h"
#include "proto/status_word.h"

namespace beamline::cli {
namespace {

constexpr size_t kChangesMax = 200;  // of one value
constexpr double kFactor = 2;
constexpr absl::Duration kWorthAWord = absl::Milliseconds(500);

// What is compared of a step or an item.
struct Station {
  v1::Status status = v1::STATUS_UNSPECIFIED;
  int attempts = 0;
  std::string reason, error;
  const v1::Value* output = nullptr;  // null: none
  std::optional<absl::Duration> took;
};

struct Stations {
  std::vector<std::string> paths;  // in the order of the run
  absl::flat_hash_map<std::string, Station> by_path;
};

template <class Node>
Station StationOf(const Node& node) {
  Station station{node.status(), node.attempts_size(), node.reason(), "", nullptr, std::nullopt};
  if (node.has_failure()) station.error = FailureText(node.failure());
  if (node.has_output()) station.output = &node.output();
  if (node.has_started_at() && node.has_finished_at()) {
    station.took = ToTime(node.finished_at()) - ToTime(node.started_at());
  }
  return station;
}

void Collect(const google::protobuf::RepeatedPtrField<v1::Step>& steps, const std::string& prefix,
             Stations* stations) {
  const auto add = [&](const std::string& path, const Station& station) {
    if (stations->by_path.emplace(path, station).second) {
      stations->paths.push_back(path);
    }
  };
  for (const v1::Step& step : steps) {
    const std::string path = absl::StrCat(prefix, step.id());
    add(path, StationOf(step));
    Collect(step.steps(), absl::StrCat(path, "/"), stations);
    for (const v1::Item& item : step.items()) {
      const std::string at = absl::StrCat(path, "[", item.key(), "]");
      add(at, StationOf(item));
      Collect(item.steps(), absl::StrCat(at, "/"), stations);
    }
  }
}

std::optional<TextChange> Changed(const std::string& from, const std::string& to) {
  if (from == to) return std::nullopt;
  return TextChange{from, to};
}

template <class T>
std::optional<std::pair<T, T>> Changed(const T& from, const T& to) {
  if (from == to) return std::nullopt;
  return std::pair(from, to);
}

ValueDiff DiffValues(const v1::Value* from, const RunSide& from_run, const v1::Value* to,
                     const RunSide& to_run) {
  ValueDiff diff;
  const bool blobs = from != nullptr && to != nullptr && from->has_blob() && to->has_blob();
  if (blobs && from->blob().sha256() == to->blob().sha256()) return diff;
  const std::string a = from == nullptr ? "" : ValueJson(*from, from_run.read_blob);
  const std::string b = to == nullptr ? "" : ValueJson(*to, to_run.read_blob);
  const auto nothing = [](const std::string& json) { return json.empty() || json == "null"; };
  if (nothing(a) && nothing(b)) return diff;  // a step without an output has null, once it ran
  if (from != nullptr && to != nullptr) {
    diff.changes = DiffJson(a, b, kChangesMax, &diff.left_out);
  } else if (from != nullptr) {
    diff.changes.push_back({".", a, std::nullopt});
  } else if (to != nullptr) {
    diff.changes.push_back({".", std::nullopt, b});
  }
  return diff;
}

// Nothing if the step is the same in both.
std::optional<StepDiff> DiffStations(const std::string& path, const Station& a, const RunSide& from,
                                     const Station& b, const RunSide& to) {
  StepDiff diff{.path = path};
  diff.status = Changed(a.status, b.status);
  diff.attempts = Changed(a.attempts, b.attempts);
  diff.reason = Changed(a.reason, b.reason);
  diff.error = Changed(a.error, b.error);
  diff.output = DiffValues(a.output, from, b.output, to);
  if (a.took && b.took) {
    diff.took = std::pair(*a.took, *b.took);
    diff.slower = *b.took >= *a.took * kFactor && *b.took - *a.took >= kWorthAWord;
    diff.faster = *a.took >= *b.took * kFactor && *a.took - *b.took >= kWorthAWord;
  }
  const bool differs = diff.status || diff.attempts || diff.reason || diff.error ||
                       !diff.output.changes.empty() || diff.slower || diff.faster;
  if (!differs) return std::nullopt;
  return diff;
}

void DiffSteps(const RunSide& from, const RunSide& to, RunDiff* diff) {
  Stations a, b;
  Collect(from.run.steps(), "", &a);
  Collect(to.run.steps(), "", &b);
  for (const std::string& path : a.paths) {
    const auto other = b.by_path.find(path);
    if (other == b.by_path.end()) {
      diff->steps.push_back({.path = path, .only = StepDiff::Only::kFrom});
    } else if (auto step = DiffStations(path, a.by_path.at(path), from, other->second, to)) {
      diff->steps.push_back(*std::move(step));
    } else {
      ++diff->steps_equal;
    }
  }
  for (const std::string& path : b.paths) {
    if (!a.by_path.contains(path)) {
      diff->steps.push_back({.path = path, .only = StepDiff::Only::kTo});
    }
  }
}

void DiffEvents(const RunSide& from, const RunSide& to, RunDiff* diff) {
  for (const RunSide* side : {&from, &to}) {
    for (const auto& [type, count] : side->events) diff->events.try_emplace(type, 0, 0);
  }
  for (auto at = diff->events.begin(); at != diff->events.end();) {
    const auto count = [&](const RunSide& side) {
      const auto found = side.events.find(at->first);
      return found == side.events.end() ? int64_t{0} : found->second;
    };
    at->second = {count(from), count(to)};
    const bool equal = at->second.first == at->second.second;
    diff->events_equal += equal ? 1 : 0;
    at = equal ? diff->events.erase(at) : std::next(at);
  }
}

const v1::Value* InputsOf(const v1::Run& run) { return run.has_inputs() ? &run.inputs() : nullptr; }
const v1::Value* OutputsOf(const v1::Run& run) {
  return run.has_outputs() ? &run.outputs() : nullptr;
}

std::string ErrorOf(const v1::Run& run) {
  return run.has_failure() ? FailureText(run.failure()) : "";
}

// --- JSON ---

std::string Sides(const std::string& from, const std::string& to) {
  return absl::StrCat("{\"from\":", from, ",\"to\":", to, "}");
}

std::string TextOrNull(const std::string& text) { return text.empty() ? "null" : QuoteJson(text); }

std::string Json(const TextChange& change) {
  return Sides(TextOrNull(change.from), TextOrNull(change.to));
}

std::string Json(const std::pair<v1::Status, v1::Status>& change) {
  return Sides(QuoteJson(proto::StatusWord(change.first)),
               QuoteJson(proto::StatusWord(change.second)));
}

template <class Number>
std::string Json(const std::pair<Number, Number>& change) {
  return Sides(absl::StrCat(change.first), absl::StrCat(change.second));
}

std::string Json(const std::pair<absl::Duration, absl::Duration>& change) {
  return Json(
      std::pair(absl::ToInt64Milliseconds(change.first), absl::ToInt64Milliseconds(change.second)));
}

std::string Json(const ValueDiff& diff) { return ValueChangesJson(diff.changes); }

template <class Change>
void Add(const char* name, const std::optional<Change>& change, std::vector<std::string>* members) {
  if (change) members->push_back(absl::StrCat("\"", name, "\":", Json(*change)));
}

std::string Json(const StepDiff& step) {
  std::vector<std::string> members = {absl::StrCat("\"path\":", QuoteJson(step.path))};
  if (step.only != StepDiff::Only::kNeither) {
    members.push_back(step.only == StepDiff::Only::kFrom ? "\"only\":\"from\"" : "\"only\":\"to\"");
  }
  Add("status", step.status, &members);
  Add("attempts", step.attempts, &members);
  Add("took_ms", step.took, &members);
  Add("reason", step.reason, &members);
  Add("error", step.error, &members);
  if (!step.output.changes.empty()) {
    members.push_back(absl::StrCat("\"output\":", Json(step.output)));
  }
  return absl::StrCat("{", absl::StrJoin(members, ","), "}");
}

std::string SideJson(const v1::Run& run) {
  const std::string took =
      run.has_finished_at()
          ? absl::StrCat(",\"took_ms\":", absl::ToInt64Milliseconds(ToTime(run.finished_at()) -
                                                                    ToTime(run.started_at())))
          : "";
  return absl::StrCat("{\"id\":", QuoteJson(run.id()), ",\"flow\":", QuoteJson(run.flow()),
                      ",\"digest\":", QuoteJson(run.digest()),
                      ",\"status\":", QuoteJson(proto::StatusWord(run.status())), took, "}");
}

}  // namespace

bool RunDiff::same() const {
  return !flow && !digest && !error && !status && inputs.changes.empty() &&
         outputs.changes.empty() && steps.empty() && events.empty();
}

RunDiff DiffRuns(const RunSide& from, const RunSide& to) {
  RunDiff diff;
  diff.flow = Changed(from.run.flow(), to.run.flow());
  diff.digest = Changed(from.run.digest(), to.run.digest());
  diff.status = Changed(from.run.status(), to.run.status());
  diff.error = Changed(ErrorOf(from.run), ErrorOf(to.run));
  diff.inputs = DiffValues(InputsOf(from.run), from, InputsOf(to.run), to);
  diff.outputs = DiffValues(OutputsOf(from.run), from, OutputsOf(to.run), to);
  DiffSteps(from, to, &diff);
  DiffEvents(from, to, &diff);
  return diff;
}

std::string RunDiffJson(const RunDiff& diff, const v1::Run& from, const v1::Run& to,
                        const std::string& flow_diff) {
  std::vector<std::string> changed, members;
  Add("flow", diff.flow, &changed);
  Add("digest", diff.digest, &changed);
  Add("status", diff.status, &changed);
  Add("error", diff.error, &changed);
  if (!flow_diff.empty()) members.push_back(absl::StrCat("\"flow_diff\":", QuoteJson(flow_diff)));
  for (const auto& [name, value] :
       {std::pair("inputs", &diff.inputs), {"outputs", &diff.outputs}}) {
    if (!value->changes.empty()) {
      members.push_back(absl::StrCat("\"", name, "\":", Json(*value)));
    }
  }
  const auto step = [](std::string* out, const StepDiff& one) { *out += Json(one); };
  const auto count = [](std::string* out, const auto& event) {
    absl::StrAppend(out, QuoteJson(event.first), ":", Json(event.second));
  };
  return absl::StrCat("{\"from\":", SideJson(from), ",\"to\":", SideJson(to),
                      ",\"same\":", diff.same() ? "true" : "false", ",\"changed\":{",
                      absl::StrJoin(changed, ","), "},", absl::StrJoin(members, ","),
                      members.empty() ? "" : ",", "\"steps\":[",
                      absl::StrJoin(diff.steps, ",", step), "],\"steps_equal\":", diff.steps_equal,
                      ",\"events\":{", absl::StrJoin(diff.events, ",", count), "}}");
}

}  // namespace beamline::cli
