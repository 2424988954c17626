// Escapes text for mdoc; see mdoc.h and mandoc_char(7).
#include "cli/mdoc.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace beamline::cli {

std::string MdocLiteral(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\e"},
                                    {"-", "\\-"},
                                    {"…", "..."},
                                    {"`", "\\(ga"},
                                    {"'", "\\(aq"},
                                    {"\"", "\\(dq"},
                                    {"~", "\\(ti"},
                                    {"^", "\\(ha"},
                                    {"→", "\\(->"}});
}

std::string MdocWord(const std::string& text) {
  return absl::StrCat("\"", MdocLiteral(text), "\"");
}

std::string MdocProse(const std::string& text) {
  std::string out;
  bool literal = false;
  for (const char c : text) {
    if (c == '`') {
      out += literal ? "\\fR" : "\\fB";
      literal = !literal;
    } else if (c == '\\') {
      out += "\\e";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '"') {
      out += "\\(dq";
    } else {
      out += c;
    }
  }
  return absl::StrReplaceAll(out, {{"…", "..."}, {"→", "\\(->"}});
}

std::string MdocSentences(const std::string& text) {
  std::string out = absl::StrReplaceAll(MdocProse(text), {{". ", ".\n"}});
  out = absl::StrReplaceAll(out, {{"\n.", "\n\\&."}});
  return absl::StartsWith(out, ".") ? "\\&" + out : out;
}

}  // namespace beamline::cli
