// Text for terminals; see text.h.
#include "cli/text.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace beamline::cli {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// Unicode 15: marks that join the character before them, and characters without a shape.
constexpr Range kZeroWidth[] = {
    {0x0300, 0x036F},   {0x0483, 0x0489},  {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x06D6, 0x06DC},   {0x0730, 0x074A},  {0x0900, 0x0902}, {0x093C, 0x093C}, {0x0941, 0x0948},
    {0x094D, 0x094D},   {0x0E31, 0x0E31},  {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1160, 0x11FF},
    {0x1AB0, 0x1AFF},   {0x1DC0, 0x1DFF},  {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x2069},
    {0x20D0, 0x20FF},   {0x3099, 0x309A},  {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xFEFF, 0xFEFF},
    {0x1F3FB, 0x1F3FF}, {0xE0001, 0xE01EF}};

// Unicode 15: East Asian Width W and F, and characters that are shown as emoji.
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x2329, 0x232A},   {0x23E9, 0x23EC},
    {0x23F0, 0x23F0},   {0x23F3, 0x23F3},   {0x25FD, 0x25FE},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267F, 0x267F},   {0x2693, 0x2693},   {0x26A1, 0x26A1},
    {0x26AA, 0x26AB},   {0x26BD, 0x26BE},   {0x26C4, 0x26C5},   {0x26CE, 0x26CE},
    {0x26D4, 0x26D4},   {0x26EA, 0x26EA},   {0x26F2, 0x26F3},   {0x26F5, 0x26F5},
    {0x26FA, 0x26FA},   {0x26FD, 0x26FD},   {0x2705, 0x2705},   {0x270A, 0x270B},
    {0x2728, 0x2728},   {0x274C, 0x274C},   {0x274E, 0x274E},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27B0, 0x27B0},   {0x27BF, 0x27BF},
    {0x2B1B, 0x2B1C},   {0x2B50, 0x2B50},   {0x2B55, 0x2B55},   {0x2E80, 0x303E},
    {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0xA4CF},   {0xA960, 0xA97C},
    {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6},   {0x1F004, 0x1F004}, {0x1F0CF, 0x1F0CF}, {0x1F18E, 0x1F18E},
    {0x1F191, 0x1F19A}, {0x1F200, 0x1F320}, {0x1F32D, 0x1F335}, {0x1F337, 0x1F37C},
    {0x1F37E, 0x1F393}, {0x1F3A0, 0x1F3CA}, {0x1F3CF, 0x1F3D3}, {0x1F3E0, 0x1F3F0},
    {0x1F3F4, 0x1F3F4}, {0x1F3F8, 0x1F43E}, {0x1F440, 0x1F440}, {0x1F442, 0x1F4FC},
    {0x1F4FF, 0x1F53D}, {0x1F54B, 0x1F54E}, {0x1F550, 0x1F567}, {0x1F57A, 0x1F57A},
    {0x1F595, 0x1F596}, {0x1F5A4, 0x1F5A4}, {0x1F5FB, 0x1F64F}, {0x1F680, 0x1F6C5},
    {0x1F6CC, 0x1F6CC}, {0x1F6D0, 0x1F6D2}, {0x1F6D5, 0x1F6D7}, {0x1F6DC, 0x1F6DF},
    {0x1F6EB, 0x1F6EC}, {0x1F6F4, 0x1F6FC}, {0x1F7E0, 0x1F7EB}, {0x1F90C, 0x1F93A},
    {0x1F93C, 0x1F945}, {0x1F947, 0x1F9FF}, {0x1FA70, 0x1FAFF}, {0x20000, 0x2FFFD},
    {0x30000, 0x3FFFD}};

template <size_t N>
bool Within(const Range (&ranges)[N], uint32_t rune) {
  const auto* range = std::lower_bound(std::begin(ranges), std::end(ranges), rune,
                                       [](const Range& r, uint32_t c) { return r.last < c; });
  return range != std::end(ranges) && range->first <= rune;
}

struct Rune {
  uint32_t value = 0xFFFD;
  size_t bytes = 1;
  bool valid = false;
};

// The first character of `text`, which is not empty. A byte that starts none is a rune of its own.
Rune DecodeRune(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t value = lead & (0xFF >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kSmallest[bytes] || value > 0x10FFFF || surrogate) return {};
  return {value, bytes, true};
}

int RuneWidth(const Rune& rune) {
  if (rune.value < 0x300) return 1;
  if (Within(kZeroWidth, rune.value)) return 0;
  return Within(kWide, rune.value) ? 2 : 1;
}

// Bytes of the colour sequence that `text` starts with; 0 if it starts with none.
size_t EscapeBytes(std::string_view text) {
  if (text.size() < 2 || text[0] != '\033' || text[1] != '[') return 0;
  for (size_t i = 2; i < text.size(); ++i) {
    if (text[i] >= 0x40 && text[i] <= 0x7E) return i + 1;
  }
  return text.size();
}

bool IsHarmful(uint32_t rune) {
  return rune < 0x20 || (rune >= 0x7F && rune < 0xA0) || (rune >= 0x202A && rune <= 0x202E) ||
         (rune >= 0x2066 && rune <= 0x2069);
}

}  // namespace

int DisplayWidth(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    if (const size_t escape = EscapeBytes(text); escape > 0) {
      text.remove_prefix(escape);
      continue;
    }
    const Rune rune = DecodeRune(text);
    width += RuneWidth(rune);
    text.remove_prefix(rune.bytes);
  }
  return width;
}

std::string CutToWidth(std::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width <= 0) return "";
  std::string cut;
  bool colored = false;
  int left = width - 1;  // for the ellipsis
  while (!text.empty()) {
    if (const size_t escape = EscapeBytes(text); escape > 0) {
      cut.append(text.substr(0, escape));
      colored = true;
      text.remove_prefix(escape);
      continue;
    }
    const Rune rune = DecodeRune(text);
    left -= RuneWidth(rune);
    if (left < 0) break;
    cut.append(text.substr(0, rune.bytes));
    text.remove_prefix(rune.bytes);
  }
  return absl::StrCat(cut, "…", colored ? "\033[0m" : "");
}

std::string PadRight(std::string_view text, int width) {
  const int missing = std::max(0, width - DisplayWidth(text));
  return std::string(text) + std::string(missing, ' ');
}

std::string PadLeft(std::string_view text, int width) {
  const int missing = std::max(0, width - DisplayWidth(text));
  return std::string(missing, ' ').append(text);
}

std::vector<std::string> WrapText(std::string_view text, int width) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (!line.empty() && DisplayWidth(line) + 1 + DisplayWidth(word) > width) {
      lines.push_back(std::move(line));
      line.clear();
    }
    line.append(line.empty() ? "" : " ").append(word);
  }
  if (!line.empty()) lines.push_back(std::move(line));
  return lines;
}

std::string Printable(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const Rune rune = DecodeRune(text);
    if (!rune.valid) {
      clean += "\uFFFD";
    } else if (rune.value == '\n' || rune.value == '\t') {
      clean += ' ';
    } else if (!IsHarmful(rune.value)) {
      clean.append(text.substr(0, rune.bytes));
    }
    text.remove_prefix(rune.bytes);
  }
  return clean;
}

std::string Paint(bool color, Ink ink, std::string_view text) {
  if (!color || ink == Ink::kPlain || text.empty()) return std::string(text);
  constexpr const char* kCodes[] = {"", "1", "2", "31", "32", "33", "34", "36"};
  return absl::StrCat("\033[", kCodes[static_cast<int>(ink)], "m", std::string(text), "\033[0m");
}

std::string ShortDuration(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return "∞";
  if (duration < absl::ZeroDuration()) duration = absl::ZeroDuration();
  const int64_t milliseconds = absl::ToInt64Milliseconds(duration);
  if (milliseconds < 100) return absl::StrCat(milliseconds, "ms");
  if (milliseconds < 10'000) return absl::StrFormat("%.1fs", milliseconds / 1000.0);
  const int64_t seconds = milliseconds / 1000;
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  if (seconds < 86'400) return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
  return absl::StrFormat("%dd%dh", seconds / 86'400, seconds / 3600 % 24);
}

std::string ShortBytes(uint64_t bytes) {
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  double size = static_cast<double>(bytes);
  const char* unit = "";
  for (const char* larger : {"kB", "MB", "GB", "TB"}) {
    if (size < 999.5) break;
    size /= 1000;
    unit = larger;
  }
  return absl::StrFormat("%.*f %s", size < 9.95 ? 1 : 0, size, unit);
}

std::string Count(long long count, std::string_view singular, std::string_view plural) {
  std::string text =
      absl::StrCat(count, " ").append(count == 1 || plural.empty() ? singular : plural);
  if (count != 1 && plural.empty()) text += 's';
  return text;
}

}  // namespace beamline::cli
