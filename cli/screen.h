// A block of lines at the bottom of a terminal that is drawn over and over, without flicker.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace beamline::cli {

// The size of the terminal at `fd`; 80 × 24 where there is none.
struct TerminalSize {
  int width = 80;
  int height = 24;
  friend bool operator==(const TerminalSize&, const TerminalSize&) = default;
};
TerminalSize SizeOfTerminal(int fd);

class Screen {
 public:
  // The cursor is hidden from the first block on until this ends.
  explicit Screen(const Stream& stream);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // Replaces the block by `lines` in one write. `width` is the terminal's width now: lines drawn
  // before it became narrower have wrapped meanwhile.
  void Draw(const std::vector<std::string>& lines, int width);

  // Empties the terminal; the next block is drawn at its top. For when its size has changed: what a
  // terminal makes of lines that do not fit any more cannot be known.
  void Clear();

  // Gives the cursor back; the next block is drawn below.
  void Suspend();

 private:
  Stream stream_;
  bool cursor_hidden_ = false;
  std::vector<int> drawn_;  // widths of the lines of the block
};

// Takes keys from the terminal one by one, without showing them, until it ends. Ctrl-C still comes
// as a signal. Does nothing where standard input is no terminal or belongs to another job.
class KeyInput {
 public:
  KeyInput();
  ~KeyInput();
  KeyInput(const KeyInput&) = delete;
  KeyInput& operator=(const KeyInput&) = delete;

  // To be polled for reading; -1 if there are no keys.
  int fd() const { return active_ ? 0 : -1; }
  // A key that was pressed, or 0.
  char Take();
  // Gives the terminal back as it was, and takes it again if it belongs to this job.
  void Suspend();
  void Resume();

 private:
  bool active_ = false;
};

}  // namespace beamline::cli
