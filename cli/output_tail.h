// The last lines that each step printed, for showing them beside the step.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "beamline/v1/orchestrator.pb.h"

namespace beamline::cli {

// Puts a step's output together to lines. Lines are cut after 4 KiB, so that a step which prints
// without a line break needs no memory.
class LineSplitter {
 public:
  // The lines that `bytes` completes, without their line breaks; "\r" alone ends one, too.
  std::vector<std::string> Add(std::string_view bytes);
  // What is left without a line break; "" if nothing is.
  std::string Rest();

 private:
  std::string rest_;
  bool after_return_ = false;
};

// `line` without the escape sequences (colours, cursor movements, titles) that programs print.
std::string StripEscapes(std::string_view line);

// Remembers the last kLinesKept lines, cut after 1 KiB, of at most kStepsKept steps (those that
// printed last).
class OutputTail {
 public:
  static constexpr size_t kLinesKept = 24;
  static constexpr size_t kStepsKept = 256;

  void Add(const v1::TailOutputResponse& chunk);
  // The last `limit` lines of the step at `path`, in order, with one that is not ended yet.
  std::vector<std::string> Last(std::string_view path, size_t limit) const;
  // How many lines the step at `path` has printed in its last attempt.
  int64_t Count(std::string_view path) const;

 private:
  struct Tail {
    std::deque<std::string> lines;
    std::array<LineSplitter, 2> splitters;  // stdout and stderr
    int64_t count = 0;                      // of lines that are ended, those not kept included
    int32_t attempt = 0;
    uint64_t used = 0;
  };
  std::map<std::string, Tail, std::less<>> tails_;
  uint64_t clock_ = 0;
};

}  // namespace beamline::cli
