// How one chunk of output lies in a file: a frame that can be recognised, checked and skipped.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/ports/output_store.h"

namespace beamline::store {

inline constexpr size_t kChunkBytesMax = 64 << 10;

// Appends the frame of `chunk` to `to`. REQUIRES: at most kChunkBytesMax bytes of output.
//
// Little-endian: magic "BLo1", CRC-32C of all that follows, time (ns since 1970, 8 bytes), attempt
// (4), length of the output (4), length of the path (2), stream (1), 0 (1), path, output.
void EncodeRecord(const ports::OutputChunk& chunk, std::string* to);

struct ParsedRecord {
  ports::OutputChunk chunk;
  size_t bytes = 0;  // of the frame
};
// The frame at the start of `bytes`; nothing if it is incomplete or damaged.
std::optional<ParsedRecord> ParseRecord(std::string_view bytes);

// No frame is larger.
inline constexpr size_t kRecordBytesMax = 28 + 0xffff + kChunkBytesMax;

}  // namespace beamline::store
