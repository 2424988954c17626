// Events as lines; see status_line.h.
#include "cli/status_line.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "cli/report_text.h"
#include "cli/run_json.h"
#include "cli/text.h"
#include "cli/tree.h"

namespace beamline::cli {
namespace {

using google::protobuf::RepeatedPtrField;
using E = v1::ExecutionEvent;

struct Found {
  const v1::Step* step = nullptr;
  const v1::Item* item = nullptr;
};

const v1::Item* ItemAt(const v1::Step& step, std::string_view index_text) {
  int32_t index = -1;
  std::from_chars(index_text.data(), index_text.data() + index_text.size(), index);
  auto at = std::lower_bound(step.items().begin(), step.items().end(), index,
                             [](const v1::Item& item, int32_t i) { return item.index() < i; });
  return at != step.items().end() && at->index() == index ? &*at : nullptr;
}

Found Find(const v1::Run& run, std::string_view path) {
  const RepeatedPtrField<v1::Step>* steps = &run.steps();
  Found found;
  while (!path.empty()) {
    std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), segment.size() + 1));
    const size_t bracket = segment.find('[');
    std::string_view id = segment.substr(0, bracket);
    auto at = std::find_if(steps->begin(), steps->end(),
                           [&](const v1::Step& step) { return step.id() == id; });
    if (at == steps->end()) return {};
    found = {&*at, nullptr};
    steps = &at->steps();
    if (bracket == std::string_view::npos) continue;
    found.item = ItemAt(*at, segment.substr(bracket + 1));
    if (found.item == nullptr) return {};
    steps = &found.item->steps();
  }
  return found;
}

template <typename T>
std::string DurationOf(const T& node) {
  if (!node.has_started_at() || !node.has_finished_at()) return "";
  return ShortDuration(ToTime(node.finished_at()) - ToTime(node.started_at()));
}

// How a step or item stands at its end.
template <typename T>
void Conclude(const T& node, const Glyphs& glyphs, StatusLine* line) {
  line->mark = MarkOf(node.status(), false, glyphs);
  line->final = true;
  line->failed = node.status() == v1::STATUS_FAILED;
  line->text = DurationOf(node);
  if (line->failed) {
    absl::StrAppend(&line->text, line->text.empty() ? "" : "  ", FailureText(node.failure()));
  } else if (node.status() != v1::STATUS_SUCCEEDED) {
    line->text = proto::StatusWord(node.status());
    if (!node.reason().empty()) absl::StrAppend(&line->text, ": ", Printable(node.reason()));
  }
  const int tries = node.attempts_size();
  if (tries > 1) absl::StrAppend(&line->text, "  (", tries, " tries)");
  if (node.status() == v1::STATUS_SUCCEEDED && node.reason().starts_with("done by hand")) {
    line->text = Printable(node.reason());
  }
  if (!node.cached_from().empty()) {
    line->text = absl::StrCat("cached (from run ", ShortId(node.cached_from()), ")");
  }
  if (!node.child_run().empty() && !line->failed) {  // a failure names it
    absl::StrAppend(&line->text, "  run ", ShortId(node.child_run()));
  }
}

// What the end of a step with items says beside.
std::string ItemsText(const proto::RunView& view, const v1::Step& step) {
  if (step.item_count() == 0) return "";
  if (step.loop_max() > 0) return "  " + Count(step.items_size(), "round");
  return absl::StrCat("  ", view.CountItems(step).succeeded, "/", step.item_count());
}

void AppendReports(const std::string& text, StatusLine* line) {
  if (!text.empty()) absl::StrAppend(&line->text, line->text.empty() ? "" : "  ", text);
}

const char* SectionName(v1::Section section) {
  switch (section) {
    case v1::SECTION_FINALLY:
      return "finally";
    case v1::SECTION_COMPENSATE:
      return "compensation";
    default:
      return "on_failure";
  }
}

// "retry by uid:1000: the host is back"
std::string InterventionText(const E& event) {
  static constexpr const char* kVerbs[] = {"changed", "retry", "skip", "drop", "paused", "resumed"};
  const v1::Intervened& fact = event.intervened();
  const int verb = fact.verb() <= v1::VERB_RESUME ? fact.verb() : 0;
  return absl::StrCat(kVerbs[std::max(verb, 0)], " by ", Printable(event.actor()),
                      fact.reason().empty() ? "" : ": ", Printable(fact.reason()));
}

StatusLine LineOfRun(const E& event, const v1::Run& run, const Glyphs& glyphs) {
  StatusLine line;
  if (event.has_run_started()) {
    line.mark = {glyphs.running, Ink::kCyan};
    line.text = absl::StrCat(Printable(run.flow()), "  run ", run.id());
    if (event.run_started().queued()) {
      absl::StrAppend(&line.text, "  queued behind another run with the concurrency key `",
                      Printable(run.concurrency_key()), "`");
    }
  } else if (event.has_stop_requested() && event.stop_requested().path().empty()) {
    line.mark = {glyphs.skipped, Ink::kYellow};
    line.text = "stopping";
    if (const std::string& why = event.stop_requested().message(); !why.empty()) {
      absl::StrAppend(&line.text, ": ", Printable(why));
    }
  } else if (event.has_section_started()) {
    line.mark = {glyphs.running, Ink::kCyan};
    line.text = SectionName(event.section_started().section());
  } else if (event.has_intervened()) {
    line.mark = {glyphs.running, Ink::kCyan};
    line.text = InterventionText(event);
  } else if (event.has_run_admitted()) {
    line.mark = {glyphs.running, Ink::kCyan};
    line.text = "its turn has come";
  } else if (event.has_run_finished()) {
    line.mark = MarkOf(run.status(), false, glyphs);
    line.final = true;
    line.failed = run.status() == v1::STATUS_FAILED;
    line.text = absl::StrCat(Printable(run.flow()), " ", proto::StatusWord(run.status()), " in ",
                             DurationOf(run));
  }
  return line;
}

// True if `event` is the last one of its step.
bool EndsStep(const E& event) {
  return event.has_cache_hit() || event.has_step_skipped() || event.has_step_cancelled() ||
         event.has_step_parked() || event.has_step_finished() || event.has_step_marked() ||
         event.has_step_reused() ||
         (event.has_attempt_finished() &&
          proto::IsTerminal(event.attempt_finished().step_status()));
}

const std::string& PathOf(const E& event) {
  static const std::string* const kNone = new std::string;
  switch (event.fact_case()) {
    case E::kAttemptStarted:
      return event.attempt_started().path();
    case E::kAttemptFinished:
      return event.attempt_finished().path();
    case E::kRetryScheduled:
      return event.retry_scheduled().path();
    case E::kStepSkipped:
      return event.step_skipped().path();
    case E::kStepCancelled:
      return event.step_cancelled().path();
    case E::kStepParked:
      return event.step_parked().path();
    case E::kStepFinished:
      return event.step_finished().path();
    case E::kCacheHit:
      return event.cache_hit().path();
    case E::kWaitStarted:
      return event.wait_started().path();
    case E::kStepHeld:
      return event.step_held().path();
    case E::kTaskOpened:
      return event.task_opened().path();
    case E::kTaskDecided:
      return event.task_decided().path();
    case E::kTaskEscalated:
      return event.task_escalated().path();
    case E::kLoopDecided:
      return event.loop_decided().path();
    case E::kStepRequeued:
      return event.step_requeued().path();
    case E::kStepMarked:
      return event.step_marked().path();
    case E::kStepReused:
      return event.step_reused().path();
    default:
      return *kNone;
  }
}

// "ada asked for changes: cite a source"
std::string DecisionText(const E& event) {
  if (event.has_task_escalated()) {
    return "nobody decided: more people are asked, for as long again";
  }
  const v1::TaskDecided& fact = event.task_decided();
  const char* said = fact.verdict() == v1::VERDICT_REJECT            ? " rejected it"
                     : fact.verdict() == v1::VERDICT_REQUEST_CHANGES ? " asked for changes"
                     : fact.verdict() == v1::VERDICT_RESPOND         ? " filled it in"
                                                                     : " approved it";
  return absl::StrCat(Printable(fact.voter()), said, fact.comment().empty() ? "" : ": ",
                      Printable(fact.comment()));
}

}  // namespace

const v1::Step* FindStep(const v1::Run& run, std::string_view path) { return Find(run, path).step; }
const v1::Item* FindItem(const v1::Run& run, std::string_view path) { return Find(run, path).item; }

StatusLine LineOf(const v1::ExecutionEvent& event, const proto::RunView& view,
                  const Glyphs& glyphs) {
  StatusLine line;
  line.path = PathOf(event);
  if (line.path.empty()) return LineOfRun(event, view.run(), glyphs);
  const Found found = Find(view.run(), line.path);
  if (found.step == nullptr) return line;
  if (event.has_task_decided() || event.has_task_escalated()) {
    line.mark = {glyphs.running, Ink::kCyan};
    line.text = DecisionText(event);
  } else if (event.has_wait_started() || event.has_step_held() || event.has_task_opened()) {
    line.mark = {glyphs.parked, Ink::kYellow};
    line.text = found.item != nullptr
                    ? WaitText(*found.item, view.run().id(), ToTime(event.time()))
                    : WaitText(*found.step, view.run().id(), ToTime(event.time()));
  } else if (event.has_step_requeued()) {
    line.mark = {glyphs.retrying, Ink::kYellow};
    line.text = event.step_requeued().follows() ? "runs after it" : "runs again";
  } else if (event.has_loop_decided()) {
    if (!event.loop_decided().again()) return line;
    line.mark = {glyphs.running, Ink::kCyan};
    line.text =
        absl::StrCat("round ", event.loop_decided().round() + 2, "/", found.step->loop_max());
  } else if (event.has_retry_scheduled()) {
    line.mark = {glyphs.retrying, Ink::kYellow};
    const auto& attempts = found.item != nullptr ? found.item->attempts() : found.step->attempts();
    absl::Duration wait = ToTime(event.retry_scheduled().at()) - ToTime(event.time());
    if (!attempts.empty()) line.text = FailureText(attempts.rbegin()->failure()) + "  ";
    absl::StrAppend(&line.text, "try ", event.retry_scheduled().attempt());
    if (const int max = found.step->retry_max(); max > 1) absl::StrAppend(&line.text, "/", max);
    absl::StrAppend(&line.text, " in ", ShortDuration(wait));
  } else if (EndsStep(event) && found.item != nullptr) {
    Conclude(*found.item, glyphs, &line);
    ReportSum reports;
    reports.Add(found.item->artifacts());
    AppendReports(reports.Text(), &line);
    if (IsSmallMatrix(*found.step)) {
      line.text = absl::StrCat(Printable(found.item->key()), "  ", line.text);
    } else if (!line.failed && found.item->status() != v1::STATUS_PARKED) {
      line.mark = {};
    }
  } else if (event.has_step_reused()) {
    Conclude(*found.step, glyphs, &line);
    line.text = absl::StrCat("as in run ", ShortId(view.run().replay_of().run_id()));
  } else if (EndsStep(event)) {
    Conclude(*found.step, glyphs, &line);
    line.text += ItemsText(view, *found.step);
    AppendReports(ReportText(*found.step), &line);
  }
  return line;
}

bool IsSmallMatrix(const v1::Step& step) {
  constexpr int kSmall = 16;
  return step.foreach_as() == "matrix" && step.item_count() <= kSmall;
}

template <typename T>
std::string WaitText(const T& node, const std::string& run_id, absl::Time now) {
  if (node.reason().starts_with("held")) {
    return absl::StrCat("held before its start  beamline resume ", ShortId(run_id));
  }
  std::string text = Printable(node.reason());
  if (node.task() != 0) {
    const std::string round =
        node.max_rounds() > 0 ? absl::StrCat(" round ", node.round(), "/", node.max_rounds()) : "";
    return absl::StrCat("t", node.task(), round, "  ", text, "  beamline review t", node.task());
  }
  if (!node.has_wait_until()) return text;
  // The time of day says more than RFC 3339 in UTC while somebody looks on.
  const absl::Time until = ToTime(node.wait_until());
  const absl::Duration left = std::max(absl::ZeroDuration(), until - now);
  text.resize(std::min(text.size(), text.rfind("until ") + 6));
  return absl::StrCat(text,
                      absl::FormatTime(left < absl::Hours(20) ? "%H:%M:%S" : "%Y-%m-%d %H:%M",
                                       until, absl::LocalTimeZone()),
                      " (in ", ShortDuration(left), ")");
}

template std::string WaitText(const v1::Step&, const std::string&, absl::Time);
template std::string WaitText(const v1::Item&, const std::string&, absl::Time);

}  // namespace beamline::cli
