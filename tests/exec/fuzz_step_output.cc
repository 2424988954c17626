// Fuzzes the readers of what steps write and the redactor: neither may crash, and what they accept
// must be JSON without the secret.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "daemon/exec/printable.h"
#include "daemon/exec/redactor.h"
#include "daemon/exec/step_output.h"

namespace exec = beamline::exec;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto& result : {exec::ParseStepOutput(text), exec::CaptureText(text),
                             exec::CaptureLines(text), exec::CaptureJson(text)}) {
    if (result.ok() && !result->empty() && !exec::IsJson(*result)) std::abort();
  }
  const std::string line = exec::PrintableLine(text, 100);
  if (!exec::IsUtf8(line) || line.find('\n') != line.npos) std::abort();

  // The first bytes are the secret, the rest is printed in two pieces.
  if (size < 12) return 0;
  const exec::Redactor redactor({text.substr(0, 6)});
  const std::string printed = text.substr(6);
  std::string pieces;
  exec::Redactor::Stream stream(redactor);
  stream.Append(printed.substr(0, printed.size() / 2), &pieces);
  stream.Append(printed.substr(printed.size() / 2), &pieces);
  stream.Finish(&pieces);
  if (pieces != redactor.Redact(printed)) std::abort();
  return 0;
}
