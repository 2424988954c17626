// Lines of steps' output; see output_tail.h.
#include "cli/output_tail.h"

#include <algorithm>
#include <utility>

namespace beamline::cli {
namespace {

constexpr size_t kLineBytesMax = 4096;
constexpr size_t kLineBytesKept = 1024;  // no terminal is wider

}  // namespace

std::vector<std::string> LineSplitter::Add(std::string_view bytes) {
  std::vector<std::string> lines;
  for (char c : bytes) {
    const bool pair = c == '\n' && after_return_;
    after_return_ = c == '\r';
    if (pair) continue;
    if (c == '\n' || c == '\r' || rest_.size() >= kLineBytesMax) {
      lines.push_back(std::exchange(rest_, {}));
    }
    if (c != '\n' && c != '\r') rest_ += c;
  }
  return lines;
}

std::string LineSplitter::Rest() { return std::exchange(rest_, {}); }

std::string StripEscapes(std::string_view line) {
  std::string text;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\033') {
      text += line[i];
      continue;
    }
    if (++i >= line.size()) break;
    if (line[i] == '[') {  // CSI: parameters, then a final byte
      while (++i < line.size() && (line[i] < 0x40 || line[i] > 0x7E)) {
      }
    } else if (line[i] == ']') {  // OSC: up to BEL or ESC backslash
      while (++i < line.size() && line[i] != '\a' && line[i] != '\033') {
      }
      if (i + 1 < line.size() && line[i] == '\033' && line[i + 1] == '\\') ++i;
    }
  }
  return text;
}

void OutputTail::Add(const v1::TailOutputResponse& chunk) {
  if (tails_.size() >= kStepsKept && !tails_.contains(chunk.path())) {
    tails_.erase(std::min_element(tails_.begin(), tails_.end(), [](const auto& a, const auto& b) {
      return a.second.used < b.second.used;
    }));
  }
  Tail& tail = tails_[chunk.path()];
  tail.used = ++clock_;
  if (chunk.attempt() != tail.attempt) {
    tail = Tail();  // only the last attempt counts
    tail.attempt = chunk.attempt();
    tail.used = clock_;
  }
  const bool is_stderr = chunk.stream() == v1::OUTPUT_STREAM_STDERR;
  for (std::string& line : tail.splitters[is_stderr ? 1 : 0].Add(chunk.data())) {
    ++tail.count;
    line.resize(std::min(line.size(), kLineBytesKept));
    tail.lines.push_back(std::move(line));
    if (tail.lines.size() > kLinesKept) tail.lines.pop_front();
  }
}

std::vector<std::string> OutputTail::Last(std::string_view path, size_t limit) const {
  auto at = tails_.find(path);
  if (at == tails_.end()) return {};
  std::vector<std::string> lines(at->second.lines.begin(), at->second.lines.end());
  for (LineSplitter splitter : at->second.splitters) {
    if (std::string rest = splitter.Rest(); !rest.empty()) lines.push_back(std::move(rest));
  }
  if (lines.size() > limit) lines.erase(lines.begin(), lines.end() - static_cast<long>(limit));
  return lines;
}

int64_t OutputTail::Count(std::string_view path) const {
  auto at = tails_.find(path);
  if (at == tails_.end()) return 0;
  int64_t count = at->second.count;
  for (LineSplitter splitter : at->second.splitters) count += splitter.Rest().empty() ? 0 : 1;
  return count;
}

}  // namespace beamline::cli
