// UTF-8 after RFC 3629; nothing that moves a cursor.
#include "daemon/exec/printable.h"

#include <algorithm>

namespace beamline::exec {
namespace {

// The length of the UTF-8 character that `text` begins with; 0 if it is none (RFC 3629: no
// surrogates, no overlong forms, nothing above U+10FFFF).
size_t CharacterBytes(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) ||
      (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return size;
}

// The length of the terminal escape that `text` (starting with ESC) begins with: a CSI sequence up
// to its final byte, or ESC and one character.
size_t EscapeBytes(absl::string_view text) {
  if (text.size() < 2 || text[1] != '[') return std::min<size_t>(2, text.size());
  size_t i = 2;
  while (i < text.size() && text[i] >= 0x20 && text[i] <= 0x3F) ++i;
  return std::min(i + 1, text.size());
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const size_t size = CharacterBytes(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string PrintableLine(absl::string_view text, size_t bytes_max) {
  std::string line;
  while (!text.empty()) {
    const unsigned char c = text.front();
    const size_t size = c == 0x1B ? EscapeBytes(text) : CharacterBytes(text);
    const bool is_control = c < 0x20 || c == 0x7F;
    const absl::string_view shown = size == 0    ? "?"
                                    : c == '\t'  ? " "
                                    : is_control ? ""
                                                 : text.substr(0, size);
    if (line.size() + shown.size() > bytes_max) return line + "...";
    line.append(shown.data(), shown.size());
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return line;
}

}  // namespace beamline::exec
