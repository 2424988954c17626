// The expression stands in a program of ours, which a comment or a quote in it must not swallow.
#include "cli/jq_filter.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/output.h"

namespace beamline::cli {
namespace {

absl::Status Wrong(const absl::Status& status) {
  return absl::InvalidArgumentError(absl::StrCat("--query: ", JqMessage(status)));
}

}  // namespace

absl::StatusOr<JqFilter> JqFilter::Compile(const std::string& expression) {
  auto program = flowspec::JqProgram::Compile(absl::StrCat("[", expression, "\n] | any"));
  if (program.ok()) return JqFilter(*std::move(program));
  // What jq says of the expression alone is not about brackets that nobody wrote.
  const auto alone = flowspec::JqProgram::Compile(expression);
  return Wrong(alone.ok() ? program.status() : alone.status());
}

absl::StatusOr<bool> JqFilter::Fits(std::string_view json) {
  const absl::StatusOr<std::string> fits = program_->Run(json);
  if (!fits.ok()) return Wrong(fits.status());
  return *fits == "true";
}

bool ReadQuery(const Arguments& arguments, const Context& context, std::optional<JqFilter>* query,
               int* code) {
  if (!arguments.Has("query")) return true;
  absl::StatusOr<JqFilter> filter = JqFilter::Compile(arguments.Get("query"));
  if (!filter.ok()) {
    *code = Fail(context, kExitUsage, std::string(filter.status().message()));
    return false;
  }
  *query = *std::move(filter);
  return true;
}

std::string JqMessage(const absl::Status& status) {
  std::string message(status.message());
  for (const char* prefix : {"jq: ", "error: "}) {
    if (absl::StartsWith(message, prefix)) message.erase(0, std::strlen(prefix));
  }
  for (const char* tail : {"\n", " at <top-level>", " (Unix shell"}) {
    message.resize(std::min(message.find(tail), message.size()));
  }
  return message;
}

}  // namespace beamline::cli
