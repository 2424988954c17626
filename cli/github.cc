// Progress under GitHub Actions: each step's output as a group once the step is over, failures as
// annotations at their place in the flow, and a table in the job's summary.
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/client.h"
#include "cli/glyphs.h"
#include "cli/output_tail.h"
#include "cli/places.h"
#include "cli/progress.h"
#include "cli/run_json.h"
#include "cli/status_line.h"
#include "cli/text.h"
#include "cli/tree.h"

namespace beamline::cli {
namespace {

constexpr size_t kOutputBytesMax = 1 << 20;  // of one step, in the log of the job

std::string EscapeData(const std::string& text) {
  return absl::StrReplaceAll(text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}});
}
std::string EscapeProperty(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"%", "%25"}, {"\r", "%0D"}, {"\n", "%0A"}, {":", "%3A"}, {",", "%2C"}});
}
std::string EscapeCell(const std::string& text) {
  return absl::StrReplaceAll(Printable(text), {{"|", "\\|"}, {"<", "&lt;"}});
}

class GithubProgress : public Progress {
 public:
  GithubProgress(const Context& context, FlowPlaces places)
      : context_(context), places_(std::move(places)) {
    // Annotations name files from the repository's root, wherever in it this runs.
    const std::string root = ProcessEnvironment()("GITHUB_WORKSPACE");
    if (root.empty() || places_.file.empty()) return;
    const std::string file = AbsolutePath(places_.file);
    if (file.starts_with(root + "/")) places_.file = file.substr(root.size() + 1);
  }

  void OnEvent(const v1::ExecutionEvent& event, const proto::RunView& view) override {
    const StatusLine line = LineOf(event, view, GlyphsFor(true));
    if (line.mark.glyph.empty()) return;
    if (line.path.empty() || !line.final) {
      context_.err.Write(absl::StrCat(std::string(line.mark.glyph), " ", line.path,
                                      line.path.empty() ? "" : "  ", line.text, "\n"));
      return;
    }
    ShowStep(line);
    if (line.failed) Annotate(line);
    if (const v1::Item* item = FindItem(view.run(), line.path)) {
      AnnotateReports(item->artifacts(), line.path);
    } else if (const v1::Step* step = FindStep(view.run(), line.path)) {
      AnnotateReports(step->artifacts(), line.path);
    }
  }

  void OnOutput(const v1::TailOutputResponse& chunk) override {
    std::string& output = outputs_[chunk.path()];
    if (output.size() < kOutputBytesMax) output += chunk.data();
    if (output.size() >= kOutputBytesMax) {
      output.resize(kOutputBytesMax);
      truncated_[chunk.path()] = true;
    }
  }

  void OnEnd(const proto::RunView& view) override {
    // Output that came after its step's end.
    std::map<std::string, std::string> rest = std::exchange(outputs_, {});
    for (auto& [path, output] : rest) {
      outputs_[path] = std::move(output);
      ShowStep({.path = path, .mark = {"", Ink::kPlain}, .text = "output"});
    }
    WriteSummary(view.run());
  }

 private:
  void ShowStep(const StatusLine& line) {
    const std::string title =
        absl::StrCat(std::string(line.mark.glyph), line.mark.glyph.empty() ? "" : " ",
                     Printable(line.path), "  ", line.text);
    auto at = outputs_.find(line.path);
    if (at == outputs_.end()) {
      context_.err.Write(title + "\n");
      return;
    }
    // What a step prints must not be taken as a command to the runner.
    const std::string token = NewRequestId();
    std::string text = absl::StrCat("::group::", EscapeData(title), "\n::stop-commands::", token,
                                    "\n", at->second);
    if (text.back() != '\n') text += '\n';
    if (truncated_[line.path]) absl::StrAppend(&text, "… cut after 1 MiB\n");
    absl::StrAppend(&text, "::", token, "::\n::endgroup::\n");
    context_.err.Write(text);
    outputs_.erase(at);
  }

  void Annotate(const StatusLine& line) {
    // "enrich[17]/load" stands in the flow as "load".
    std::string id = line.path.substr(line.path.rfind('/') + 1);
    id = id.substr(0, id.find('['));
    std::string properties = absl::StrCat("title=", EscapeProperty(Printable(line.path)));
    auto at = places_.line_of_step.find(id);
    if (!places_.file.empty() && at != places_.line_of_step.end()) {
      properties = absl::StrCat("file=", EscapeProperty(places_.file), ",line=", at->second, ",",
                                properties);
    }
    context_.err.Write(absl::StrCat("::error ", properties, "::", EscapeData(line.text), "\n"));
  }

  // A failed test, at its own place.
  void AnnotateReports(const google::protobuf::RepeatedPtrField<v1::Artifact>& artifacts,
                       const std::string& path) {
    for (const v1::Artifact& artifact : artifacts) {
      const bool tests = artifact.report() == "junit";
      const char* level = tests || artifact.summary().errors() > 0 ? "error" : "warning";
      for (const v1::ReportCase& c : artifact.summary().cases()) {
        std::string properties;
        if (!c.file().empty()) properties = absl::StrCat("file=", EscapeProperty(c.file()), ",");
        if (c.line() > 0) absl::StrAppend(&properties, "line=", c.line(), ",");
        absl::StrAppend(&properties, "title=", EscapeProperty(absl::StrCat(path, ": ", c.name())));
        context_.err.Write(
            absl::StrCat("::", level, " ", properties,
                         "::", EscapeData(c.message().empty() ? c.name() : c.message()), "\n"));
      }
    }
  }

  void WriteSummary(const v1::Run& run) {
    const std::string path = ProcessEnvironment()("GITHUB_STEP_SUMMARY");
    if (path.empty() || run.id().empty()) return;
    std::ofstream file(path, std::ios::app);
    file << "### " << EscapeCell(run.flow()) << ": " << proto::StatusWord(run.status())
         << "\n\n| step | status | duration | |\n|---|---|---|---|\n";
    for (const v1::Step& step : run.steps()) {
      // Handlers that were not needed.
      if (step.section() > v1::SECTION_MAIN && step.status() == v1::STATUS_PENDING) continue;
      std::string duration;
      if (step.has_started_at() && step.has_finished_at()) {
        duration = ShortDuration(ToTime(step.finished_at()) - ToTime(step.started_at()));
      }
      file << "| " << EscapeCell(step.id()) << " | " << proto::StatusWord(step.status()) << " | "
           << duration << " | "
           << EscapeCell(step.has_failure() ? FailureText(step.failure()) : step.reason())
           << " |\n";
    }
    file << "\n";
  }

  const Context& context_;
  FlowPlaces places_;
  std::map<std::string, std::string> outputs_;
  std::map<std::string, bool> truncated_;
};

}  // namespace

std::unique_ptr<Progress> MakeGithubProgress(const Context& context, FlowPlaces places) {
  return std::make_unique<GithubProgress>(context, std::move(places));
}

}  // namespace beamline::cli
