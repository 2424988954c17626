// Lines end with CR, LF or both; a blank one ends an event.
#include "daemon/exec/sse_parser.h"

namespace beamline::exec {

bool SseParser::Feed(std::string_view bytes, const std::function<void(const SseEvent&)>& each) {
  while (!bytes.empty() && !too_large_) {
    if (after_cr_ && bytes.front() == '\n') bytes.remove_prefix(1);
    after_cr_ = false;
    const size_t end = bytes.find_first_of("\r\n");
    line_.append(bytes.substr(0, end));
    too_large_ = line_.size() + event_.data.size() > kEventBytesMax;
    if (end == bytes.npos || too_large_) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    TakeLine(line_, each);
    line_.clear();
  }
  return !too_large_;
}

void SseParser::TakeLine(std::string_view line, const std::function<void(const SseEvent&)>& each) {
  if (line.empty()) {
    if (event_.name.empty()) event_.name = "message";
    if (has_data_) each(event_);
    event_ = {};
    has_data_ = false;
    return;
  }
  const size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == line.npos ? std::string_view() : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "event") event_.name = value;
  if (field != "data") return;
  if (has_data_) event_.data.push_back('\n');
  event_.data.append(value);
  has_data_ = true;
}

}  // namespace beamline::exec
