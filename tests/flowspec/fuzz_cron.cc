// Fuzzes timetables: no text may crash or hang the reader, a mistake lies within the text, and what
// is accepted comes due later and later, in zones whose clocks jump, too.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "flowspec/cron.h"

namespace flowspec = beamline::flowspec;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  flowspec::CronMistake mistake;
  const auto cron = flowspec::Cron::Parse(text, &mistake);
  if (!cron) {
    if (mistake.message.empty()) std::abort();
    if (mistake.offset > size || mistake.length > size - mistake.offset) std::abort();
    return 0;
  }
  for (const char* name : {"UTC", "Europe/Berlin", "Australia/Lord_Howe"}) {
    const auto zone = flowspec::FindTimeZone(name);
    if (!zone) continue;
    absl::Time time = absl::FromUnixSeconds(1'900'000'000);
    for (int i = 0; i < 8; ++i) {
      const absl::Time next = cron->Next(time, *zone);
      if (next <= time || next == absl::InfiniteFuture()) std::abort();
      time = next;
    }
  }
  return 0;
}
