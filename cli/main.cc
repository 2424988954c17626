// The program `beamline`: reads the command line, finds the command in the table, and calls it.
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/settings.h"

namespace beamline::cli {
namespace {

void ShowHelp(const Invocation& invocation, const Context& context) {
  const bool color = context.out.color;
  context.out.Write(
      invocation.command != nullptr ? HelpOfCommand(*invocation.command, color, context.width)
      : !invocation.family.empty()  ? HelpOfFamily(invocation.family, color, context.width)
                                    : HelpOfAll(color, context.width));
}

int Main(const std::vector<std::string>& words) {
  FdWriter out(1);
  FdWriter err(2);
  Context context;
  context.out.writer = &out;
  context.err.writer = &err;

  const Invocation invocation = ParseCommandLine(words);
  const std::optional<SettingsError> error = ResolveContext(invocation.arguments, &context);
  if (invocation.kind == Invocation::Kind::kError) {
    return Fail(context, kExitUsage, invocation.error, invocation.hint);
  }
  if (invocation.kind == Invocation::Kind::kHelp) {
    ShowHelp(invocation, context);
    return kExitOk;
  }
  if (error) {
    // A shell that completes a word shows nothing rather than a message between the words.
    if (invocation.command->hidden) return kExitUsage;
    return Fail(context, kExitUsage, error->message, error->hint);
  }
  const int code = invocation.command->handler(invocation.arguments, context);
  if (out.error() != 0) {
    return Fail(context, code == kExitOk ? int{kExitFailed} : code,
                absl::StrCat("cannot write to standard output: ", std::strerror(out.error())));
  }
  return code;
}

}  // namespace
}  // namespace beamline::cli

int main(int argc, char** argv) {
  return beamline::cli::Main(std::vector<std::string>(argv + 1, argv + argc));
}
