// A run as people and scripts see it: folds a run's wire events into the Run message. The daemon's
// GetRun and the client's live tree use this one fold, so that they never disagree.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "beamline/v1/event.pb.h"
#include "beamline/v1/run.pb.h"
#include "proto/status_word.h"

namespace beamline::proto {

// Total: an event that does not fit (an unknown path, an index out of range) changes nothing but
// `last_seq`. One event costs O(depth of its path), amortised, whatever the number of items. Not
// thread-safe, and neither are two concurrent calls of run().
class RunView {
 public:
  // Reads a blob that holds the keys of a foreach with many items; without one, or where it
  // answers "", items of such a foreach are named by their index.
  using ReadBlob = std::function<std::string(const v1::Blob&)>;

  explicit RunView(ReadBlob read_blob = nullptr);
  RunView(RunView&&) noexcept;
  RunView& operator=(RunView&&) noexcept;
  ~RunView();

  // Events come in the order of their seq; one whose seq was already seen is ignored.
  void Apply(const v1::ExecutionEvent& event);

  // The view so far. A step's place in `steps` never changes; pointers to steps and items stay
  // valid as long as this view, but for what is below a step that StepsRewound names.
  const v1::Run& run() const;

  // True if a step waits for a time: the run goes on without anybody.
  bool waits_for_time() const { return timed_ > 0; }
  // True once RunFinished was applied.
  bool finished() const { return finished_; }
  // The counts of a foreach's items by what they came to; zeros for any other step.
  struct ItemCounts {
    int32_t succeeded = 0, failed = 0, running = 0, retrying = 0, parked = 0, other = 0;
  };
  ItemCounts CountItems(const v1::Step& step) const;
  // The items of `step` that are not done or have failed: at most `limit`, worst first.
  std::vector<const v1::Item*> NotableItems(const v1::Step& step, size_t limit) const;

 private:
  struct Shape;
  struct Foreach;
  struct Place;  // what a path names: a step, or an item of one

  void Begin(const v1::ExecutionEvent& event);
  void BuildShape(const v1::RunStarted& started);
  void AddSteps(const Shape& shape, const std::string& prefix,
                google::protobuf::RepeatedPtrField<v1::Step>* steps) const;
  void FillStep(const Shape& shape, const std::string& path, v1::Step* step) const;
  Place Find(std::string_view path);
  bool FindUndo(std::string_view path, Place* place);
  v1::Item* FindItem(v1::Step* step, const Shape& shape, int32_t index);
  void SetStatus(const Place& place, v1::Status status);
  void ApplyFact(const v1::ExecutionEvent& event);
  void ApplyStep(const v1::ExecutionEvent& event, const Place& place);
  void OnForeachStarted(const v1::ForeachStarted& fact, const Place& place);
  void OnAttemptStarted(const v1::ExecutionEvent& event, const Place& place);
  void OnAttemptFinished(const v1::ExecutionEvent& event, const Place& place);
  void OnCacheHit(const v1::ExecutionEvent& event, const Place& place);
  // Tasks of `approve` steps (run_view_tasks.cc).
  void OnTaskOpened(const v1::ExecutionEvent& event, const Place& place);
  void OnTaskClosed(const v1::TaskClosed& fact, const Place& place);
  void Rewind(const Place& place);
  void Forget(const google::protobuf::RepeatedPtrField<v1::Step>& steps);
  void ForgetItems(const v1::Step& step);
  void OnStepFinished(const v1::ExecutionEvent& event, const Place& place);
  // What people do to a run (run_view_operate.cc).
  bool ApplyIntervention(const v1::ExecutionEvent& event);
  void OnRequeued(const v1::StepRequeued& fact);
  void OnMarked(const v1::ExecutionEvent& event);
  void OnReused(const v1::ExecutionEvent& event);
  void OnSection(v1::Section section);
  void GoOnAbove(std::string_view path);
  void Renew(v1::Step* step);
  void RequeueItems(const Place& place);
  bool CanMove(const google::protobuf::RepeatedPtrField<v1::Step>& steps, bool top) const;
  bool CanMove(const v1::Step& step) const;
  bool SectionBegan(v1::Section section) const;

  ReadBlob read_blob_;
  mutable v1::Run run_;  // run_.status is brought up to date by run()
  std::unique_ptr<Shape> root_;
  absl::flat_hash_map<const v1::Step*, std::unique_ptr<Foreach>> foreaches_;
  int64_t in_flight_ = 0;  // attempts between start and finish
  int64_t stuck_ = 0;      // steps and items that are parked, held or wait
  absl::flat_hash_map<std::string, std::unique_ptr<Shape>> undo_shapes_;  // by the step's id
  absl::flat_hash_map<std::string, v1::Step*> undo_steps_;                // by path
  int64_t timed_ = 0;  // steps and items that wait for a time
  bool queued_ = false;
  bool on_failure_began_ = false;
  bool finally_began_ = false;
  bool finished_ = false;
  bool paused_ = false;
};

}  // namespace beamline::proto
