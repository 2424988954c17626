// Read off the bodies of the steps.
#include "flowspec/outside.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "flowspec/json_text.h"
#include "flowspec/shape.h"

namespace beamline::flowspec {
namespace {

// The text at `key` of the step's body; "" if there is none, or if it is computed.
std::string TextOf(const Step& step, const char* key) {
  const std::string json = ConstantMember(step.input, key);
  return json.empty() || json.front() != '"' ? "" : UnquoteJson(json);
}

std::vector<Outside> NamedBy(const Step& step) {
  switch (step.kind) {
    case StepKind::kLlm:
    case StepKind::kAgent:
      return {{Outside::Kind::kRoute, TextOf(step, "route"), "", step.span},
              {Outside::Kind::kModel, TextOf(step, "model"), "", step.span}};
    case StepKind::kWorker:
      return {{Outside::Kind::kQueue, TextOf(step, "queue"), TextOf(step, "task"), step.span}};
    case StepKind::kFlow: {
      std::string uses = TextOf(step, "uses");
      if (!uses.empty() && uses[0] == '.') uses.clear();  // a file
      return {{Outside::Kind::kFlow, std::move(uses), "", step.span}};
    }
    default:
      return {};
  }
}

struct Words {
  const char* code;
  const char* what;
};

Words WordsFor(Outside::Kind kind) {
  switch (kind) {
    case Outside::Kind::kRoute:
      return {"BL0603", "route"};
    case Outside::Kind::kModel:
      return {"BL0603", "model"};
    case Outside::Kind::kQueue:
      return {"BL0604", "queue"};
    case Outside::Kind::kFlow:
      return {"BL0605", "flow"};
    case Outside::Kind::kSecret:
      return {"BL0606", "secret"};
  }
  return {"", ""};
}

std::string NameOf(const Outside& outside) {
  std::string name = absl::StrCat(WordsFor(outside.kind).what, " `", outside.name, "`");
  if (!outside.task.empty()) absl::StrAppend(&name, " with task `", outside.task, "`");
  return name;
}

}  // namespace

// In the body of a step an object {"secret": …} can only be a secret: text is escaped.
bool UsesSecret(const Step& step, const Secret& secret) {
  if (step.kind == StepKind::kSet || step.kind == StepKind::kFail) return false;
  const std::string marker = absl::StrCat("{\"secret\":", QuoteJson(secret.name), "}");
  return std::any_of(step.input.pieces.begin(), step.input.pieces.end(), [&](const Piece& piece) {
    return piece.kind == Piece::Kind::kText && absl::StrContains(piece.text, marker);
  });
}

std::vector<Outside> OutsideOf(const Flow& flow) {
  std::vector<Outside> all;
  absl::flat_hash_set<std::string> seen;
  for (const Step& step : flow.steps) {
    for (Outside& outside : NamedBy(step)) {
      const std::string key = absl::StrCat(static_cast<int>(outside.kind), "/", outside.name.size(),
                                           "/", outside.name, "/", outside.task);
      if (!outside.name.empty() && seen.insert(key).second) all.push_back(std::move(outside));
    }
    for (const Secret& secret : flow.secrets) {
      if (secret.source == "store" || !UsesSecret(step, secret)) continue;
      const std::string key = absl::StrCat("secret/", secret.name);
      if (!seen.insert(key).second) continue;
      all.push_back({Outside::Kind::kSecret, secret.name, "", step.span});
    }
  }
  return all;
}

Finding OutsideFinding(const Outside& outside, std::string why, std::string help) {
  return {.code = WordsFor(outside.kind).code,
          .message = absl::StrCat(NameOf(outside), ": ", why),
          .span = outside.span,
          .help = std::move(help)};
}

Findings Unasked(const Flow& flow) {
  Findings findings;
  for (const Outside& outside : OutsideOf(flow)) {
    if (outside.kind == Outside::Kind::kSecret) continue;
    Finding& finding = findings.emplace_back(
        OutsideFinding(outside, "not known here, and no daemon was asked",
                       "start the daemon (`beamline daemon start`) and validate again"));
    finding.severity = Severity::kWarning;
  }
  return findings;
}

}  // namespace beamline::flowspec
