// `beamline tail`: what the steps of a run print, line by line.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/output.h"
#include "cli/output_tail.h"
#include "cli/run_name.h"
#include "cli/verbs.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

constexpr int kNameWidthMax = 24;

// Lines that pass the filters, behind their step's name unless only one step is asked for.
class TailPrinter {
 public:
  TailPrinter(const Arguments& arguments, const Context& context, absl::Time since)
      : context_(context),
        grep_(arguments.Get("grep")),
        single_(arguments.Has("step")),
        since_(since) {}

  void Add(const v1::TailOutputResponse& chunk) {
    const absl::Time time = ToTime(chunk.time());
    if (time < since_) return;
    Output& output = outputs_[{chunk.path(), chunk.stream()}];
    output.last = chunk;
    output.last.clear_data();
    for (const std::string& line : output.splitter.Add(chunk.data())) Print(output.last, line);
  }

  // Lines without a line break.
  void End() {
    for (auto& [key, output] : outputs_) {
      if (std::string rest = output.splitter.Rest(); !rest.empty()) Print(output.last, rest);
    }
  }

 private:
  struct Output {
    LineSplitter splitter;
    v1::TailOutputResponse last;  // the chunk that came last, without its data
  };

  void Print(const v1::TailOutputResponse& chunk, const std::string& line) {
    if (!grep_.empty() && !absl::StrContains(line, grep_)) return;
    if (context_.wants_data()) {
      context_.out.Write(absl::StrCat(
          "{\"time\":", QuoteJson(TimeText(chunk.time())), ",\"step\":", QuoteJson(chunk.path()),
          ",\"attempt\":", chunk.attempt(), ",\"stream\":\"",
          chunk.stream() == v1::OUTPUT_STREAM_STDERR ? "stderr" : "stdout",
          "\",\"line\":", QuoteJson(line), "}\n"));
      return;
    }
    // A terminal is protected from what steps print; a pipe gets it as it is.
    std::string text = context_.out.tty ? Printable(StripEscapes(line)) : line;
    if (single_) {
      context_.out.Write(text + "\n");
      return;
    }
    width_ = std::max(width_, std::min(kNameWidthMax, DisplayWidth(chunk.path())));
    context_.out.Write(
        absl::StrCat(Paint(context_.out.color, Ink::kDim,
                           absl::StrCat(PadRight(Printable(chunk.path()), width_), " | ")),
                     text, "\n"));
  }

  const Context& context_;
  const std::string grep_;
  const bool single_;
  const absl::Time since_;
  int width_ = 0;
  std::map<std::pair<std::string, v1::OutputStream>, Output> outputs_;
};

// A step that the flow does not have would be waited for to the run's end.
int CheckStep(const Arguments& arguments, const Context& context, const NamedRun& named) {
  const std::string& step = arguments.Get("step");
  if (step.empty()) return kExitOk;
  auto run = named.client->GetRun(named.id);
  if (!run.ok()) return FailWith(context, run.status());
  const auto flow = flowspec::ParseFlow(run->flow_source(), {.compile_expressions = false}).flow;
  if (flow == nullptr) return kExitOk;
  std::string id = step.substr(step.rfind('/') + 1);  // of "enrich[17]/load"
  id = id.substr(0, id.find('['));
  std::vector<std::string> ids;
  for (const flowspec::Step& each : flow->steps) ids.push_back(each.id);
  if (std::find(ids.begin(), ids.end(), id) != ids.end()) return kExitOk;
  const std::string near = flowspec::DidYouMean(id, ids);
  return Fail(context, kExitNotFound, absl::StrCat("the run has no step `", Printable(step), "`"),
              near.empty() ? absl::StrCat("its steps: ", absl::StrJoin(ids, ", "))
                           : absl::StrCat("did you mean `", near, "`?"));
}

}  // namespace

int Tail(const Arguments& arguments, Context& context) {
  if (!context.jq.empty()) {
    return Fail(context, kExitUsage, "tail takes no --jq", "pipe the lines of -o jsonl to jq");
  }
  absl::Time since = absl::InfinitePast();
  if (const std::string& text = arguments.Get("since"); !text.empty()) {
    absl::StatusOr<absl::Time> time = ParseSince(text, absl::Now());
    if (!time.ok()) return Fail(context, kExitUsage, std::string(time.status().message()));
    since = *time;
  }
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  if (int missing = CheckStep(arguments, context, *named); missing != kExitOk) return missing;
  v1::TailOutputRequest request;
  request.set_run_id(named->id);
  request.set_step(arguments.Get("step"));
  request.set_follow(!arguments.On("no-follow"));
  TailPrinter printer(arguments, context, since);
  CallStopper stopper;
  absl::Status status =
      named->client->TailOutput(request, &stopper, [&](const v1::TailOutputResponse& chunk) {
        printer.Add(chunk);
        return true;
      });
  printer.End();
  return status.ok() ? int{kExitOk} : FailWith(context, status);
}

}  // namespace beamline::cli
