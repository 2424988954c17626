// Any bytes may come from a provider: streams and errors of both formats.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "daemon/exec/llm_adapter.h"
#include "daemon/exec/printable.h"

namespace beamline::exec {
namespace {

// Fed whole and byte by byte, a stream must mean the same.
void Check(const LlmAdapter& adapter, const std::string& bytes) {
  LlmAnswer whole, pieces;
  SseParser once, many;
  once.Feed(bytes, [&](const SseEvent& event) { adapter.Take(event, &whole); });
  for (const char& byte : bytes) {
    many.Feed({&byte, 1}, [&](const SseEvent& event) { adapter.Take(event, &pieces); });
  }
  if (whole.text != pieces.text || whole.stop != pieces.stop) abort();
  if (!IsUtf8(whole.text) || whole.usage.input_tokens < 0) abort();
}

}  // namespace
}  // namespace beamline::exec

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using beamline::exec::LlmProvider;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  for (const auto kind : {LlmProvider::Kind::kOpenAi, LlmProvider::Kind::kAnthropic}) {
    beamline::exec::Check(beamline::exec::AdapterOf(kind), bytes);
    beamline::exec::HttpResponse response{.status = 429};
    response.body = bytes;
    if (beamline::exec::ProblemOf(kind, response, absl::UnixEpoch()).kind.empty()) abort();
  }
  return 0;
}
