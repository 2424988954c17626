// UTF-8 for protobuf's `string` fields, which refuse anything else when they are read.
#pragma once

#include <string>
#include <string_view>

namespace beamline::codec {

// True for well-formed UTF-8: no surrogates, nothing overlong, nothing over U+10FFFF.
bool IsUtf8(std::string_view text);

// `text` with each byte that is part of no well-formed character replaced by U+FFFD.
std::string ToUtf8(std::string_view text);

}  // namespace beamline::codec
