// Cuts a scalar into literal text and expressions, and hands each expression to references.h.
#include "flowspec/scan.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "flowspec/builtins.h"
#include "flowspec/references.h"
#include "flowspec/tokens.h"

namespace beamline::flowspec {
namespace {

constexpr std::string_view kOpen = "${{";
constexpr std::string_view kClose = "}}";

struct Trimmed {
  size_t offset;
  size_t length;
};

Trimmed Trim(std::string_view text, size_t begin, size_t end) {
  while (begin < end && absl::ascii_isspace(text[begin])) ++begin;
  while (end > begin && absl::ascii_isspace(text[end - 1])) --end;
  return {begin, end - begin};
}

// The `${{ … }}` of one scalar, one after the other.
class ScalarScan {
 public:
  ScalarScan(const Scanner& scanner, std::string_view text, const Locate& locate)
      : scanner_(scanner), text_(text), locate_(locate) {}

  Template Run() {
    while (true) {
      const size_t open = text_.find(kOpen, at_);
      if (open == std::string_view::npos) break;
      if (open > at_ && text_[open - 1] == '$') {
        literal_.append(text_.substr(at_, open - 1 - at_)).append(kOpen);
        at_ = open + kOpen.size();
      } else {
        literal_.append(text_.substr(at_, open - at_));
        Hole(open);
      }
    }
    literal_.append(text_.substr(at_));
    return Finish();
  }

  // Scans the expression in [begin, …) that `tokens` were read from; -1 after a finding.
  ExprIndex Expr(const Tokens& tokens, size_t begin) {
    const Trimmed jq = Trim(text_, begin, tokens.end);
    if (tokens.error) {
      Report(tokens.error->code, tokens.error->message, tokens.error->offset, tokens.error->length);
      return -1;
    }
    if (tokens.tokens.empty()) {
      Report("BL0307", "the expression is empty", begin, tokens.end - begin);
      return -1;
    }
    const ScannedText scanned{text_, tokens.tokens, locate_};
    Expression expr;
    expr.source = tokens.normalised;
    expr.span = locate_(jq.offset, jq.length);
    const size_t findings_before = scanner_.findings->size();
    expr.references = FindReferences(scanned, scanner_.extra_roots, scanner_.findings);
    if (scanner_.findings->size() > findings_before) return -1;
    if (expr.references.size() == 1) expr.plain = FindPlainPath(scanned);
    scanner_.expressions->push_back(std::move(expr));
    return static_cast<ExprIndex>(scanner_.expressions->size() - 1);
  }

  void Report(const char* code, std::string message, size_t offset, size_t length,
              std::string help = "", std::optional<Fix> fix = std::nullopt) {
    Finding finding;
    finding.code = code;
    finding.message = std::move(message);
    finding.span = locate_(offset, length);
    finding.help = std::move(help);
    finding.fix = std::move(fix);
    scanner_.findings->push_back(std::move(finding));
  }

 private:
  void Hole(size_t open) {
    const size_t begin = open + kOpen.size();
    const Tokens tokens = Tokenize(text_, begin, /*until_braces=*/true);
    const ExprIndex expr = Expr(tokens, begin);
    // After an error the rest of the scalar is still looked at, from the next `}}` on; unless that
    // was read as part of a string or comment, since then nobody knows where the expression ends.
    size_t end = tokens.end;
    if (tokens.error) {
      end = text_.find(kClose, begin);
      if (end < tokens.end) end = std::string_view::npos;
    }
    at_ = end < text_.size() ? end + kClose.size() : text_.size();
    if (expr < 0) return;
    if (open == 0 && at_ == text_.size()) {
      pieces_.push_back({Piece::Kind::kValue, "", expr});
      return;
    }
    PushLiteral();
    pieces_.push_back({Piece::Kind::kInterpolated, "", expr});
  }

  // Quotes the literal text so far, without the quotes around the whole string.
  void PushLiteral() {
    const std::string quoted = QuoteJson(literal_);
    literal_.clear();
    const std::string_view inner = std::string_view(quoted).substr(1, quoted.size() - 2);
    std::string text = pieces_.empty() ? "\"" : "";
    text.append(inner);
    if (!text.empty()) pieces_.push_back({Piece::Kind::kText, std::move(text)});
  }

  Template Finish() {
    const bool one_value = pieces_.size() == 1 && pieces_[0].kind == Piece::Kind::kValue;
    if (!one_value) {
      PushLiteral();
      if (pieces_.back().kind == Piece::Kind::kText) {
        pieces_.back().text += '"';
      } else {
        pieces_.push_back({Piece::Kind::kText, "\""});
      }
    }
    return Template{std::move(pieces_)};
  }

  const Scanner& scanner_;
  std::string_view text_;
  const Locate& locate_;
  size_t at_ = 0;
  std::string literal_;  // text since the last hole
  std::vector<Piece> pieces_;
};

}  // namespace

Template Scanner::ScanScalar(std::string_view text, const Locate& locate) const {
  return ScalarScan(*this, text, locate).Run();
}

ExprIndex Scanner::ScanBare(std::string_view text, const Locate& locate) const {
  ScalarScan scan(*this, text, locate);
  const Trimmed whole = Trim(text, 0, text.size());
  const std::string_view trimmed = text.substr(whole.offset, whole.length);
  if (trimmed.starts_with(kOpen)) {
    const size_t begin = whole.offset + kOpen.size();
    const Tokens inner = Tokenize(text, begin, /*until_braces=*/true);
    std::optional<Fix> fix;
    if (!inner.error && inner.end + kClose.size() == whole.offset + whole.length) {
      const Trimmed jq = Trim(text, begin, inner.end);
      fix = Fix{locate(whole.offset, whole.length), std::string(text.substr(jq.offset, jq.length))};
    }
    scan.Report("BL0305", "this key is an expression already; it takes no `${{ }}`", whole.offset,
                whole.length, "write the jq alone", std::move(fix));
    return -1;
  }
  return scan.Expr(Tokenize(text, 0, /*until_braces=*/false), 0);
}

const std::vector<std::string>& FixedRoots() {
  static const auto* const roots = new std::vector<std::string>{
      "inputs", "vars", "env",      "run",     "steps", "item", "index",
      "matrix", "loop", "feedback", "trigger", "error", "now",  "output"};
  return *roots;
}

bool IsReservedName(std::string_view name) {
  const std::vector<std::string>& roots = FixedRoots();
  return std::find(roots.begin(), roots.end(), name) != roots.end() || IsJqKeyword(name) ||
         IsBuiltin(name, 0) || !WhyForbidden(name).empty() || name.starts_with("__") ||
         name == "true" || name == "false" || name == "null";
}

}  // namespace beamline::flowspec
