// ULIDs in Crockford's base32.
#include "daemon/run/id.h"

#include <algorithm>

namespace beamline::run {
namespace {

constexpr char kDigits[] = "0123456789abcdefghjkmnpqrstvwxyz";

int DigitValue(char c) {
  if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const char* end = kDigits + 32;
  const char* found = std::find(kDigits, end, c);
  return found == end ? -1 : static_cast<int>(found - kDigits);
}

}  // namespace

RunId RunId::Make(absl::Time time, const std::array<uint8_t, 10>& entropy) {
  RunId id;
  const auto ms = static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMillis(time)));
  for (size_t i = 0; i < 6; ++i) id.bytes[i] = static_cast<uint8_t>(ms >> (8 * (5 - i)));
  std::copy(entropy.begin(), entropy.end(), id.bytes.begin() + 6);
  return id;
}

// 26 digits hold 130 bits: the first stands for the upper three of 128 only.
std::string RunId::ToString() const {
  unsigned __int128 value = 0;
  for (const uint8_t byte : bytes) value = value << 8 | byte;
  std::string text(26, '0');
  for (size_t i = 26; i-- > 0; value >>= 5) text[i] = kDigits[static_cast<size_t>(value & 31)];
  return text;
}

std::optional<RunId> RunId::Parse(std::string_view text) {
  if (text.size() != 26) return std::nullopt;
  unsigned __int128 value = 0;
  for (const char c : text) {
    const int digit = DigitValue(c);
    if (digit < 0) return std::nullopt;
    value = value << 5 | static_cast<unsigned>(digit);
  }
  if (DigitValue(text[0]) > 7) return std::nullopt;
  RunId id;
  for (size_t i = 16; i-- > 0; value >>= 8) id.bytes[i] = static_cast<uint8_t>(value);
  return id;
}

}  // namespace beamline::run
