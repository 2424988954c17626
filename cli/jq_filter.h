// A jq expression that is true of some things and not of others: `--query`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cli/command.h"
#include "cli/context.h"
#include "flowspec/jq.h"

namespace beamline::cli {

class JqFilter {
 public:
  // InvalidArgument with one line that names --query, as Fits.
  static absl::StatusOr<JqFilter> Compile(const std::string& expression);
  // Whether one of the expression's results for this JSON text is true.
  absl::StatusOr<bool> Fits(std::string_view json);

 private:
  explicit JqFilter(std::unique_ptr<flowspec::JqProgram> program) : program_(std::move(program)) {}
  std::unique_ptr<flowspec::JqProgram> program_;
};

// The filter of the flag --query, nothing if it is not given. False after telling what is wrong,
// with the exit code in `*code`.
bool ReadQuery(const Arguments& arguments, const Context& context, std::optional<JqFilter>* query,
               int* code);

// jq's message without its own prefix, and without the place in a program that the user did not
// write as it stands there.
std::string JqMessage(const absl::Status& status);

}  // namespace beamline::cli
