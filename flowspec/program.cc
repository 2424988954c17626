// Puts the expressions of a flow together into one jq program.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "flowspec/builtins.h"
#include "flowspec/jq.h"
#include "flowspec/scan.h"

namespace beamline::flowspec {
namespace {

// A function of libjq is at most 64 KiB of code; this many expressions dispatch within one.
constexpr size_t kLeavesPerFunction = 512;

bool Mentioned(std::string_view name, const std::vector<Expression>& expressions) {
  return std::any_of(expressions.begin(), expressions.end(), [name](const Expression& e) {
    return e.source.find(name) != std::string::npos;
  });
}

// The roots, default(x), and errors in the place of what would show the daemon or end it: scanning
// refuses those names already, this is the second lock. Each definition costs a walk over the whole
// program when libjq binds it, so only those that an expression can refer to are made.
std::string Prelude(const std::vector<Expression>& expressions,
                    const std::vector<std::string>& as_names) {
  std::string text = "{} as $ENV | .want as $__want | .roots as $__roots | ";
  const auto define_root = [&](const std::string& name) {
    if (Mentioned(name, expressions)) {
      absl::StrAppend(&text, "def ", name, ": $__roots.", name, "; ");
    }
  };
  for (const std::string& name : FixedRoots()) define_root(name);
  for (const std::string& name : as_names) {
    if (!IsReservedName(name)) define_root(name);
  }
  for (const std::string& name : ForbiddenNames()) {
    if (!Mentioned(name, expressions)) continue;
    const std::string body = absl::StrCat(": error(\"`", name, "` is not available\"); ");
    absl::StrAppend(&text, "def ", name, body, "def ", name, "(f)", body);
  }
  absl::StrAppend(
      &text, "def default(f): if . == null then f else . end; ",
      // One result of f, which sees null as its input; two outputs are enough to know of many.
      "def __one(f): try ([limit(2; null | f)] | if length == 1 then {v: .[0]} "
      "elif length == 0 then {e: \"the expression has no result\"} "
      "else {e: \"the expression has more than one result\"} end) "
      "catch {e: (if type == \"string\" then . else tojson end)};\n");
  return text;
}

// Chooses among leaves [begin, end) by the number that is the input.
void AppendTree(const std::vector<std::string>& leaves, size_t begin, size_t end,
                std::string* text) {
  if (end - begin == 1) {
    text->append(leaves[begin]);
    return;
  }
  const size_t middle = begin + (end - begin) / 2;
  absl::StrAppend(text, "if . < ", middle, " then ");
  AppendTree(leaves, begin, middle, text);
  text->append(" else ");
  AppendTree(leaves, middle, end, text);
  text->append(" end");
}

}  // namespace

std::string AssembleProgram(const std::vector<Expression>& expressions,
                            const std::vector<std::string>& as_names) {
  std::vector<std::string> leaves;                      // by expression
  absl::flat_hash_map<std::string_view, size_t> first;  // expression by source
  for (size_t i = 0; i < expressions.size(); ++i) {
    const Expression& expr = expressions[i];
    const size_t same = first.try_emplace(expr.source, i).first->second;
    if (expr.plain) {
      leaves.push_back("{e: \"a plain path needs no jq\"}");
    } else if (same != i) {
      leaves.push_back(absl::StrCat("(", same, " | __at", same / kLeavesPerFunction, ")"));
    } else {
      leaves.push_back(absl::StrCat("__one(", expr.source, "\n)"));
    }
  }
  std::string text = Prelude(expressions, as_names);
  std::string dispatch;
  for (size_t begin = 0; begin < leaves.size(); begin += kLeavesPerFunction) {
    const size_t end = std::min(begin + kLeavesPerFunction, leaves.size());
    const std::string function = absl::StrCat("__at", begin / kLeavesPerFunction);
    absl::StrAppend(&text, "def ", function, ": ");
    AppendTree(leaves, begin, end, &text);
    absl::StrAppend(&text, "; ");
    absl::StrAppend(&dispatch, "if . < ", end, " then ", function, " else ");
  }
  absl::StrAppend(&text, "[$__want[] | ", dispatch, "{e: \"no such expression\"}");
  for (size_t begin = 0; begin < leaves.size(); begin += kLeavesPerFunction) text.append(" end");
  text.append("]\n");
  return text;
}

}  // namespace beamline::flowspec
