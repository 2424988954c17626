// A frame is four numbers and two texts.
#include "daemon/exec/evaluator_wire.h"

#include <cstring>

namespace beamline::exec {
namespace {

constexpr uint32_t kDigestBytesMax = 256;

struct Header {
  uint32_t kind;
  uint32_t code;
  uint32_t digest_bytes;
  uint32_t body_bytes;
};

}  // namespace

std::string EncodeFrame(FrameKind kind, uint32_t code, std::string_view digest,
                        std::string_view body) {
  const Header header{static_cast<uint32_t>(kind), code, static_cast<uint32_t>(digest.size()),
                      static_cast<uint32_t>(body.size())};
  std::string bytes;
  bytes.reserve(sizeof(header) + digest.size() + body.size());
  bytes.append(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes.append(digest).append(body);
  return bytes;
}

std::optional<Frame> FrameReader::Next() {
  Header header;
  if (broken_ || bytes_.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, bytes_.data(), sizeof(header));
  broken_ = header.kind < static_cast<uint32_t>(FrameKind::kCompile) ||
            header.kind > static_cast<uint32_t>(FrameKind::kUnknownProgram) ||
            header.digest_bytes > kDigestBytesMax || header.body_bytes > body_bytes_max_;
  const size_t whole = sizeof(header) + header.digest_bytes + header.body_bytes;
  if (broken_ || bytes_.size() < whole) return std::nullopt;
  Frame frame;
  frame.kind = static_cast<FrameKind>(header.kind);
  frame.code = header.code;
  frame.digest = bytes_.substr(sizeof(header), header.digest_bytes);
  frame.body = bytes_.substr(sizeof(header) + header.digest_bytes, header.body_bytes);
  bytes_.erase(0, whole);
  return frame;
}

}  // namespace beamline::exec
