// libFuzzer: whatever the bytes, ParseFlow ends, and its findings can be shown and fixed.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "flowspec/findings_text.h"
#include "flowspec/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace flowspec = beamline::flowspec;
  const std::string source(reinterpret_cast<const char*>(data), size);
  const flowspec::ParseResult result = flowspec::ParseFlow(source, {.compile_expressions = false});
  if ((result.flow == nullptr) != flowspec::HasErrors(result.findings)) __builtin_trap();
  const flowspec::FileFindings file{"fuzz.flow.yaml", source, result.findings};
  flowspec::FindingsText(file);
  flowspec::FindingsGithub({file});
  flowspec::ApplyFixes(source, result.findings);
  if (result.flow != nullptr) flowspec::CheckExecutable(*result.flow);
  return 0;
}
