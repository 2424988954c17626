// From facts to occasions, and from those to JSON.
#include "daemon/notify/occasion.h"

#include <nlohmann/json.hpp>
#include <variant>

#include "absl/strings/str_cat.h"
#include "daemon/exec/printable.h"

namespace beamline::notify {
namespace {

// Texts that flows, steps and servers make; where to read all of them is told by `next`.
constexpr size_t kTextBytesMax = 2000;
constexpr size_t kAskedMax = 50;

// A fact that is no occasion is none; RunFinished and StepParked are also those of dead letters.
struct Tell {
  Occasion base;
  std::vector<Occasion> found;

  Occasion& Add(Kind kind, const std::string& path) {
    Occasion& occasion = found.emplace_back(base);
    occasion.kind = kind;
    occasion.path = path;
    return occasion;
  }
  Occasion& AddTask(Kind kind, const std::string& path, uint64_t task) {
    Occasion& occasion = Add(kind, path);
    occasion.task = task;
    return occasion;
  }

  void operator()(const run::TaskOpened& opened) {
    Occasion& occasion = AddTask(Kind::kApprovalRequested, opened.path, opened.task);
    occasion.round = opened.round;
    occasion.title = opened.title;
    occasion.asked = opened.approvers;
    occasion.until = opened.until;
  }
  void operator()(const run::TaskDelegated& delegated) {
    AddTask(Kind::kApprovalDelegated, delegated.path, delegated.task).asked = {delegated.to};
  }
  void operator()(const run::TaskEscalated& escalated) {
    Occasion& occasion = AddTask(Kind::kApprovalEscalated, escalated.path, escalated.task);
    occasion.asked = escalated.to;
    occasion.until = escalated.until;
  }
  void operator()(const run::TaskClosed& closed) {
    if (closed.outcome != run::TaskOutcome::kExpired) return;
    AddTask(Kind::kApprovalExpired, closed.path, closed.task);
  }
  void operator()(const run::StepParked& parked) {
    Add(Kind::kStepParked, parked.path).reason = parked.reason;
    Add(Kind::kDeadLetter, parked.path);
  }
  void operator()(const run::RunFinished& finished) {
    const bool failed = finished.status == run::Status::kFailed;
    const Kind kind = failed                                       ? Kind::kRunFailed
                      : finished.status == run::Status::kSucceeded ? Kind::kRunSucceeded
                                                                   : Kind::kRunCancelled;
    Add(kind, "").error = finished.error;
    if (failed) Add(Kind::kDeadLetter, "");
  }
  template <typename Fact>
  void operator()(const Fact&) {}
};

std::string Shown(const std::string& text) { return exec::PrintableLine(text, kTextBytesMax); }

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

}  // namespace

std::vector<Occasion> OccasionsOf(const run::RunId& run, const run::Event& event) {
  Tell tell{.base = {.run = run, .seq = event.seq, .time = event.time}, .found = {}};
  std::visit(tell, event.fact);
  return std::move(tell.found);
}

// A dead letter that is told again after a retry that failed elsewhere is the same one.
std::string IdOf(const Occasion& occasion) {
  const std::string place = occasion.kind == Kind::kDeadLetter ? absl::StrCat("d", occasion.letter)
                                                               : absl::StrCat(occasion.seq);
  return absl::StrCat(occasion.run.ToString(), "/", place, "/", KindName(occasion.kind));
}

std::string NextCommand(const Occasion& occasion) {
  const std::string run = occasion.run.ToString();
  switch (occasion.kind) {
    case Kind::kApprovalRequested:
    case Kind::kApprovalDelegated:
    case Kind::kApprovalEscalated:
      return absl::StrCat("beamline review t", occasion.task);
    case Kind::kApprovalExpired:
    case Kind::kStepParked:
      return absl::StrCat("beamline why ", run, " ", Shown(occasion.path));
    case Kind::kDeadLetter:
      return absl::StrCat("beamline dlq show d", occasion.letter);
    case Kind::kRunSucceeded:
    case Kind::kRunFailed:
    case Kind::kRunCancelled:
      return absl::StrCat("beamline runs show ", run);
  }
  return "";
}

std::string JsonOf(const Occasion& occasion) {
  nlohmann::ordered_json json = {{"id", IdOf(occasion)},
                                 {"kind", KindName(occasion.kind)},
                                 {"time", TimeText(occasion.time)},
                                 {"run", occasion.run.ToString()},
                                 {"flow", occasion.flow}};
  const auto add = [&](const char* key, const std::string& text) {
    if (!text.empty()) json[key] = Shown(text);
  };
  if (!occasion.labels.empty()) {
    auto& labels = json["labels"] = nlohmann::ordered_json::object();
    for (const auto& [key, value] : occasion.labels) labels[Shown(key)] = Shown(value);
  }
  add("step", occasion.path);
  if (occasion.task != 0) json["task"] = absl::StrCat("t", occasion.task);
  add("title", occasion.title);
  if (occasion.round > 0) json["round"] = occasion.round;
  for (size_t i = 0; i < occasion.asked.size() && i < kAskedMax; ++i) {
    json["approvers"].push_back(Shown(occasion.asked[i]));
  }
  if (occasion.until != absl::InfiniteFuture()) json["until"] = TimeText(occasion.until);
  if (occasion.letter != 0) json["dead_letter"] = absl::StrCat("d", occasion.letter);
  add("reason", occasion.reason);
  if (!occasion.error.ok()) {
    json["error"] = {{"kind", Shown(occasion.error.kind)},
                     {"message", Shown(occasion.error.message)}};
    if (occasion.error.exit_code >= 0) json["error"]["exit_code"] = occasion.error.exit_code;
  }
  json["next"] = NextCommand(occasion);
  return json.dump();
}

}  // namespace beamline::notify
