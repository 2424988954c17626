// The bodies of the step kinds, checked key by key, as JSON with holes.
#pragma once

#include "flowspec/reader.h"

namespace beamline::flowspec {

struct Body {
  Template input;
  Effect effect = Effect::kIdempotent;  // the default for this kind (and HTTP method)
};

// The body of `step`, whose kind's value is `body`; `env` is what the step's processes see.
// Not for do and parallel, whose bodies are steps. Notes `approve.on_changes.rerun`.
Body ReadBody(Reader& reader, StepKind kind, const Node& step, const Node& body, const Scope& scope,
              const std::vector<std::pair<std::string, Template>>& env, StepNotes* notes);

// Checks a JSON Schema that stands in the flow (BL0404).
void CheckStatedSchema(Reader& reader, const Node& schema);

}  // namespace beamline::flowspec
