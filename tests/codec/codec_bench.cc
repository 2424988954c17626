// What encoding and decoding one event costs; the aim is under 2 µs each way.
#include <cstdio>

#include "absl/time/clock.h"
#include "daemon/codec/event_codec.h"
#include "sample_events.h"

namespace {

using beamline::codec::DecodeEvents;
using beamline::codec::EncodeEvents;

void Measure(const char* what, const std::vector<beamline::run::Event>& events) {
  constexpr int kRounds = 100'000;
  size_t bytes = 0, decoded = 0;
  const absl::Time start = absl::Now();
  for (int i = 0; i < kRounds; ++i) bytes += EncodeEvents(events).size();
  const absl::Time middle = absl::Now();
  const std::string stored = EncodeEvents(events);
  for (int i = 0; i < kRounds; ++i) decoded += DecodeEvents(stored)->size();
  const absl::Time end = absl::Now();
  const double n = static_cast<double>(kRounds) * events.size();
  std::printf("%-28s %4zu bytes/event  encode %.2f us  decode %.2f us\n", what,
              bytes / (kRounds * events.size()), absl::ToDoubleMicroseconds(middle - start) / n,
              absl::ToDoubleMicroseconds(end - middle) / (decoded == 0 ? 1 : n));
}

}  // namespace

int main() {
  const auto samples = beamline::codec::SampleEvents();
  Measure("AttemptStarted, alone", {samples[3]});
  Measure("AttemptFinished + Started", {samples[4], samples[3]});
  Measure("one of each fact", samples);
}
