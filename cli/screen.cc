// Terminal control; see screen.h.
#include "cli/screen.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

// What the terminal was like before KeyInput; one per process, as the terminal is.
termios g_saved;

}  // namespace

TerminalSize SizeOfTerminal(int fd) {
  TerminalSize size;
  winsize window{};
  if (ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0) {
    size.width = window.ws_col;
    size.height = window.ws_row;
  }
  return size;
}

Screen::Screen(const Stream& stream) : stream_(stream) {}

Screen::~Screen() { Suspend(); }

void Screen::Draw(const std::vector<std::string>& lines, int width) {
  int rows = 0;
  for (int drawn : drawn_) rows += std::max(1, (drawn + width - 1) / std::max(1, width));
  std::string text = cursor_hidden_ ? "" : "\033[?25l";
  cursor_hidden_ = true;
  if (rows > 0) absl::StrAppend(&text, "\033[", rows, "A");
  absl::StrAppend(&text, "\r");
  drawn_.clear();
  for (const std::string& line : lines) {
    // The rest of the line is cleared after it is written: a cleared line would flicker.
    absl::StrAppend(&text, line, "\033[K\n");
    drawn_.push_back(DisplayWidth(line));
  }
  absl::StrAppend(&text, "\033[J");
  stream_.Write(text);
}

void Screen::Clear() {
  stream_.Write("\033[2J\033[H");
  drawn_.clear();
}

void Screen::Suspend() {
  if (cursor_hidden_) stream_.Write("\033[?25h");
  cursor_hidden_ = false;
  drawn_.clear();
}

KeyInput::KeyInput() { Resume(); }

KeyInput::~KeyInput() { Suspend(); }

void KeyInput::Suspend() {
  if (active_) tcsetattr(STDIN_FILENO, TCSADRAIN, &g_saved);
  active_ = false;
}

void KeyInput::Resume() {
  if (active_) return;
  // Changing the terminal from the background would stop this process.
  if (isatty(STDIN_FILENO) != 1 || tcgetpgrp(STDIN_FILENO) != getpgrp()) return;
  if (tcgetattr(STDIN_FILENO, &g_saved) != 0) return;
  termios keys = g_saved;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  keys.c_cc[VMIN] = 0;
  keys.c_cc[VTIME] = 0;
  active_ = tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) == 0;
}

char KeyInput::Take() {
  char key = 0;
  if (!active_) return 0;
  const ssize_t got = read(STDIN_FILENO, &key, 1);
  if (got == 0) return 0;  // nothing is there; with VMIN 0 this is not the end
  return got == 1 ? key : 0;
}

}  // namespace beamline::cli
