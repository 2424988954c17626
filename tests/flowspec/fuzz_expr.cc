// Fuzzes the readers of expressions and of JSON text: neither may crash, hang or read out of
// bounds, and what they accept must hold together.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "flowspec/scan.h"

namespace flowspec = beamline::flowspec;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<flowspec::Expression> expressions;
  flowspec::Findings findings;
  const flowspec::Scanner scanner{{"row"}, &expressions, &findings};
  const auto locate = [&](size_t offset, size_t length) {
    if (offset > size || length > size - offset) std::abort();  // a place outside the scalar
    return flowspec::Span{1, static_cast<int>(offset) + 1, static_cast<int>(length)};
  };
  const flowspec::Template scalar = scanner.ScanScalar(text, locate);
  scanner.ScanBare(text, locate);
  for (const flowspec::Expression& expr : expressions) {
    if (expr.source.find_first_of(std::string_view("\n\0", 2)) != std::string::npos) std::abort();
  }
  // A template is JSON whatever its holes become, and JSON text quoted is a string again.
  const std::string filled = R"({"a":[1,"\n"]})";
  const auto json =
      flowspec::Render(scalar, [&](flowspec::ExprIndex) -> const std::string& { return filled; });
  if (!json.ok() || !flowspec::ReadPath(*json, {}).ok()) std::abort();

  for (const auto& keys :
       std::vector<std::vector<flowspec::PathKey>>{{}, {{"a"}}, {{"", 1}, {"b"}}}) {
    const auto value = flowspec::ReadPath(text, keys);
    if (value.ok() && !flowspec::ReadPath(*value, {}).ok()) std::abort();
  }
  return 0;
}
