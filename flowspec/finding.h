// What a check has to say about a flow or policy file: one value per mistake, with its place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace beamline::flowspec {

// A place in the source. Lines and columns start at 1; columns count bytes. `length` bytes are
// underlined, all on `line`; 0 points at the place without underlining.
struct Span {
  int line = 0;
  int column = 0;
  int length = 0;

  friend bool operator==(const Span&, const Span&) = default;
};

enum class Severity { kError, kWarning, kNote };

// Replaces the bytes of `span` by `text` (`validate --fix`).
struct Fix {
  Span span;
  std::string text;
};

struct Finding {
  std::string code;  // "BL0203", a key of the catalogue (catalogue.h)
  Severity severity = Severity::kError;
  std::string message;  // one line: what is wrong, names in backticks
  Span span;
  std::string label;  // beside the caret; may be empty
  std::string help;   // what to do; may be empty
  std::optional<Fix> fix;
};

using Findings = std::vector<Finding>;

// True if one of `findings` is an error.
bool HasErrors(const Findings& findings);

// The candidate nearest to `word` (edit distance at most a third of its length, at least 1, with
// transpositions); empty if none is near. Ties go to the first.
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace beamline::flowspec
