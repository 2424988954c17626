// Lists of steps: ids, kinds, and the keys that every step may have.
#pragma once

#include <string_view>
#include <vector>

#include "flowspec/reader.h"
#include "flowspec/templates.h"

namespace beamline::flowspec {

class StepParser {
 public:
  StepParser(Reader& reader, StepTemplates& templates) : reader_(reader), templates_(templates) {}

  // Appends the steps of `list` (a parent before its children) to the flow; their indices in
  // order.
  std::vector<int32_t> ParseList(const Node& list, const char* what, int32_t parent,
                                 const Scope& around);

 private:
  int32_t ParseStep(const Node& written, int32_t parent, const Scope& around);
  int32_t ParseCompensation(const Node& node, const Step& undone, const Scope& own);
  // Everything but id and needs, into the step at `index`.
  void CheckFanOut(const Node& node);
  void FillStep(int32_t index, const Node& node, Scope before);
  void ReadId(Fields& fields, int32_t index);
  void ReadNeeds(const Node& needs, StepNotes* notes);
  int ReadKind(const Node& node, const Scope& scope);
  void ReadTimes(Fields& fields, Step* step);
  void ReadRetry(const Node& node, Retry* retry);
  void ReadForeach(const Node& node, const Scope& before, Scope* own, Step* step);
  void ReadMatrix(const Node& node, const Scope& before, Scope* own, Step* step);
  void ReadLoop(const Node& node, const Scope& own, bool container, Step* step);
  void ReadOutputs(const Node& node, Step* step);
  void ReadArtifacts(const Node& node, const Scope& own, Step* step);
  void ReadCache(const Node& node, const Scope& own, Step* step);

  Reader& reader_;
  StepTemplates& templates_;
};

// `env` of a flow or step on top of what is around; a step's own names win.
void ReadEnv(Reader& reader, const Node& node, const Scope& scope,
             std::vector<std::pair<std::string, Template>>* env);
std::optional<Concurrency> ReadConcurrency(Reader& reader, const Node& node, const Scope& scope);
void ReadBudget(Reader& reader, const Node& node, Budget* budget);
void ReadLabels(Reader& reader, const Node& node,
                std::vector<std::pair<std::string, std::string>>* labels);

}  // namespace beamline::flowspec
