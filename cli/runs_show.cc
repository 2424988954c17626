// `beamline runs show`: a run as a tree with its inputs, outputs and errors.
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/api_error.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/output_tail.h"
#include "cli/run_name.h"
#include "cli/tree.h"
#include "cli/verbs.h"
#include "flowspec/money.h"

namespace beamline::cli {
namespace {

constexpr int kValueWidth = 2000;  // of inputs and outputs, in text; -o json shows all

// The last lines that the steps printed. Output that cannot be read is left out.
OutputTail ReadTail(Client& client, const std::string& run_id) {
  OutputTail tail;
  v1::TailOutputRequest request;
  request.set_run_id(run_id);
  CallStopper stopper;
  client
      .TailOutput(request, &stopper,
                  [&](const v1::TailOutputResponse& chunk) {
                    tail.Add(chunk);
                    return true;
                  })
      .IgnoreError();
  return tail;
}

void ShowFact(const Context& context, const char* name, const std::string& value) {
  if (value.empty()) return;
  context.out.Write(absl::StrCat(Paint(context.out.color, Ink::kDim, PadRight(name, 9)), " ",
                                 CutToWidth(Printable(value), kValueWidth), "\n"));
}

// "3 requests, 1200 tokens in, 340 out, $0.0123"
std::string UsageText(const v1::Usage& usage) {
  const std::string cost = !usage.has_nano_usd() ? ", of a price unknown here"
                           : usage.nano_usd() == 0
                               ? ""
                               : absl::StrCat(", ", flowspec::Dollars(usage.nano_usd()));
  return absl::StrCat(usage.requests(), usage.requests() == 1 ? " request, " : " requests, ",
                      usage.input_tokens(), " tokens in, ", usage.output_tokens(), " out", cost);
}

void ShowFacts(const Context& context, const v1::Run& run, const BlobReader& blobs) {
  ShowFact(context, "run", run.id());
  ShowFact(context, "digest", run.digest());
  ShowFact(context, "started", absl::StrCat(TimeText(run.started_at()), " by ", run.actor()));
  if (run.has_replay_of()) {
    ShowFact(context, "replay of",
             absl::StrCat(run.replay_of().run_id(), run.replay_of().from().empty() ? "" : ", from ",
                          run.replay_of().from()));
  }
  ShowFact(context, "workspace", run.workspace());
  for (const v1::Label& label : run.labels()) {
    ShowFact(context, "label", absl::StrCat(label.key(), "=", label.value()));
  }
  if (run.has_inputs()) ShowFact(context, "inputs", ValueJson(run.inputs(), blobs));
  if (run.has_outputs()) ShowFact(context, "outputs", ValueJson(run.outputs(), blobs));
  if (run.has_usage()) ShowFact(context, "models", UsageText(run.usage()));
  if (run.status() == v1::STATUS_CANCELLED) {
    ShowFact(context, "reason", run.failure().message());
  } else if (run.has_failure()) {
    ShowFact(context, "error", FailureText(run.failure()));
  }
  if (run.has_stop()) ShowFact(context, "stopping", run.stop().message());
}

void HintNext(const Context& context, const v1::Run& run) {
  const std::string id = ShortId(run.id());
  if (!proto::IsTerminal(run.status())) {
    Hint(context,
         absl::StrCat("→ beamline tail ", id, " · beamline why ", id, " · beamline cancel ", id));
  } else if (run.status() == v1::STATUS_FAILED) {
    Hint(context, absl::StrCat("→ beamline why ", id, " · beamline tail ", id));
  } else if (HasArtifacts(run.steps())) {
    Hint(context, absl::StrCat("→ beamline runs export ", id, " --to DIR  (with the artifacts)"));
  }
}

}  // namespace

int RunsShow(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  std::optional<NamedRun> named = NameRun(arguments, context, &code);
  if (!named) return code;
  auto view = LoadView(*named->client, named->id);
  if (!view.ok()) return FailWith(context, view.status());
  const v1::Run& run = (*view)->run();
  const BlobReader blobs = BlobsOf(*named->client, named->id);
  if (context.wants_data()) return PrintData(context, RunJson(run, blobs));
  const OutputTail tail = ReadTail(*named->client, named->id);
  TreeOptions options;
  // A tree in a file or pipe is not cut.
  options.width = context.out.tty ? context.width : 10'000;
  options.color = context.out.color;
  options.utf8 = LocaleIsUtf8();
  options.full = true;
  options.now = absl::Now();
  for (const std::string& line : RenderTree(**view, &tail, options)) {
    context.out.Write(line + "\n");
  }
  context.out.Write("\n");
  ShowFacts(context, run, blobs);
  HintNext(context, run);
  return kExitOk;
}

}  // namespace beamline::cli
