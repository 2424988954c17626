// What does not fit on the screen is cut.
#include "cli/watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>

#include "absl/strings/str_split.h"
#include "cli/api_error.h"
#include "cli/screen.h"
#include "cli/signals.h"

namespace beamline::cli {
namespace {

constexpr int kWatchIntervalMs = 1000;

// Waits for the next look. False: it is enough.
bool AwaitTurn(SignalPipe& signals, KeyInput& keys, Screen& screen) {
  pollfd fds[] = {{signals.fd(), POLLIN, 0}, {keys.fd(), POLLIN, 0}};
  poll(fds, 2, kWatchIntervalMs);
  while (const int signal = signals.Take()) {
    if (signal == SIGTSTP) {
      screen.Suspend();
      keys.Suspend();
      signals.StopProcess();
      keys.Resume();
    } else if (signal != SIGWINCH) {
      return false;
    }
  }
  if ((fds[1].revents & (POLLHUP | POLLERR)) != 0) return false;
  while (const char key = keys.Take()) {
    if (key == 'q' || key == 'Q') return false;
  }
  return true;
}

}  // namespace

int WatchLines(
    const Context& context,
    const std::function<absl::StatusOr<std::vector<std::string>>(int width, int height)>& fetch) {
  SignalPipe signals;
  KeyInput keys;
  Screen screen(context.out);
  std::optional<TerminalSize> before;
  do {
    const TerminalSize size = SizeOfTerminal(STDOUT_FILENO);
    if (before && *before != size) screen.Clear();
    before = size;
    const int height = std::max(1, size.height - 1);  // the cursor's line is below
    absl::StatusOr<std::vector<std::string>> lines = fetch(size.width, height);
    if (!lines.ok()) return FailWith(context, lines.status());
    if (static_cast<int>(lines->size()) > height) lines->resize(static_cast<size_t>(height));
    screen.Draw(*lines, size.width);
  } while (AwaitTurn(signals, keys, screen));
  return kExitOk;
}

int WatchTable(const Context& context, const char* nothing,
               const std::function<absl::StatusOr<Table>()>& fetch) {
  return WatchLines(context, [&](int width, int) -> absl::StatusOr<std::vector<std::string>> {
    const absl::StatusOr<Table> table = fetch();
    if (!table.ok()) return table.status();
    if (table->empty() && nothing != nullptr) return std::vector<std::string>{nothing};
    return std::vector<std::string>(
        absl::StrSplit(table->Render(context.out, width), '\n', absl::SkipEmpty()));
  });
}

int WatchData(const Context& context, const std::function<absl::StatusOr<std::string>()>& fetch) {
  SignalPipe signals;
  while (true) {
    const absl::StatusOr<std::string> json = fetch();
    if (!json.ok()) return FailWith(context, json.status());
    if (const int code = PrintData(context, *json); code != kExitOk) return code;
    // The other end of a pipe that is closed shows as an error.
    pollfd fds[] = {{signals.fd(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
    poll(fds, 2, kWatchIntervalMs);
    while (const int signal = signals.Take()) {
      if (signal == SIGTSTP) {
        signals.StopProcess();
      } else if (signal != SIGWINCH) {
        return kExitOk;
      }
    }
    if ((fds[1].revents & POLLERR) != 0) return kExitOk;
  }
}

}  // namespace beamline::cli
