// The elements of a JSON array and the members of an object as slices of the text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace beamline::flowspec {

// The top-level elements of `json`, in order, as slices of it. REQUIRES: valid JSON (json_text.h).
// Anything but an array has no elements.
std::vector<std::string_view> ArrayElements(std::string_view json);

// The members of an object in order of writing: key as raw JSON string literal with its quotes,
// value as slice. REQUIRES: valid JSON. Anything but an object has no members.
std::vector<std::pair<std::string_view, std::string_view>> ObjectMembers(std::string_view json);

// '{', '[', '"', 't', 'f', 'n' or '0' (a number): what kind of value the text is. REQUIRES: valid.
char JsonKind(std::string_view json);

}  // namespace beamline::flowspec
