// The functions of jq 1.6 that expressions may call, and those they must not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace beamline::flowspec {

// `name/arity` as jq lists it, less the forbidden ones.
bool IsBuiltin(std::string_view name, int arity);

// The arities of the builtin `name`, ascending; empty if it is none.
std::vector<int> BuiltinArities(std::string_view name);

// Why `name` must not be called (for a finding's help); empty if it may.
std::string_view WhyForbidden(std::string_view name);

const std::vector<std::string>& BuiltinNames();
const std::vector<std::string>& ForbiddenNames();

}  // namespace beamline::flowspec
