// Reads answers; see prompt.h.
#include "cli/prompt.h"

#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace beamline::cli {
namespace {

constexpr size_t kAnswerBytesMax = 64 << 10;

// Does not show what is typed while it lives.
class NoEcho {
 public:
  explicit NoEcho(bool active) : active_(active && tcgetattr(STDIN_FILENO, &saved_) == 0) {
    if (!active_) return;
    termios hidden = saved_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
  }
  ~NoEcho() {
    if (active_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;

 private:
  termios saved_{};
  bool active_;
};

}  // namespace

std::optional<std::string> Ask(const Context& context, std::string_view question, bool secret) {
  NoEcho no_echo(secret);  // before the question: what is typed from then on is not shown
  context.err.Write(question);
  std::string answer;
  char c = 0;
  while (answer.size() < kAnswerBytesMax) {
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && answer.empty()) {
      context.err.Write("\n");
      return std::nullopt;
    }
    if (got <= 0 || c == '\n') break;
    answer += c;
  }
  if (secret) context.err.Write("\n");
  return answer;
}

bool Confirm(const Context& context, std::string_view question) {
  if (context.yes) return true;
  if (!context.may_ask()) return false;
  std::optional<std::string> answer = Ask(context, absl::StrCat(std::string(question), " [y/N] "));
  if (!answer) return false;
  std::string word = absl::AsciiStrToLower(*answer);
  return word == "y" || word == "yes";
}

}  // namespace beamline::cli
