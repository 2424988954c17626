// The inputs of a run, from flags, files and questions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/command.h"
#include "cli/context.h"
#include "flowspec/flow.h"

namespace beamline::cli {

struct InputSources {
  // "k=text" (by the type of the flow's input: text, a number, true or false, JSON), "k:=json",
  // "k=@file" (the file's content in place of the text), "k:=@file". Later ones win.
  std::vector<std::string> pairs;
  // A JSON or YAML file with a map, or "-" for standard input; "" = none. Pairs win.
  std::string file;
};

// A JSON object with what the sources say. InvalidArgument: a pair or file cannot be read as that;
// says which.
absl::StatusOr<std::string> ReadInputs(const flowspec::Flow& flow, const InputSources& sources);

// The same, with questions for inputs that are missing (where a person is there to answer), and
// checked against the flow. Nothing after telling on context.err what is wrong, with the exit code
// in `*code`.
std::optional<std::string> CollectInputs(const Context& context, const flowspec::Flow& flow,
                                         const InputSources& sources, int* code);

}  // namespace beamline::cli
