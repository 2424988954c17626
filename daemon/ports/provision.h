// What this daemon has of the things that flows name and do not bring along.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "flowspec/flow.h"

namespace beamline::ports {

// Thread-safe. What is there now may be gone when a step needs it: the step says so then.
class Provision {
 public:
  virtual ~Provision() = default;

  // Whether an `llm` step could ask this model, named by its route or as provider/model (the other
  // is empty). NotFound or InvalidArgument: there is no such route or provider, says which there
  // are; FailedPrecondition: the provider's key is not there.
  virtual absl::Status CheckModel(const std::string& route, const std::string& model) const = 0;
  // Whether the secret's value can be read; never says what it is. FailedPrecondition: it cannot.
  virtual absl::Status CheckSecret(const flowspec::Secret& secret) const = 0;
};

}  // namespace beamline::ports
