// Chooses how progress is shown, and the two simplest ways; see progress.h.
#include "cli/progress.h"

#include <utility>

#include "cli/places.h"
#include "cli/run_json.h"

namespace beamline::cli {
namespace {

// Every event as a JSON line.
class JsonlProgress : public Progress {
 public:
  explicit JsonlProgress(const Context& context) : context_(context) {}
  void OnEvent(const v1::ExecutionEvent& event, const proto::RunView&) override {
    context_.err.Write(EventJson(event) + "\n");
  }
  void OnOutput(const v1::TailOutputResponse&) override {}
  bool wants_output() const override { return false; }
  void OnEnd(const proto::RunView&) override {}

 private:
  const Context& context_;
};

class NoProgress : public Progress {
 public:
  void OnEvent(const v1::ExecutionEvent&, const proto::RunView&) override {}
  void OnOutput(const v1::TailOutputResponse&) override {}
  bool wants_output() const override { return false; }
  void OnEnd(const proto::RunView&) override {}
};

bool CanMoveCursor(const Context& context) {
  const std::string terminal = ProcessEnvironment()("TERM");
  const std::string ci = ProcessEnvironment()("CI");
  return context.err.tty && !terminal.empty() && terminal != "dumb" &&
         (ci.empty() || ci == "false");
}

}  // namespace

void Progress::OnTick(const proto::RunView&, absl::Time) {}
void Progress::ShowNote(const std::string&) {}
void Progress::Suspend() {}

ProgressKind ProgressKindFromWord(std::string_view word) {
  if (word == "tty") return ProgressKind::kTty;
  if (word == "plain") return ProgressKind::kPlain;
  if (word == "jsonl") return ProgressKind::kJsonl;
  return word == "none" ? ProgressKind::kNone : ProgressKind::kAuto;
}

std::unique_ptr<Progress> MakeProgress(ProgressKind kind, const Context& context,
                                       FlowPlaces places) {
  if (kind == ProgressKind::kAuto) {
    const bool github = ProcessEnvironment()("GITHUB_ACTIONS") == "true";
    if (context.quiet)
      kind = ProgressKind::kNone;
    else if (github)
      return MakeGithubProgress(context, std::move(places));
    else
      kind = CanMoveCursor(context) ? ProgressKind::kTty : ProgressKind::kPlain;
  }
  switch (kind) {
    case ProgressKind::kTty:
      return MakeTreeProgress(context);
    case ProgressKind::kPlain:
      return MakePlainProgress(context);
    case ProgressKind::kJsonl:
      return std::make_unique<JsonlProgress>(context);
    default:
      return std::make_unique<NoProgress>();
  }
}

}  // namespace beamline::cli
