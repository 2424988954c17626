// Text as mdoc(7) wants it.
#pragma once

#include <string>

namespace beamline::cli {

// `text` so that every character stands for itself.
std::string MdocLiteral(const std::string& text);
// The same in quotes, as one word of a macro line.
std::string MdocWord(const std::string& text);
// Running text: hyphens may be broken at, and what stands in backticks is bold.
std::string MdocProse(const std::string& text);
// Running text with each sentence on a line of its own, none of which is taken for a macro.
std::string MdocSentences(const std::string& text);

}  // namespace beamline::cli
