// The only file that calls libjq.
#include "flowspec/jq.h"

extern "C" {
#include <jq.h>
}

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "flowspec/json_text.h"
#include "flowspec/tokens.h"

namespace beamline::flowspec {
namespace {

// All expressions of a flow together; bounds the time of CompileExpressions.
constexpr size_t kFlowExpressionBytesMax = 256 * 1024;
constexpr size_t kJqInputBytesMax = size_t{1} << 30;
constexpr std::string_view kPlace = " at <top-level>, line ";

// One "jq: error: MESSAGE at <top-level>, line N:\nSOURCE LINE   " of libjq. The blanks behind the
// line are as many as the column of the error.
struct CompileError {
  std::string message;
  size_t line = 0;        // from 1
  std::string_view rest;  // the source line and the blanks
};

std::string TakeString(jv value) {
  std::string text;
  if (jv_get_kind(value) == JV_KIND_STRING) {
    text.assign(jv_string_value(value), jv_string_length_bytes(jv_copy(value)));
  }
  jv_free(value);
  return text;
}

void KeepMessage(void* messages, jv message) {
  static_cast<std::vector<std::string>*>(messages)->push_back(TakeString(jq_format_error(message)));
}

struct Teardown {
  void operator()(jq_state* jq) const { jq_teardown(&jq); }
};
using Jq = std::unique_ptr<jq_state, Teardown>;

// Null, with libjq's messages, if `program` does not compile.
Jq CompileText(const std::string& program, std::vector<std::string>* messages) {
  Jq jq(jq_init());
  if (jq == nullptr) return nullptr;
  jq_set_error_cb(jq.get(), KeepMessage, messages);
  const bool compiled = jq_compile(jq.get(), program.c_str()) != 0;
  jq_set_error_cb(jq.get(), nullptr, nullptr);
  if (!compiled) jq.reset();
  return jq;
}

// False for messages without a place in the program: sums, and errors of a ~/.jq, which libjq
// reads on its own.
bool ParseMessage(std::string_view text, CompileError* error) {
  const size_t place = text.find(kPlace);
  if (place == std::string_view::npos) return false;
  std::string_view message = text.substr(0, place);
  if (message.starts_with("jq: error: ")) message.remove_prefix(11);
  std::string_view rest = text.substr(place + kPlace.size());
  const size_t colon = rest.find(":\n");
  if (colon == std::string_view::npos) return false;
  std::from_chars(rest.data(), rest.data() + colon, error->line);
  error->message = std::string(message);
  error->rest = rest.substr(colon + 2);
  return true;
}

// The word of `expr` that begins at `column`; empty if none does.
std::string_view WordAt(const Expression& expr, const Tokens& words, size_t column) {
  for (const Token& token : words.tokens) {
    if (token.offset == column) return token.In(expr.source);
  }
  return {};
}

// The bytes at `column` of `expr`, if its source stands in the file as it is here, else all of it.
Span SpanAt(const Expression& expr, size_t column, size_t length) {
  if (static_cast<size_t>(expr.span.length) != expr.source.size() || column >= expr.source.size()) {
    return expr.span;
  }
  return {expr.span.line, expr.span.column + static_cast<int>(column), static_cast<int>(length)};
}

// What libjq says of "(EXPRESSION\n)\n}": line 1 is the expression, line 2 its end, and the brace
// on line 3 an error that always comes, so that libjq stops before it binds the builtins.
void CheckSyntax(const Expression& expr, const Tokens& words, Findings* findings) {
  std::vector<std::string> messages;
  CompileText(absl::StrCat("(", expr.source, "\n)\n}"), &messages);
  Finding finding;
  finding.code = "BL0301";
  finding.span = expr.span;
  bool open_if = false;
  for (const std::string& text : messages) {
    CompileError error;
    if (!ParseMessage(text, &error)) continue;
    open_if = open_if || absl::StrContains(error.message, "unterminated 'if'");
    if (error.line > 2 || !finding.message.empty()) continue;
    if (!error.message.starts_with("syntax error")) {
      finding.message = absl::StrCat("jq: ", absl::StripSuffix(error.message, "?"));
      continue;
    }
    const size_t blanks = error.rest.size() - std::min(error.rest.size(), expr.source.size() + 2);
    const std::string_view word = error.line == 1 ? WordAt(expr, words, blanks) : "";
    if (word.empty()) {
      finding.message = error.line == 1 ? "syntax error" : "the expression ends too early";
    } else {
      finding.message = absl::StrCat("syntax error: unexpected `", std::string(word), "`");
      finding.span = SpanAt(expr, blanks, word.size());
    }
  }
  if (finding.message.empty()) return;
  if (open_if) finding.help = "`if` needs `then`, `else` and `end`";
  findings->push_back(std::move(finding));
}

// Expressions whose scopes libjq has to check.
bool NeedsBinding(const Tokens& words, std::string_view source) {
  return std::any_of(words.tokens.begin(), words.tokens.end(), [source](const Token& token) {
    const std::string_view word = token.In(source);
    return token.kind == TokenKind::kVariable ||
           (token.kind == TokenKind::kKeyword && (word == "def" || word == "break"));
  });
}

// "foo/0 is not defined" and "$*label-foo is not defined" as a message.
std::string Undefined(std::string_view message) {
  constexpr std::string_view kSuffix = " is not defined";
  constexpr std::string_view kLabel = "$*label-";
  if (!message.ends_with(kSuffix)) return absl::StrCat("jq: ", std::string(message));
  message.remove_suffix(kSuffix.size());
  if (!message.starts_with(kLabel)) {
    return absl::StrCat("`", std::string(message), "` is not defined here");
  }
  const std::string label(message.substr(kLabel.size()));
  return absl::StrCat("`break $", label, "` is not inside `label $", label, "`");
}

// Compiles `expressions`, which differ and are sound in syntax, as one program.
void CheckBinding(const std::vector<Expression>& expressions,
                  const std::vector<std::string>& as_names, Findings* findings) {
  std::vector<std::string> messages;
  CompileText(AssembleProgram(expressions, as_names), &messages);
  for (const std::string& text : messages) {
    CompileError error;
    if (!ParseMessage(text, &error) || error.line < 2 || error.line > expressions.size() + 1) {
      continue;
    }
    Finding finding;
    finding.code = "BL0303";
    finding.message = Undefined(error.message);
    finding.span = expressions[error.line - 2].span;
    findings->push_back(std::move(finding));
  }
}

}  // namespace

void CompileExpressions(const std::vector<Expression>& expressions,
                        const std::vector<std::string>& as_names, Findings* findings) {
  std::vector<Expression> to_bind;
  absl::flat_hash_set<std::string_view> seen;
  size_t bytes = 0;
  for (const Expression& expr : expressions) {
    if (expr.plain || !seen.insert(expr.source).second) continue;
    bytes += expr.source.size();
    if (bytes > kFlowExpressionBytesMax) {
      findings->push_back({"BL0308", Severity::kError,
                           absl::StrCat("the expressions of the flow are longer together than ",
                                        kFlowExpressionBytesMax / 1024, " KiB"),
                           expr.span});
      return;
    }
    const Tokens words = Tokenize(expr.source, 0, /*until_braces=*/false);
    const size_t before = findings->size();
    CheckSyntax(expr, words, findings);
    if (findings->size() == before && NeedsBinding(words, expr.source)) to_bind.push_back(expr);
  }
  if (!to_bind.empty()) CheckBinding(to_bind, as_names, findings);
}

struct JqProgram::State {
  Jq jq;
};

JqProgram::JqProgram(std::unique_ptr<State> state) : state_(std::move(state)) {}
JqProgram::~JqProgram() = default;

absl::StatusOr<std::unique_ptr<JqProgram>> JqProgram::Compile(const std::string& program) {
  std::vector<std::string> messages;
  auto state = std::make_unique<State>();
  state->jq = CompileText(program, &messages);
  if (state->jq == nullptr) {
    return absl::InvalidArgumentError(messages.empty() ? "jq cannot start" : messages.front());
  }
  return std::unique_ptr<JqProgram>(new JqProgram(std::move(state)));
}

absl::StatusOr<std::string> JqProgram::Run(std::string_view input) {
  // libjq takes lengths as int and crashes on deep nesting.
  if (input.size() > kJqInputBytesMax) {
    return absl::InvalidArgumentError("the input is larger than 1 GiB");
  }
  if (absl::Status status = CheckJson(input); !status.ok()) return status;
  jv value = jv_parse_sized(input.data(), static_cast<int>(input.size()));
  if (!jv_is_valid(value)) {
    const std::string message = TakeString(jv_invalid_get_msg(value));
    return absl::InvalidArgumentError(absl::StrCat("jq cannot read its input: ", message));
  }
  jq_start(state_->jq.get(), value, 0);
  jv result = jq_next(state_->jq.get());
  jq_start(state_->jq.get(), jv_null(), 0);  // lets go of the input
  if (!jv_is_valid(result)) {
    const std::string message = TakeString(jv_invalid_get_msg(result));
    return absl::InvalidArgumentError(message.empty() ? "the program has no result" : message);
  }
  return TakeString(jv_dump_string(result, 0));
}

}  // namespace beamline::flowspec
