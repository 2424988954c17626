// Plain progress: every line of output behind its step's name, every change as a line.
#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/glyphs.h"
#include "cli/output_tail.h"
#include "cli/progress.h"
#include "cli/run_json.h"
#include "cli/status_line.h"
#include "cli/text.h"

namespace beamline::cli {
namespace {

constexpr int kNameWidthMax = 24;
// How often the count of a foreach's items is worth a line.
constexpr absl::Duration kCountInterval = absl::Seconds(2);

class PlainProgress : public Progress {
 public:
  explicit PlainProgress(const Context& context)
      : context_(context), glyphs_(GlyphsFor(LocaleIsUtf8())) {}

  void OnEvent(const v1::ExecutionEvent& event, const proto::RunView& view) override {
    if (event.has_run_started()) {
      for (const v1::Step& step : view.run().steps()) {
        width_ = std::max(width_, std::min(kNameWidthMax, DisplayWidth(step.id())));
      }
    }
    if (event.has_foreach_started()) {
      counts_shown_[event.foreach_started().path()] = {0, ToTime(event.time())};
    }
    ShowItems(event, view);
    const StatusLine line = LineOf(event, view, glyphs_);
    if (line.mark.glyph.empty()) return;
    const std::string mark = Paint(context_.err.color, line.mark.ink, line.mark.glyph);
    if (line.path.empty()) {
      context_.err.Write(absl::StrCat(mark, " ", line.text, "\n"));
    } else {
      EndOutput(line.path);
      Write(line.path, absl::StrCat(mark, " ", line.text));
    }
  }

  void OnOutput(const v1::TailOutputResponse& chunk) override {
    Output& output = outputs_[chunk.path()];
    const bool is_stderr = chunk.stream() == v1::OUTPUT_STREAM_STDERR;
    for (const std::string& line : output.splitters[is_stderr ? 1 : 0].Add(chunk.data())) {
      Write(chunk.path(), CleanLine(line));
    }
  }

  void OnEnd(const proto::RunView&) override {
    while (!outputs_.empty()) EndOutput(std::string(outputs_.begin()->first));
  }

 private:
  struct Output {
    LineSplitter splitters[2];
  };

  static std::string CleanLine(const std::string& line) { return Printable(StripEscapes(line)); }

  void Write(const std::string& path, const std::string& text) {
    width_ = std::max(width_, std::min(kNameWidthMax, DisplayWidth(path)));
    context_.err.Write(absl::StrCat(
        Paint(context_.err.color, Ink::kDim, absl::StrCat(PadRight(Printable(path), width_), " |")),
        text.empty() ? "" : " ", text, "\n"));
  }

  // Shows lines that have no line break.
  void EndOutput(const std::string& path) {
    auto at = outputs_.find(path);
    if (at == outputs_.end()) return;
    for (LineSplitter& splitter : at->second.splitters) {
      if (std::string rest = splitter.Rest(); !rest.empty()) Write(path, CleanLine(rest));
    }
    outputs_.erase(at);
  }

  // A line for each tenth of a foreach that is done, but not too many at once.
  void ShowItems(const v1::ExecutionEvent& event, const proto::RunView& view) {
    const std::string& path = event.has_attempt_finished() ? event.attempt_finished().path()
                                                           : event.step_finished().path();
    if (path.empty() || path.back() != ']') return;
    auto shown = counts_shown_.find(path.substr(0, path.rfind('[')));
    if (shown == counts_shown_.end()) return;
    const v1::Step* step = FindStep(view.run(), shown->first);
    if (step == nullptr || step->item_count() < 10) return;
    const auto counts = view.CountItems(*step);
    const int done = counts.succeeded + counts.failed + counts.other;
    const int tenths = static_cast<int>(int64_t{10} * done / step->item_count());
    CountShown& last = shown->second;
    const absl::Time now = ToTime(event.time());
    if (tenths <= last.tenths || now - last.time < kCountInterval) return;
    last = {tenths, now};
    std::string text = absl::StrCat(done, "/", step->item_count());
    if (counts.failed > 0) absl::StrAppend(&text, "  ", counts.failed, " failed");
    Write(shown->first, text);
  }

  const Context& context_;
  const Glyphs& glyphs_;
  int width_ = 0;
  std::map<std::string, Output> outputs_;
  struct CountShown {
    int tenths = 0;
    absl::Time time;
  };
  std::map<std::string, CountShown> counts_shown_;  // by foreach
};

}  // namespace

std::unique_ptr<Progress> MakePlainProgress(const Context& context) {
  return std::make_unique<PlainProgress>(context);
}

}  // namespace beamline::cli
