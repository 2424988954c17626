// What the daemon and an evaluator child say to each other over their socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace beamline::exec {

enum class FrameKind : uint32_t {
  // To the child.
  kCompile = 1,  // digest, program text; answered by kCompiled or kError
  kEvaluate,     // digest, input; answered by kResult, kError or kUnknownProgram
  // To the daemon.
  kCompiled,
  kResult,          // body: JSON text
  kError,           // code: an absl::StatusCode; body: the message
  kUnknownProgram,  // not compiled here, or forgotten since
};

struct Frame {
  FrameKind kind = FrameKind::kError;
  uint32_t code = 0;
  std::string digest;
  std::string body;
};

// Of an input, and of a program. libjq's values take ten times the room of their text.
inline constexpr size_t kEvaluatorInputBytesMax = 4 << 20;
inline constexpr size_t kEvaluatorResultBytesMax = 1 << 20;

// Both ends are the same executable, so numbers go as they lie in memory.
std::string EncodeFrame(FrameKind kind, uint32_t code, std::string_view digest,
                        std::string_view body);

// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  // Frames with a larger digest or body break the reader.
  explicit FrameReader(size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

  void Append(std::string_view bytes) { bytes_.append(bytes); }
  // The next whole frame; empty if more bytes are needed or the stream is broken.
  std::optional<Frame> Next();
  // True once something came that is no frame.
  bool broken() const { return broken_; }

 private:
  size_t body_bytes_max_;
  std::string bytes_;
  bool broken_ = false;
};

}  // namespace beamline::exec
