// Signs; see glyphs.h.
#include "cli/glyphs.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "cli/places.h"

namespace beamline::cli {
namespace {

constexpr Glyphs kUtf8 = {"✔",   "●",  "◌", "✖", "↻", "⏸", "⊘", "├─ ",
                          "└─ ", "│ ", "█", "░", "·", "…",   "→"};
constexpr Glyphs kAscii = {"+",   "*",  ".", "x", "~", "=",   "-", "|- ",
                           "`- ", "| ", "#", "-", "-", "...", "->"};

}  // namespace

const Glyphs& GlyphsFor(bool utf8) { return utf8 ? kUtf8 : kAscii; }

std::string ForLocale(std::string_view text) {
  if (LocaleIsUtf8()) return std::string(text);
  return absl::StrReplaceAll(absl::string_view(text.data(), text.size()),
                             {{"→", "->"}, {"·", "-"}, {"…", "..."}});
}

bool LocaleIsUtf8() {
  const Environment environment = ProcessEnvironment();
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value = absl::AsciiStrToLower(environment(name));
    if (!value.empty())
      return absl::StrContains(value, "utf-8") || absl::StrContains(value, "utf8");
  }
  return false;
}

Mark MarkOf(v1::Status status, bool retrying, const Glyphs& glyphs) {
  switch (status) {
    case v1::STATUS_SUCCEEDED:
      return {glyphs.succeeded, Ink::kGreen};
    case v1::STATUS_FAILED:
      return {glyphs.failed, Ink::kRed};
    case v1::STATUS_PARKED:
    case v1::STATUS_PAUSED:
      return {glyphs.parked, Ink::kYellow};
    case v1::STATUS_WAITING:
      if (!retrying) return {glyphs.parked, Ink::kYellow};
      return {glyphs.retrying, Ink::kYellow};
    case v1::STATUS_RUNNING:
      if (retrying) return {glyphs.retrying, Ink::kYellow};
      return {glyphs.running, Ink::kCyan};
    case v1::STATUS_SKIPPED:
      return {glyphs.skipped, Ink::kDim};
    case v1::STATUS_CANCELLED:
      return {glyphs.skipped, Ink::kYellow};
    default:
      return {glyphs.pending, Ink::kDim};
  }
}

}  // namespace beamline::cli
