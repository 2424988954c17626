// The tokenizer follows lexer.l of jq 1.6.
#include "flowspec/tokens.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

constexpr std::array<std::string_view, 18> kKeywords = {
    "__loc__", "and", "as",     "break",   "catch", "def",    "elif", "else",   "end",
    "foreach", "if",  "import", "include", "label", "module", "or",   "reduce", "then"};
constexpr std::array<std::string_view, 14> kLongOperators = {
    "?//", "//=", "!=", "==", "//", "|=", "+=", "-=", "*=", "/=", "%=", "<=", ">=", ".."};

bool NameStart(char c) { return absl::ascii_isalpha(c) || c == '_'; }
bool NameChar(char c) { return absl::ascii_isalnum(c) || c == '_'; }

class Tokenizer {
 public:
  Tokenizer(std::string_view text, size_t begin, bool until_braces)
      : text_(text), at_(begin), begin_(begin), until_braces_(until_braces) {}

  Tokens Run() {
    while (!result_.error && !Ended()) {
      Next();
      CheckSize();
    }
    if (!result_.error) CheckAllClosed();
    result_.end = at_;
    absl::StripAsciiWhitespace(&result_.normalised);
    return std::move(result_);
  }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool AtEnd() const { return at_ >= text_.size(); }

  // `}}` ends an expression unless its first brace closes a bracket of the expression.
  bool Ended() const {
    if (AtEnd()) return true;
    return until_braces_ && Peek() == '}' && Peek(1) == '}' && !InBraces();
  }
  bool InBraces() const {
    return !open_.empty() && text_[result_.tokens[open_.back()].offset] == '{';
  }

  void Fail(const char* code, std::string message, size_t offset, size_t length = 1) {
    if (!result_.error) result_.error = {code, std::move(message), offset, length};
  }

  void CheckSize() {
    if (at_ - begin_ > kExpressionBytesMax) {
      Fail("BL0308", "the expression is longer than 16 KiB", begin_);
    } else if (result_.tokens.size() > kExpressionTokensMax) {
      Fail("BL0308", absl::StrCat("the expression has more than ", kExpressionTokensMax, " words"),
           begin_);
    }
  }

  void CheckAllClosed() {
    if (until_braces_ && AtEnd()) {
      Fail("BL0306", "`${{` is never closed by `}}`", begin_ - 3, 3);
    } else if (!open_.empty()) {
      const Token& bracket = result_.tokens[open_.back()];
      Fail("BL0302", absl::StrCat("`", std::string(bracket.In(text_)), "` is never closed"),
           bracket.offset, bracket.length);
    }
  }

  void Emit(TokenKind kind, size_t length) {
    result_.tokens.push_back({kind, at_, length});
    result_.normalised.append(text_.substr(at_, length));
    at_ += length;
  }

  void Next() {
    const char c = Peek();
    if (c == '#') {
      while (!AtEnd() && Peek() != '\n') ++at_;
    } else if (absl::ascii_isspace(c)) {
      result_.normalised += ' ';
      ++at_;
    } else if (c == '"') {
      OpenString();
    } else if (c == '(' || c == '[' || c == '{') {
      Open(1);
    } else if (c == ')' || c == ']' || c == '}') {
      Close();
    } else if (absl::ascii_isdigit(c) || (c == '.' && absl::ascii_isdigit(Peek(1)))) {
      Emit(TokenKind::kNumber, NumberLength());
    } else if (c == '.' && NameStart(Peek(1))) {
      Emit(TokenKind::kField, NameLength(1));
    } else if (c == '@' && NameChar(Peek(1))) {
      Emit(TokenKind::kFormat, NameLength(1));
    } else if (c == '$') {
      Variable();
    } else if (NameStart(c)) {
      Name();
    } else {
      Operator();
    }
  }

  size_t NameLength(size_t from) const {
    while (NameChar(Peek(from))) ++from;
    return from;
  }

  size_t NumberLength() const {
    size_t n = 0;
    while (absl::ascii_isdigit(Peek(n)) || Peek(n) == '.') ++n;
    if (Peek(n) == 'e' || Peek(n) == 'E') {
      const size_t sign = Peek(n + 1) == '+' || Peek(n + 1) == '-' ? 1 : 0;
      if (absl::ascii_isdigit(Peek(n + 1 + sign))) {
        n += 1 + sign;
        while (absl::ascii_isdigit(Peek(n))) ++n;
      }
    }
    return n;
  }

  void Name() {
    size_t n = NameLength(0);
    while (Peek(n) == ':' && Peek(n + 1) == ':' && NameStart(Peek(n + 2))) n = NameLength(n + 2);
    const bool keyword = IsJqKeyword(text_.substr(at_, n));
    Emit(keyword ? TokenKind::kKeyword : TokenKind::kName, n);
  }

  // jq lets space stand between `$` and the name.
  void Variable() {
    size_t n = 1;
    while (absl::ascii_isspace(Peek(n))) ++n;
    if (!NameStart(Peek(n))) return Fail("BL0301", "`$` is not followed by a name", at_);
    const size_t end = NameLength(n);
    result_.tokens.push_back({TokenKind::kVariable, at_, end});
    result_.normalised.append("$").append(text_.substr(at_ + n, end - n));
    at_ += end;
  }

  void Operator() {
    for (std::string_view op : kLongOperators) {
      if (text_.substr(at_, op.size()) == op) {
        return Emit(TokenKind::kOperator, op.size());
      }
    }
    if (std::string_view(".?=;,:|+-*/%<>").find(Peek()) == std::string_view::npos) {
      return Fail("BL0301", "this character has no meaning in jq", at_);
    }
    Emit(TokenKind::kOperator, 1);
  }

  void Open(size_t length) {
    if (open_.size() >= kExpressionNestingMax) {
      return Fail("BL0308",
                  absl::StrCat("the expression nests deeper than ", kExpressionNestingMax), at_);
    }
    open_.push_back(result_.tokens.size());
    Emit(TokenKind::kOpen, length);
  }

  void Close() {
    const std::string found(1, Peek());
    if (open_.empty()) return Fail("BL0302", absl::StrCat("`", found, "` closes nothing"), at_);
    const size_t opener = open_.back();
    const std::string bracket(result_.tokens[opener].In(text_));
    const std::string wanted = bracket == "[" ? "]" : bracket == "{" ? "}" : ")";
    if (found != wanted) {
      return Fail(
          "BL0302",
          absl::StrCat("`", found, "` stands where `", wanted, "` should close `", bracket, "`"),
          at_);
    }
    open_.pop_back();
    result_.tokens[opener].partner = result_.tokens.size();
    Emit(TokenKind::kClose, 1);
    result_.tokens.back().partner = opener;
    if (bracket == "\\(") StringText(at_, /*whole=*/false);
  }

  void OpenString() {
    const size_t start = at_++;
    string_starts_.push_back(start);
    result_.normalised += '"';
    StringText(start, /*whole=*/true);
  }

  // Reads on in a string, from behind its quote (`whole`: so far) or behind the end of a `\( )`, to
  // its closing quote or the next `\(`.
  void StringText(size_t start, bool whole) {
    while (!AtEnd() && Peek() != '"') {
      if (Peek() != '\\') {
        AppendStringByte();
      } else if (Peek(1) == '(') {
        result_.tokens.push_back({TokenKind::kStringPart, start, at_ - start});
        return Open(2);
      } else if (at_ + 1 >= text_.size() ||
                 std::string_view("\"\\/bfnrtu").find(Peek(1)) == std::string_view::npos) {
        return Fail("BL0301", "this is no escape of jq", at_,
                    std::min<size_t>(2, text_.size() - at_));
      } else {
        result_.normalised.append(text_.substr(at_, 2));
        at_ += 2;
      }
    }
    if (AtEnd()) {
      return Fail("BL0302", "the string that starts here is never closed", string_starts_.back());
    }
    result_.normalised += '"';
    ++at_;
    result_.tokens.push_back(
        {whole ? TokenKind::kString : TokenKind::kStringPart, start, at_ - start});
    string_starts_.pop_back();
  }

  // Control characters are escaped: an expression is one line, and libjq takes a C string.
  void AppendStringByte() {
    const unsigned char c = static_cast<unsigned char>(text_[at_++]);
    if (c == '\n') {
      result_.normalised += "\\n";
    } else if (c == '\r') {
      result_.normalised += "\\r";
    } else if (c < 0x20) {
      absl::StrAppend(&result_.normalised, "\\u",
                      absl::Hex(static_cast<unsigned>(c), absl::kZeroPad4));
    } else {
      result_.normalised += static_cast<char>(c);
    }
  }

  std::string_view text_;
  size_t at_;
  size_t begin_;
  bool until_braces_;
  std::vector<size_t> open_;           // tokens of the brackets that are open
  std::vector<size_t> string_starts_;  // offsets of the strings that are open
  Tokens result_;
};

}  // namespace

Tokens Tokenize(std::string_view text, size_t begin, bool until_braces) {
  return Tokenizer(text, begin, until_braces).Run();
}

bool IsJqKeyword(std::string_view word) {
  return word == "try" || std::find(kKeywords.begin(), kKeywords.end(), word) != kKeywords.end();
}

}  // namespace beamline::flowspec
