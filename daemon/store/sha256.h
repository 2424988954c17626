// SHA-256 as the 64 lower-case hex digits that name blobs.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace beamline::store {

// Of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  void Update(std::string_view bytes);
  std::string Hex();  // ends it

 private:
  alignas(16) std::array<std::byte, 128> state_;  // libsodium's, kept out of this header
};

std::string Sha256Hex(std::string_view bytes);
// True for 64 lower-case hex digits, and so for what may become part of a path.
bool IsSha256Hex(std::string_view text);

}  // namespace beamline::store
