// The daemon decides; this only tells.
#include "cli/retry_plan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/api_error.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/run_name.h"
#include "cli/status_line.h"
#include "cli/tree.h"
#include "cli/value_change_text.h"

namespace beamline::cli {
namespace {

constexpr size_t kChangesMax = 100;
constexpr int kNameWidth = 8;
constexpr size_t kKeysShown = 10;  // of the items of a foreach

// A word as a shell takes it for one.
std::string ShellWord(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("_-./:=@%+,", absl::string_view(&c, 1));
  });
  return plain ? word : absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string CommandOf(const Arguments& arguments, const std::string& run_id) {
  std::string command = absl::StrCat("beamline retry ", ShortId(run_id));
  for (const char* name : {"step", "items", "input", "reason"}) {
    for (const std::string& value : arguments.All(name)) {
      absl::StrAppend(&command, " --", name, " ", ShellWord(Printable(value)));
    }
  }
  return arguments.On("downstream") ? command + " --downstream" : command;
}

std::string KeptText(const v1::KeptResult& kept) {
  return kept.items() == 0
             ? Printable(kept.path())
             : absl::StrCat(Printable(kept.path()), " (", Count(kept.items(), "item"), ")");
}

// "each (1 of 3 items: berlin)": which items of a foreach run again, where what the daemon keeps of
// it is what has succeeded; else how many.
std::string AgainText(const std::string& path, const v1::RetryRunResponse& plan,
                      const v1::Run& run) {
  const v1::Step* step = FindStep(run, path);
  const auto kept = std::find_if(plan.kept().begin(), plan.kept().end(),
                                 [&](const auto& one) { return one.path() == path; });
  if (step == nullptr || step->item_count() == 0) return Printable(path);
  const int stay = kept == plan.kept().end() ? 0 : kept->items();
  const int again = step->item_count() - stay;
  std::vector<std::string> keys;
  for (const v1::Item& item : step->items()) {
    if (item.status() != v1::STATUS_SUCCEEDED) keys.push_back(Printable(item.key()));
  }
  const bool known = keys.size() == static_cast<size_t>(again) && keys.size() <= kKeysShown;
  return absl::StrCat(Printable(path), " (", again, " of ", Count(step->item_count(), "item"),
                      known ? ": " : "", known ? absl::StrJoin(keys, ", ") : "", ")");
}

// "again    build, test", broken where it is too long.
void Lines(const Context& context, const std::string& name, const std::string& text) {
  if (text.empty()) return;
  std::string title = name;
  const int width = context.out.tty ? context.width - kNameWidth - 1 : 10'000;
  for (const std::string& line : WrapText(text, width)) {
    context.out.Write(absl::StrCat(
        Paint(context.out.color, Ink::kDim, PadRight(std::exchange(title, ""), kNameWidth)), " ",
        line, "\n"));
  }
}

std::string Printed(const google::protobuf::RepeatedPtrField<std::string>& paths,
                    const v1::RetryRunResponse& plan, const v1::Run& run) {
  return absl::StrJoin(paths, ", ", [&](std::string* out, const std::string& path) {
    *out += AgainText(path, plan, run);
  });
}

std::string Quoted(const google::protobuf::RepeatedPtrField<std::string>& paths) {
  return absl::StrJoin(paths, ",",
                       [](std::string* out, const std::string& path) { *out += QuoteJson(path); });
}

std::string JsonOf(const v1::RetryRunResponse& plan, const std::string& run_id,
                   const std::vector<ValueChange>& inputs) {
  return absl::StrCat(
      "{\"id\":", QuoteJson(run_id), ",\"dry_run\":true",
      ",\"status\":", QuoteJson(proto::StatusWord(plan.status())), ",\"steps\":[",
      Quoted(plan.steps()), "],\"following\":[", Quoted(plan.following()),
      "],\"reopened\":", plan.reopened() ? "true" : "false", ",\"kept\":[",
      absl::StrJoin(plan.kept(), ",",
                    [](std::string* out, const v1::KeptResult& kept) {
                      absl::StrAppend(
                          out, "{\"path\":", QuoteJson(kept.path()),
                          kept.items() > 0 ? absl::StrCat(",\"items\":", kept.items()) : "", "}");
                    }),
      "],\"inputs\":", ValueChangesJson(inputs), "}");
}

// What the run's inputs would become.
std::vector<ValueChange> InputChanges(Client& client, const v1::RetryRunResponse& plan,
                                      const v1::Run& run) {
  if (plan.inputs().empty()) return {};
  size_t left_out = 0;
  return DiffJson(ValueJson(run.inputs(), BlobsOf(client, run.id())), plan.inputs(), kChangesMax,
                  &left_out);
}

bool EndsWithFinally(const v1::Run& run) {
  return std::any_of(run.steps().begin(), run.steps().end(),
                     [](const v1::Step& step) { return step.section() == v1::SECTION_FINALLY; });
}

}  // namespace

int PreviewRetry(const Arguments& arguments, const Context& context, Client& client,
                 v1::RetryRunRequest request) {
  request.set_dry_run(true);
  const auto plan = client.RetryRun(request);
  if (!plan.ok()) return FailWith(context, plan.status());
  const auto view = LoadView(client, request.run_id());
  if (!view.ok()) return FailWith(context, view.status());
  const v1::Run& run = (*view)->run();
  const std::vector<ValueChange> inputs = InputChanges(client, *plan, run);
  if (context.wants_data()) return PrintData(context, JsonOf(*plan, run.id(), inputs));
  Lines(context, "again", Printed(plan->steps(), *plan, run));
  Lines(context, "then", Printed(plan->following(), *plan, run));
  if (plan->reopened() && EndsWithFinally(run)) {
    Lines(context, "finally", "runs once more at the end");
  }
  Lines(context, "kept",
        absl::StrJoin(plan->kept(), ", ", [](std::string* out, const v1::KeptResult& kept) {
          *out += KeptText(kept);
        }));
  std::string title = "inputs";
  for (const std::string& line : ValueChangeLines(inputs, 0, context.out.color, context.width)) {
    context.out.Write(ForLocale(absl::StrCat(
        Paint(context.out.color, Ink::kDim, PadRight(std::exchange(title, ""), kNameWidth)), " ",
        line, "\n")));
  }
  Hint(context, absl::StrCat("nothing was changed",
                             plan->reopened() ? "; the run is finished and "
                                                "would go on"
                                              : "",
                             "\n→ ", CommandOf(arguments, run.id())));
  return kExitOk;
}

}  // namespace beamline::cli
