// The words of jq, as far as finding expressions and what they read needs them; libjq's own parser
// has the last word on syntax (jq.h).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::flowspec {

enum class TokenKind {
  kName,      // steps, map, a::b
  kKeyword,   // if, def, reduce, …
  kField,     // .name
  kVariable,  // $name
  kFormat,    // @base64
  kNumber,
  kString,      // "…" without \( )
  kStringPart,  // text between the quotes and \( ) of an interpolated string
  kOpen,        // ( [ { and \(
  kClose,       // ) ] } and the end of \( )
  kOperator,    // | , . ? // == …
};

// A word of `text`, by place. `partner` is the index of the matching bracket's token.
struct Token {
  TokenKind kind;
  size_t offset = 0;
  size_t length = 0;
  size_t partner = 0;

  std::string_view In(std::string_view text) const { return text.substr(offset, length); }
};

struct TokenError {
  const char* code;  // BL0301, BL0302, BL0306 or BL0308
  std::string message;
  size_t offset = 0;
  size_t length = 1;
};

struct Tokens {
  std::vector<Token> tokens;
  std::string normalised;           // the text on one line, without comments; same tokens
  size_t end = 0;                   // offset of the closing }} or of the end of the text
  std::optional<TokenError> error;  // `tokens` are then incomplete
};

// Limits of one expression: libjq's parser takes time quadratic in chains of operators, and its
// compiled functions have at most 64 KiB (both tests of tests/flowspec/jq_test.cc).
inline constexpr size_t kExpressionBytesMax = 16 * 1024;
inline constexpr size_t kExpressionTokensMax = 1024;
inline constexpr size_t kExpressionNestingMax = 64;

// The words of `text` from `begin` on: to its end, or if `until_braces` to the first `}}` outside
// strings, comments and brackets.
Tokens Tokenize(std::string_view text, size_t begin, bool until_braces);

bool IsJqKeyword(std::string_view word);

}  // namespace beamline::flowspec
