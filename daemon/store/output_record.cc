// The frame is written and read field by field: no struct whose layout could change.
#include "daemon/store/output_record.h"

#include <cstdint>
#include <cstring>

#include "daemon/store/crc32c.h"

namespace beamline::store {
namespace {

constexpr size_t kHeaderBytes = 28, kChecked = 8;  // the checksum covers what follows it
constexpr uint32_t kMagic = 0x316f4c42;            // "BLo1"
constexpr size_t kPathBytesMax = 0xffff;

template <typename T>
void Put(T value, char* to) {
  std::memcpy(to, &value, sizeof(value));
}
template <typename T>
T Get(std::string_view from, size_t at) {
  T value;
  std::memcpy(&value, from.data() + at, sizeof(value));
  return value;
}

}  // namespace

void EncodeRecord(const ports::OutputChunk& chunk, std::string* to) {
  const std::string_view path = std::string_view(chunk.path).substr(0, kPathBytesMax);
  const size_t start = to->size();
  to->resize(start + kHeaderBytes);
  char* header = to->data() + start;
  Put<uint32_t>(kMagic, header);
  Put<int64_t>(absl::ToUnixNanos(chunk.time), header + 8);
  Put<int32_t>(chunk.attempt, header + 16);
  Put<uint32_t>(static_cast<uint32_t>(chunk.bytes.size()), header + 20);
  Put<uint16_t>(static_cast<uint16_t>(path.size()), header + 24);
  Put<uint8_t>(static_cast<uint8_t>(chunk.stream), header + 26);
  Put<uint8_t>(0, header + 27);
  *to += path;
  *to += chunk.bytes;
  Put<uint32_t>(Crc32c(std::string_view(*to).substr(start + kChecked)), to->data() + start + 4);
}

std::optional<ParsedRecord> ParseRecord(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes || Get<uint32_t>(bytes, 0) != kMagic) return std::nullopt;
  const size_t length = Get<uint32_t>(bytes, 20), path_length = Get<uint16_t>(bytes, 24);
  const size_t total = kHeaderBytes + path_length + length;
  if (length > kChunkBytesMax || total > bytes.size()) return std::nullopt;
  bytes = bytes.substr(0, total);
  if (Crc32c(bytes.substr(kChecked)) != Get<uint32_t>(bytes, 4)) return std::nullopt;
  ParsedRecord record;
  record.bytes = total;
  record.chunk.time = absl::FromUnixNanos(Get<int64_t>(bytes, 8));
  record.chunk.attempt = Get<int32_t>(bytes, 16);
  record.chunk.stream = static_cast<ports::OutputStream>(Get<uint8_t>(bytes, 26));
  record.chunk.path = bytes.substr(kHeaderBytes, path_length);
  record.chunk.bytes = bytes.substr(kHeaderBytes + path_length);
  return record;
}

}  // namespace beamline::store
