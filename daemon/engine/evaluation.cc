// Plain paths without jq; the rest in one trip.
#include "daemon/engine/evaluation.h"

#include <algorithm>
#include <future>
#include <optional>

#include "absl/strings/str_cat.h"
#include "flowspec/json_array.h"
#include "flowspec/json_text.h"

namespace beamline::engine {

using flowspec::ExprIndex;

run::Error ExpressionError(const absl::Status& status) {
  const bool limit = absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status);
  return {limit ? "limit" : "expression", std::string(status.message())};
}

run::Error Evaluation::SetContext() {
  const flowspec::Flow& flow = flow_.flow();
  for (const auto& [root, values] : {std::pair("vars", &flow.vars), std::pair("env", &flow.env)}) {
    absl::StatusOr<std::string> json = RenderObject(*values);
    if (!json.ok()) return ExpressionError(json.status());
    scope_.Set(root, *std::move(json));
  }
  return {};
}

void Evaluation::Evaluate(const std::vector<ExprIndex>& wanted) {
  std::vector<ExprIndex> others;
  for (ExprIndex expr : wanted) {
    if (results_.contains(expr)) continue;
    const flowspec::Expression& e = flow_.flow().expressions[static_cast<size_t>(expr)];
    if (e.plain) {
      results_.emplace(expr, scope_.Read(*e.plain, blobs_));
    } else {
      others.push_back(expr);
    }
  }
  if (!others.empty()) EvaluateWithJq(others);
}

void Evaluation::EvaluateWithJq(const std::vector<ExprIndex>& wanted) {
  absl::StatusOr<std::string> roots = scope_.Roots(blobs_);
  if (!roots.ok()) return FailAll(wanted, roots.status());
  std::string input = absl::StrCat("{\"roots\":", *roots, ",\"want\":[");
  for (size_t i = 0; i < wanted.size(); ++i) absl::StrAppend(&input, i > 0 ? "," : "", wanted[i]);
  input += "]}";

  std::promise<absl::StatusOr<std::string>> promise;
  evaluator_.Evaluate(
      {flow_.program_digest, flow_.program, std::move(input), tenant_},
      [&promise](absl::StatusOr<std::string> result) { promise.set_value(std::move(result)); });
  const absl::StatusOr<std::string> output = promise.get_future().get();
  if (!output.ok()) return FailAll(wanted, output.status());
  const std::vector<std::string_view> entries = flowspec::ArrayElements(*output);
  if (entries.size() != wanted.size()) {
    return FailAll(wanted, absl::InternalError("the evaluator answered out of turn"));
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto members = flowspec::ObjectMembers(entries[i]);
    const bool value = members.size() == 1 && members[0].first == "\"v\"";
    if (value) {
      results_.emplace(wanted[i], std::string(members[0].second));
    } else {
      results_.emplace(wanted[i], absl::InvalidArgumentError(
                                      members.size() == 1 ? flowspec::UnquoteJson(members[0].second)
                                                          : "no result"));
    }
  }
}

void Evaluation::FailAll(const std::vector<ExprIndex>& wanted, const absl::Status& status) {
  for (ExprIndex expr : wanted) results_.emplace(expr, status);
}

absl::Status Evaluation::Located(ExprIndex expr, const absl::Status& status) const {
  const flowspec::Expression& e = flow_.flow().expressions[static_cast<size_t>(expr)];
  constexpr size_t kShown = 80;
  std::string source = e.source.substr(0, kShown);
  if (e.source.size() > kShown) source += "…";
  return absl::Status(status.code(), absl::StrCat("line ", e.span.line, ", `", source,
                                                  "`: ", std::string(status.message())));
}

absl::StatusOr<std::string> Evaluation::Result(ExprIndex expr) const {
  const absl::StatusOr<std::string>& result = results_.at(expr);
  return result.ok() ? result : Located(expr, result.status());
}

absl::StatusOr<std::string> Evaluation::Render(const flowspec::Template& value) const {
  std::optional<ExprIndex> null_in_text;
  for (const flowspec::Piece& piece : value.pieces) {
    if (piece.kind == flowspec::Piece::Kind::kText) continue;
    const absl::StatusOr<std::string>& result = results_.at(piece.expr);
    if (!result.ok()) return Located(piece.expr, result.status());
    if (piece.kind == flowspec::Piece::Kind::kInterpolated && *result == "null") {
      null_in_text = piece.expr;
    }
  }
  absl::StatusOr<std::string> text = flowspec::Render(
      value, [this](ExprIndex expr) -> const std::string& { return *results_.at(expr); });
  if (!text.ok() && null_in_text) return Located(*null_in_text, text.status());
  return text;
}

absl::StatusOr<std::string> Evaluation::RenderObject(
    const std::vector<std::pair<std::string, flowspec::Template>>& values) {
  std::vector<ExprIndex> wanted;
  for (const auto& [name, value] : values) {
    for (ExprIndex expr : value.Holes()) wanted.push_back(expr);
  }
  Evaluate(wanted);
  std::string json = "{";
  for (const auto& [name, value] : values) {
    absl::StatusOr<std::string> text = Render(value);
    if (!text.ok()) return text;
    absl::StrAppend(&json, json.size() > 1 ? "," : "", flowspec::QuoteJson(name), ":", *text);
  }
  return absl::StrCat(json, "}");
}

}  // namespace beamline::engine
