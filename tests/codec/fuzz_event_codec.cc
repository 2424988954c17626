// Any bytes: a refusal, or events whose encoding decodes to the same events again.
#include <google/protobuf/stubs/logging.h>

#include <cstdint>
#include <cstdlib>

#include "daemon/codec/event_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace beamline::codec;  // NOLINT
  static google::protobuf::LogSilencer silence;
  auto events = DecodeEvents({reinterpret_cast<const char*>(data), size});
  if (!events.ok()) return 0;
  const std::string once = EncodeEvents(*events);
  auto again = DecodeEvents(once);
  if (!again.ok() || EncodeEvents(*again) != once) abort();
  return 0;
}
