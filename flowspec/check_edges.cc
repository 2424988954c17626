// Edges stand between siblings only: a read from inside a container becomes an edge of the
// container that is the read step's sibling.
#include "flowspec/check_edges.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "flowspec/check_reach.h"

namespace beamline::flowspec {
namespace {

constexpr int32_t kNone = -1;

bool SameList(const Step& a, const Step& b) {
  return a.parent == b.parent && a.section == b.section;
}

// What all reads of one step by one sibling (and what is inside it) come to.
struct Reading {
  bool defaulted = true;  // every one of them
  Span span;              // of the first
};

class EdgeChecker {
 public:
  explicit EdgeChecker(Reader& reader) : reader_(reader), steps_(reader.flow.steps) {
    spans_.resize(steps_.size());
    explicit_.resize(steps_.size());
    for (const auto& [id, index] : reader.step_ids) ids_.push_back(id);
    std::sort(ids_.begin(), ids_.end());
  }

  void Run() {
    AddNeeds();
    AddOrder(reader_.flow.main);
    AddOrder(reader_.flow.on_failure);
    AddOrder(reader_.flow.finally);
    for (const Step& step : steps_) {
      if (step.kind == StepKind::kDo) AddOrder(step.children);
    }
    AddReads();
    CheckRerun();
    if (FindCycles()) return;
    FindSkippable();
    for (const auto& [read, target] : outputs_read_) CheckThere(read, target);
    CheckReach(reader_, order_);
  }

 private:
  const std::string& Id(int32_t index) const { return steps_[index].id; }

  void AddEdge(int32_t from, Need need, const Span& span) {
    steps_[from].needs.push_back(need);
    spans_[from].push_back(span);
  }

  void AddNeeds() {
    for (size_t i = 0; i < steps_.size(); ++i) {
      for (const WrittenNeed& need : reader_.notes[i].needs) AddNeed(i, need);
    }
  }

  void AddNeed(int32_t from, const WrittenNeed& need) {
    const auto found = reader_.step_ids.find(need.id);
    if (found == reader_.step_ids.end()) {
      reader_.Unknown("BL0201", "step", need.id, need.span, ids_).label = "not a step in this flow";
      return;
    }
    const int32_t to = found->second;
    if (to == from) {
      reader_.Error("BL0202", need.span, absl::StrCat("step `", need.id, "` needs itself"));
    } else if (!SameList(steps_[from], steps_[to])) {
      Finding& finding = reader_.Error(
          "BL0214", need.span, absl::StrCat("step `", need.id, "` is not in the same list"));
      finding.label = absl::StrCat("it stands on line ", steps_[to].span.line);
      finding.help = "`needs` names steps beside this one; what is inside another step is its own";
    } else {
      AddEdge(from, {to, need.when, false}, need.span);
      explicit_[from].push_back(to);
    }
  }

  void AddOrder(const std::vector<int32_t>& list) {
    for (size_t i = 1; i < list.size(); ++i) {
      if (reader_.notes[list[i]].has_needs) continue;
      AddEdge(list[i], {list[i - 1], When::kSuccess, true}, steps_[list[i]].span);
    }
  }

  // The ancestor of `step` (or it) that stands in the same list as `target`; kNone if none does.
  int32_t SiblingOf(int32_t step, int32_t target) const {
    while (step != kNone && !SameList(steps_[step], steps_[target])) step = steps_[step].parent;
    return step;
  }

  void AddReads() {
    std::map<std::pair<int32_t, int32_t>, Reading> readings;
    for (const StepRead& read : reader_.reads) {
      const std::string& name = read.reference.name;
      if (name.empty()) {
        reader_.Error("BL0216", read.reference.span, "which step is meant must be written out")
            .help = "write `steps.` and a step's id, so that the order of steps is known";
        continue;
      }
      const auto found = reader_.step_ids.find(name);
      if (found == reader_.step_ids.end()) {
        reader_.Unknown("BL0203", "step", name, read.reference.span, ids_).label =
            "not a step in this flow";
        continue;
      }
      AddRead(read, found->second, &readings);
    }
    for (const auto& [pair, reading] : readings) AddReading(pair.first, pair.second, reading);
  }

  void AddRead(const StepRead& read, int32_t target,
               std::map<std::pair<int32_t, int32_t>, Reading>* readings) {
    CheckField(read.reference);
    const Step& step = steps_[target];
    if (read.step == kNone || read.section != step.section) {
      if (step.section != Section::kMain || step.parent != kNone) {
        ReportForeign(read, target);
      } else {
        outputs_read_.emplace_back(&read, target);
      }
      return;
    }
    if (read.undoing || (read.inside && step.parent == read.step)) {
      const bool own = read.undoing && SiblingOf(read.step, target) != kNone;
      if (!own && step.parent != read.step) {
        ReportForeign(read, target);
      } else if (read.inside || (own && steps_[target].compensate != read.step)) {
        outputs_read_.emplace_back(&read, target);
      }
      return;
    }
    const int32_t reader = SiblingOf(read.step, target);
    if (reader == kNone) {
      ReportForeign(read, target);
    } else if (reader == target) {
      reader_
          .Error("BL0202", read.reference.span,
                 absl::StrCat("step `", Id(target), "` reads its own result"))
          .help = "`output:` and `loop` read the result as `output`; rounds before as `loop.prev`";
    } else {
      const auto [it, fresh] = readings->try_emplace({reader, target});
      if (fresh) it->second.span = read.reference.span;
      it->second.defaulted &= read.reference.defaulted;
      outputs_read_.emplace_back(&read, target);
    }
  }

  void CheckField(const Reference& reference) {
    static const std::vector<std::string> kFields{"output", "status",   "items",    "error",
                                                  "reason", "attempts", "artifacts"};
    const std::string& field = reference.field;
    if (field.empty() || std::find(kFields.begin(), kFields.end(), field) != kFields.end()) return;
    Finding& finding =
        reader_.Error("BL0215", reference.span,
                      absl::StrCat("step `", reference.name, "` has no field `", field, "`"));
    const std::string nearest = DidYouMean(field, kFields);
    finding.help = nearest.empty() ? absl::StrCat("what a step made is `steps.", reference.name,
                                                  ".output.", field, "`")
                                   : absl::StrCat("did you mean `", nearest, "`?");
  }

  void ReportForeign(const StepRead& read, int32_t target) {
    Finding& finding =
        reader_.Error("BL0208", read.reference.span,
                      absl::StrCat("step `", Id(target), "` cannot be seen from here"));
    const int32_t parent = steps_[target].parent;
    if (parent != kNone) {
      finding.label = absl::StrCat("it is inside `", Id(parent), "`");
      finding.help =
          absl::StrCat("let `", Id(parent), "` export it by its `output:`, and read `steps.",
                       Id(parent), ".output`");
    } else {
      finding.help = "steps of `on_failure` and `finally` are seen only there";
    }
  }

  // An explicit edge stays as it is written; one from the order of the list gives way.
  void AddReading(int32_t from, int32_t to, const Reading& reading) {
    const When when = reading.defaulted ? When::kDone : When::kSuccess;
    std::vector<Need>& needs = steps_[from].needs;
    const auto same =
        std::find_if(needs.begin(), needs.end(), [&](const Need& need) { return need.step == to; });
    if (same == needs.end()) {
      AddEdge(from, {to, when, true}, reading.span);
    } else if (same->implied) {
      same->when = when;
      spans_[from][same - needs.begin()] = reading.span;
    }
  }

  void CheckRerun() {
    for (size_t i = 0; i < steps_.size(); ++i) {
      const StepNotes& notes = reader_.notes[i];
      if (notes.rerun.empty()) continue;
      const auto found = reader_.step_ids.find(notes.rerun);
      if (found == reader_.step_ids.end()) {
        reader_.Unknown("BL0201", "step", notes.rerun, notes.rerun_span, ids_).label =
            "not a step in this flow";
      } else if (!SameList(steps_[i], steps_[found->second]) ||
                 found->second == static_cast<int32_t>(i)) {
        reader_.Error("BL0214", notes.rerun_span,
                      absl::StrCat("step `", notes.rerun, "` is not beside this one"));
      } else {
        if (dependents_.empty()) PrepareRewinds();
        CheckRewind(static_cast<int32_t>(i), found->second, notes.rerun_span);
      }
    }
  }

  // What runs again when `rerun` does has to lead back to the question, and must not have effects
  // that would be undone only once.
  void CheckRewind(int32_t asking, int32_t rerun, const Span& span) {
    const Step& step = steps_[asking];
    if (step.foreach || step.matrix || step.loop) {
      reader_.Error("BL0223", span, "`on_changes` on a step that is repeated").help =
          "put `foreach`, `matrix` or `loop` on a `do` around both steps";
      return;
    }
    std::vector<char> seen(steps_.size(), false);
    std::vector<int32_t> again{rerun};
    seen[rerun] = true;
    for (size_t i = 0; i < again.size(); ++i) {
      for (const int32_t next : dependents_[again[i]]) {
        if (!seen[next]) again.push_back(next);
        seen[next] = true;
      }
    }
    if (!seen[asking]) {
      Finding& finding = reader_.Error(
          "BL0223", span, absl::StrCat("`", step.id, "` does not wait for `", Id(rerun), "`"));
      finding.label = "it would not be asked again";
      finding.help = absl::StrCat("name a step that `", step.id, "` needs");
    }
    const auto undone = std::find_if(again.begin(), again.end(),
                                     [&](int32_t one) { return undone_[one] != kNone; });
    if (undone == again.end()) return;
    Finding& finding = reader_.Error(
        "BL0224", span,
        absl::StrCat("step `", Id(undone_[*undone]), "` would run again, and has a `compensate`"));
    finding.label = "its first effect would stay when the run is undone";
    finding.help = "ask before what has to be undone runs";
  }

  // What CheckRewind looks up.
  void PrepareRewinds() {
    dependents_.resize(steps_.size());
    undone_.assign(steps_.size(), kNone);
    for (size_t i = 0; i < steps_.size(); ++i) {
      const auto index = static_cast<int32_t>(i);
      for (const Need& need : steps_[i].needs) dependents_[need.step].push_back(index);
      if (steps_[i].compensate < 0) continue;
      for (int32_t at = index; at != kNone && undone_[at] == kNone; at = steps_[at].parent) {
        undone_[at] = index;
      }
    }
  }

  // Depth first along the edges; fills `order_` with needs before what needs them. Each cycle is
  // reported once. True if there is one.
  bool FindCycles() {
    enum Mark : char { kNew, kOpen, kDone };
    std::vector<Mark> marks(steps_.size(), kNew);
    struct Visit {
      int32_t step;
      size_t next;
    };
    bool found = false;
    for (size_t root = 0; root < steps_.size(); ++root) {
      if (marks[root] != kNew) continue;
      std::vector<Visit> path{{static_cast<int32_t>(root), 0}};
      marks[root] = kOpen;
      while (!path.empty()) {
        Visit& visit = path.back();
        if (visit.next == steps_[visit.step].needs.size()) {
          marks[visit.step] = kDone;
          order_.push_back(visit.step);
          path.pop_back();
          continue;
        }
        const int32_t to = steps_[visit.step].needs[visit.next++].step;
        if (marks[to] == kNew) {
          marks[to] = kOpen;
          path.push_back({to, 0});
        } else if (marks[to] == kOpen) {
          found = true;
          std::vector<int32_t> cycle;
          size_t start = path.size();
          while (path[--start].step != to) {
          }
          for (size_t i = start; i < path.size(); ++i) cycle.push_back(path[i].step);
          ReportCycle(cycle);
        }
      }
    }
    return found;
  }

  void ReportCycle(const std::vector<int32_t>& cycle) {
    std::vector<std::string> names;
    Span span = steps_[cycle[0]].span;
    int best = 0;  // an edge that was written beats a read, which beats the order of the list
    for (size_t i = 0; i < cycle.size(); ++i) {
      const int32_t from = cycle[i];
      const int32_t to = cycle[(i + 1) % cycle.size()];
      if (names.size() < 8) names.push_back(Id(from));
      for (size_t n = 0; n < steps_[from].needs.size(); ++n) {
        if (steps_[from].needs[n].step != to) continue;
        const int rank = !steps_[from].needs[n].implied         ? 3
                         : spans_[from][n] == steps_[from].span ? 1
                                                                : 2;
        if (rank > best) {
          best = rank;
          span = spans_[from][n];
        }
      }
    }
    names.push_back(cycle.size() > 8 ? "…" : Id(cycle[0]));
    Finding& finding = reader_.Error("BL0202", span, "these steps wait for each other");
    finding.label = absl::StrJoin(names, " → ");
    finding.help =
        "a step needs the one before it unless it has `needs`; `needs: []` starts at once";
  }

  // A step may be skipped by its `if`, or behind an edge that can block although nothing failed.
  void FindSkippable() {
    skippable_.assign(steps_.size(), false);
    for (const int32_t index : order_) {
      const Step& step = steps_[index];
      bool skippable = step.condition >= 0;
      for (const Need& need : step.needs) {
        const Step& needed = steps_[need.step];
        skippable |= need.when == When::kFailure;
        skippable |= need.when == When::kSuccess &&
                     (skippable_[need.step] || needed.on_error == OnError::kContinue);
      }
      skippable_[index] = skippable;
    }
  }

  void CheckThere(const StepRead* read, int32_t target) {
    const Reference& reference = read->reference;
    const Step& step = steps_[target];
    if (reference.field != "output" || reference.defaulted) return;
    std::string why;
    const int32_t reader = read->step == kNone ? kNone : SiblingOf(read->step, target);
    const When* written = reader == kNone ? nullptr : WrittenWhen(reader, target);
    if (read->undoing && !read->inside && !HappensBeforeUndoing(target, read->step)) {
      why = "when this is undone, it may never have been reached";
    } else if (read->section != step.section) {
      why = "when this runs, it may never have been reached";
    } else if (written != nullptr && *written == When::kFailure) {
      why = "`needs` waits for its failure";
    } else if (written != nullptr && *written == When::kDone) {
      why = "`needs` waits for its end, which may be a failure";
    } else if (skippable_[target]) {
      why = step.condition >= 0 ? "it has an `if`" : "a step that it needs may be skipped";
    } else if (step.on_error == OnError::kContinue) {
      why = "it has `on_error: continue`";
    } else {
      return;
    }
    const bool tolerated = step.on_error == OnError::kContinue;  // which is a success to `needs`
    if (written != nullptr && *written == When::kSuccess && !tolerated) return;
    Finding& finding = reader_.Error("BL0207", reference.span,
                                     absl::StrCat("step `", Id(target), "` may have no output"));
    finding.label = why;
    finding.help =
        absl::StrCat("say what holds then: `steps.", Id(target), ".output | default(null)`");
  }

  // Whether what `undoing` undoes had needed the success of `target`.
  bool HappensBeforeUndoing(int32_t target, int32_t undoing) const {
    std::vector<char> seen(steps_.size(), false);
    std::vector<int32_t> open;
    for (size_t i = 0; i < steps_.size(); ++i) {
      if (steps_[i].compensate == undoing) open.push_back(static_cast<int32_t>(i));
    }
    while (!open.empty()) {
      const int32_t at = open.back();
      open.pop_back();
      for (const Need& need : steps_[at].needs) {
        if (need.when != When::kSuccess || seen[need.step]) continue;
        if (need.step == target) return true;
        seen[need.step] = true;
        open.push_back(need.step);
      }
    }
    return false;
  }

  // The `when` of the edge that is written; null if there is none. Where it is success, the reader
  // is skipped along with what it reads.
  const When* WrittenWhen(int32_t from, int32_t to) const {
    const std::vector<int32_t>& written = explicit_[from];
    if (std::find(written.begin(), written.end(), to) == written.end()) return nullptr;
    for (const Need& need : steps_[from].needs) {
      if (need.step == to && !need.implied) return &need.when;
    }
    return nullptr;
  }

  Reader& reader_;
  std::vector<Step>& steps_;
  std::vector<std::string> ids_;
  std::vector<std::vector<Span>> spans_;        // parallel to Step::needs
  std::vector<std::vector<int32_t>> explicit_;  // targets of written needs
  std::vector<std::pair<const StepRead*, int32_t>> outputs_read_;
  std::vector<int32_t> order_;
  std::vector<char> skippable_;
  // Of steps that may run again.
  std::vector<std::vector<int32_t>> dependents_;
  std::vector<int32_t> undone_;  // by step: one at or below it that has a `compensate`
};

}  // namespace

void CheckEdges(Reader& reader) { EdgeChecker(reader).Run(); }

}  // namespace beamline::flowspec
