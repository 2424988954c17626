// The live tree: redraws at most ten times a second and leaves the final tree behind.
#include <unistd.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "cli/glyphs.h"
#include "cli/output_tail.h"
#include "cli/progress.h"
#include "cli/screen.h"
#include "cli/text.h"
#include "cli/tree.h"

namespace beamline::cli {
namespace {

class TreeProgress : public Progress {
 public:
  explicit TreeProgress(const Context& context)
      : context_(context), utf8_(LocaleIsUtf8()), screen_(context.err) {}

  void OnEvent(const v1::ExecutionEvent&, const proto::RunView&) override {}
  void OnOutput(const v1::TailOutputResponse& chunk) override { tail_.Add(chunk); }

  void OnTick(const proto::RunView& view, absl::Time now) override {
    if (view.run().id().empty() || InBackground()) return;
    const TerminalSize size = SizeOfTerminal(STDERR_FILENO);
    TreeOptions options = OptionsFor(size, now);
    options.live = true;
    // One line for the cursor below the block, one for a note.
    options.height = std::max(2, size.height - (note_.empty() ? 1 : 2));
    std::vector<std::string> lines = RenderTree(view, &tail_, options);
    if (!note_.empty()) {
      lines.push_back(Paint(context_.err.color, Ink::kYellow, CutToWidth(note_, size.width)));
    }
    screen_.Draw(lines, size.width);
  }

  void ShowNote(const std::string& note) override { note_ = ForLocale(note); }
  void Suspend() override { screen_.Suspend(); }

  void OnEnd(const proto::RunView& view) override {
    if (view.run().id().empty()) return;
    const TerminalSize size = SizeOfTerminal(STDERR_FILENO);
    screen_.Draw(RenderTree(view, &tail_, OptionsFor(size, absl::Now())), size.width);
  }

 private:
  // The terminal shows another job now.
  static bool InBackground() {
    const pid_t foreground = tcgetpgrp(STDERR_FILENO);
    return foreground > 0 && foreground != getpgrp();
  }

  TreeOptions OptionsFor(const TerminalSize& size, absl::Time now) const {
    TreeOptions options;
    options.width = size.width;
    options.color = context_.err.color;
    options.utf8 = utf8_;
    options.now = now;
    return options;
  }

  const Context& context_;
  const bool utf8_;
  OutputTail tail_;
  std::string note_;
  Screen screen_;
};

}  // namespace

std::unique_ptr<Progress> MakeTreeProgress(const Context& context) {
  return std::make_unique<TreeProgress>(context);
}

}  // namespace beamline::cli
