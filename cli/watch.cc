// What does not fit on the screen is cut.
#include "cli/watch.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "cli/api_error.h"
#include "cli/screen.h"
#include "cli/signals.h"

namespace beamline::cli {
namespace {

constexpr int kWatchIntervalMs = 1000;

}  // namespace

int WatchTable(const Context& context, const char* nothing,
               const std::function<absl::StatusOr<Table>()>& fetch) {
  SignalPipe signals;
  Screen screen(context.out);
  while (true) {
    const absl::StatusOr<Table> table = fetch();
    if (!table.ok()) return FailWith(context, table.status());
    const TerminalSize size = SizeOfTerminal(STDOUT_FILENO);
    std::vector<std::string> lines =
        absl::StrSplit(table->Render(context.out, size.width), '\n', absl::SkipEmpty());
    if (table->empty() && nothing != nullptr) lines = {nothing};
    if (static_cast<int>(lines.size()) >= size.height) {
      lines.resize(static_cast<size_t>(std::max(1, size.height - 1)));
    }
    screen.Draw(lines, size.width);
    pollfd wait{signals.fd(), POLLIN, 0};
    poll(&wait, 1, kWatchIntervalMs);
    while (const int signal = signals.Take()) {
      if (signal == SIGTSTP) {
        screen.Suspend();
        signals.StopProcess();
      } else if (signal != SIGWINCH) {
        return kExitOk;
      }
    }
  }
}

}  // namespace beamline::cli
