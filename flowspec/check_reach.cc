// Works out how each step can end, in the order of their edges: a step that can only end skipped
// never runs.
#include "flowspec/check_reach.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace beamline::flowspec {
namespace {

// How a step may end, as bits.
constexpr uint8_t kSucceeds = 1, kFails = 2, kSkipped = 4;

bool Repeated(const Step& step) { return step.foreach || step.matrix || step.loop; }

// True for a `set` of constants: nothing in it can go wrong.
bool CannotFail(const Step& step) {
  return step.kind == StepKind::kSet && step.input.constant() && step.output.empty() &&
         step.outputs_schema.empty() && step.condition < 0 && !Repeated(step) && !step.cache &&
         !step.concurrency;
}

class ReachChecker {
 public:
  ReachChecker(Reader& reader, const std::vector<int32_t>& order)
      : reader_(reader), steps_(reader.flow.steps), order_(order), ends_(steps_.size(), 0) {}

  void Run() {
    CheckContradictions();
    for (const int32_t index : order_) CheckStep(index);
  }

 private:
  bool NeverByIf(const Step& step) const {
    return step.condition >= 0 && reader_.flow.expressions[step.condition].source == "false";
  }

  // Whether the edge can be satisfied at all.
  bool CanHold(const Need& need) const {
    const uint8_t ends = ends_[need.step];
    if (need.when == When::kDone) return true;
    if (need.when == When::kFailure) return (ends & kFails) != 0;
    const bool tolerated = steps_[need.step].on_error == OnError::kContinue;
    return (ends & kSucceeds) != 0 || ((ends & kFails) != 0 && tolerated);
  }

  bool MayBlock(const Need& need) const {
    const uint8_t ends = ends_[need.step];
    if (need.when == When::kDone) return false;
    if (need.when == When::kFailure) return (ends & ~kFails) != 0;
    const bool tolerated = steps_[need.step].on_error == OnError::kContinue;
    return (ends & kSkipped) != 0 || ((ends & kFails) != 0 && !tolerated);
  }

  void CheckStep(int32_t index) {
    const Step& step = steps_[index];
    for (const Need& need : step.needs) {
      if (CanHold(need)) continue;
      ends_[index] = kSkipped;
      // What stands behind a step that never runs is not told once more.
      if (ends_[need.step] != kSkipped) ReportNever(step, need);
      return;
    }
    if (NeverByIf(step)) {
      ends_[index] = kSkipped;
      Warn(reader_.flow.expressions[step.condition].span,
           absl::StrCat("step `", step.id, "` never runs"))
          .label = "this is never true";
      return;
    }
    const bool blocked = std::any_of(step.needs.begin(), step.needs.end(),
                                     [&](const Need& n) { return MayBlock(n); });
    ends_[index] = blocked || step.condition >= 0 ? kSkipped : 0;
    if (step.kind == StepKind::kFail && !Repeated(step)) {
      ends_[index] |= kFails;
    } else {
      ends_[index] |= CannotFail(step) ? kSucceeds : kSucceeds | kFails;
    }
  }

  Finding& Warn(const Span& span, std::string message) {
    Finding& finding = reader_.Error("BL0601", span, std::move(message));
    finding.severity = Severity::kWarning;
    return finding;
  }

  void ReportNever(const Step& step, const Need& need) {
    const Step& needed = steps_[need.step];
    Finding& finding = Warn(step.span, absl::StrCat("step `", step.id, "` never runs"));
    if (need.when == When::kFailure) {
      finding.label = absl::StrCat("it waits for `", needed.id, "` to fail, which cannot");
      finding.help = "`when: success` or `when: done` waits for its end";
      return;
    }
    finding.label = absl::StrCat("it waits for `", needed.id, "` to succeed, which is a `fail`");
    finding.help = absl::StrCat(
        "what shall go on where `", needed.id, "` is skipped needs `{step: ", needed.id,
        ", when: done}` and `if: steps.", needed.id, ".status == \"skipped\"`");
  }

  // A step that can run only if another one fails, and only if the same one succeeds. 64 of those
  // whose failure is waited for are looked at together, in one pass over all edges.
  void CheckContradictions() {
    std::vector<int32_t> failing;
    for (const Step& step : steps_) {
      for (const Need& need : step.needs) {
        if (need.when == When::kFailure) failing.push_back(need.step);
      }
    }
    std::sort(failing.begin(), failing.end());
    failing.erase(std::unique(failing.begin(), failing.end()), failing.end());
    constexpr size_t kTogether = 64, kPassesMax = 64;
    failing.resize(std::min(failing.size(), kTogether * kPassesMax));
    for (size_t begin = 0; begin < failing.size(); begin += kTogether) {
      const size_t end = std::min(begin + kTogether, failing.size());
      FindContradictions({failing.begin() + static_cast<ptrdiff_t>(begin),
                          failing.begin() + static_cast<ptrdiff_t>(end)});
    }
  }

  void FindContradictions(const std::vector<int32_t>& targets) {
    struct Wants {
      uint64_t failed = 0, succeeded = 0;  // bits over `targets`
    };
    std::vector<Wants> wants(steps_.size());
    for (const int32_t index : order_) {
      Wants& own = wants[index];
      bool told = false;
      for (const Need& need : steps_[index].needs) {
        if (need.when == When::kDone) continue;
        const Wants& needed = wants[need.step];
        told = told || (needed.failed & needed.succeeded) != 0;
        own.failed |= needed.failed;
        own.succeeded |= needed.succeeded;
        const auto at = std::lower_bound(targets.begin(), targets.end(), need.step);
        if (at == targets.end() || *at != need.step) continue;
        const uint64_t bit = uint64_t{1} << (at - targets.begin());
        if (need.when == When::kFailure) own.failed |= bit;
        const bool tolerated = steps_[need.step].on_error == OnError::kContinue;
        if (need.when == When::kSuccess && !tolerated) own.succeeded |= bit;
      }
      const uint64_t both = own.failed & own.succeeded;
      if (both != 0 && !told) ReportContradiction(index, targets[__builtin_ctzll(both)]);
    }
  }

  void ReportContradiction(int32_t index, int32_t target) {
    const std::string& id = steps_[target].id;
    Finding& finding =
        reader_.Error("BL0222", steps_[index].span,
                      absl::StrCat("step `", steps_[index].id, "` can never run: it needs `", id,
                                   "` to fail and to succeed"));
    finding.label = "directly, or by what it needs";
    finding.help = absl::StrCat("what shall run in either case needs `{step: ", id,
                                ", when: done}`; what runs in one case is a step of its own");
  }

  Reader& reader_;
  const std::vector<Step>& steps_;
  const std::vector<int32_t>& order_;
  std::vector<uint8_t> ends_;  // by step
};

}  // namespace

void CheckReach(Reader& reader, const std::vector<int32_t>& order) {
  ReachChecker(reader, order).Run();
}

}  // namespace beamline::flowspec
