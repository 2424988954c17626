// The signs that stand for statuses and lines, in UTF-8 or, where the locale has none, in ASCII.
#pragma once

#include <string_view>

#include "beamline/v1/event.pb.h"
#include "cli/text.h"

namespace beamline::cli {

struct Glyphs {
  std::string_view succeeded, running, pending, failed, retrying, parked, skipped;
  std::string_view branch, last_branch, rail;  // "├─ ", "└─ ", "│ "
  std::string_view bar_full, bar_empty;
  std::string_view dot, ellipsis, arrow;
};

const Glyphs& GlyphsFor(bool utf8);

// `text` with the signs → · … as the locale can show them.
std::string ForLocale(std::string_view text);

// By $LC_ALL, $LC_CTYPE or $LANG.
bool LocaleIsUtf8();

struct Mark {
  std::string_view glyph;
  Ink ink = Ink::kPlain;
};
// The sign of a status; `retrying` is a running step that waits for its next attempt.
Mark MarkOf(v1::Status status, bool retrying, const Glyphs& glyphs);

}  // namespace beamline::cli
