// The inputs of a run against what the flow declares.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flowspec/flow.h"

namespace beamline::flowspec {

struct InputViolation {
  std::string name;     // of the input; empty: the inputs as a whole
  std::string message;  // what is wrong and what is wanted
};

struct CheckedInputs {
  std::string json;  // object in the order of declaration, defaults filled in; a sensitive input
                     // stands as {"sensitive": "name"}
  std::vector<std::pair<std::string, std::string>> sensitive;  // name → its JSON text
  std::vector<InputViolation> violations;                      // of which none are secret values
};

// Checks `json` (an object) against the flow's inputs: unknown names (did-you-mean), missing ones,
// types and schemas.
CheckedInputs CheckInputs(const Flow& flow, std::string_view json);

}  // namespace beamline::flowspec
