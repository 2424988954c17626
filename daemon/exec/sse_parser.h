// Server-sent events (WHATWG HTML, 9.2) out of pieces of a stream.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace beamline::exec {

struct SseEvent {
  std::string name;  // "message" if the stream says nothing
  std::string data;  // its lines, joined by line feeds
};

class SseParser {
 public:
  // More for one event is an attack, or no event stream.
  static constexpr size_t kEventBytesMax = 4 << 20;

  // Calls `each` for every event that `bytes` complete. False once an event is over the limit:
  // nothing more is read then.
  bool Feed(std::string_view bytes, const std::function<void(const SseEvent&)>& each);

 private:
  void TakeLine(std::string_view line, const std::function<void(const SseEvent&)>& each);

  std::string line_;
  SseEvent event_;
  bool has_data_ = false;
  bool after_cr_ = false;  // a line feed that comes now belongs to the line's end before
  bool too_large_ = false;
};

}  // namespace beamline::exec
