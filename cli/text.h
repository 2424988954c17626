// Text for terminals: how wide it is, how to cut and pad it, its colours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"

namespace beamline::cli {

// Columns that UTF-8 `text` takes in a terminal: wide East Asian characters and emoji two,
// combining marks none, escape sequences of colours none.
int DisplayWidth(std::string_view text);

// `text` cut to at most `width` columns, the last of them … if something was cut off.
std::string CutToWidth(std::string_view text, int width);

// `text` filled up with blanks to `width` columns.
std::string PadRight(std::string_view text, int width);
std::string PadLeft(std::string_view text, int width);

// `text` broken at blanks into lines of at most `width` columns.
std::vector<std::string> WrapText(std::string_view text, int width);

// `text` without control characters, for names and messages that come from elsewhere: escape
// sequences must not reach the terminal. Newlines and tabs become blanks.
std::string Printable(std::string_view text);

enum class Ink { kPlain, kBold, kDim, kRed, kGreen, kYellow, kBlue, kCyan };

// `text` in a colour, if `color`.
std::string Paint(bool color, Ink ink, std::string_view text);

// "0.8s", "42s", "1m12s", "2h05m", "3d4h": at most two units.
std::string ShortDuration(absl::Duration duration);
// "959 B", "1.2 kB", "34 MB": powers of 1000.
std::string ShortBytes(uint64_t bytes);
// "1 file", "2 files".
std::string Count(long long count, std::string_view singular, std::string_view plural = {});

}  // namespace beamline::cli
