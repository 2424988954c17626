// Stored bytes are never trusted: a disk or an attacker may have changed them.
#include <doctest/doctest.h>
#include <google/protobuf/stubs/logging.h>

#include <cstdlib>
#include <functional>
#include <random>

#include "beamline/v1/event.pb.h"
#include "beamline/v1/stored.pb.h"
#include "daemon/codec/event_codec.h"
#include "sample_events.h"

namespace beamline::codec {
namespace {

// The message with which a sample fact is refused once `spoil` has changed its protobuf form.
std::string Refusal(size_t sample, const std::function<void(v1::ExecutionEvent*)>& spoil) {
  v1::ExecutionEvent wire;
  ToWire(SampleEvents()[sample], {}, &wire);
  spoil(&wire);
  v1::StoredEvents stored;
  *stored.add_events() = wire;
  auto events = DecodeEvents(stored.SerializeAsString());
  REQUIRE(events.status().code() == absl::StatusCode::kDataLoss);
  return std::string(events.status().message());
}

TEST_CASE("a refusal says which event and what is wrong with it") {
  using E = v1::ExecutionEvent;
  CHECK(Refusal(4, [](E* e) { e->mutable_attempt_finished()->set_attempt(0); }) ==
        "event 5: attempt is 0");
  CHECK(Refusal(4, [](E* e) { e->mutable_attempt_finished()->clear_path(); }) ==
        "event 5: a step's fact has no path");
  CHECK(Refusal(4, [](E* e) { e->mutable_attempt_finished()->set_outcome(v1::Outcome(77)); }) ==
        "event 5: outcome 77 is not known to this release");
  CHECK(Refusal(4, [](E* e) { e->mutable_attempt_finished()->clear_step_status(); }) ==
        "event 5: status 0 is not known to this release");
  CHECK(Refusal(4, [](E* e) {
          e->mutable_attempt_finished()->mutable_output()->mutable_blob()->set_sha256("../../etc");
        }) == "event 5: a sha256 is not 64 lower-case hex digits");
  CHECK(Refusal(0, [](E* e) { e->mutable_run_started()->set_run_ulid("short"); }) ==
        "event 1: run_ulid has 5 bytes, not 16");
  CHECK(Refusal(1, [](E* e) { e->mutable_foreach_started()->set_count(-1); }) ==
        "event 2: count is negative");
  CHECK(Refusal(2, [](E* e) { e->clear_fact(); }) ==
        "event 3: it holds no fact that this release knows");
  CHECK(Refusal(2, [](E* e) { e->clear_time(); }) == "event 3: it has no time");
  CHECK(Refusal(2, [](E* e) { e->mutable_time()->set_nanos(-1); }) ==
        "event 3: a time is out of range");
  CHECK(Refusal(2, [](E* e) { e->mutable_time()->set_seconds(INT64_MAX); }) ==
        "event 3: a time is out of range");
  CHECK(Refusal(2, [](E* e) { e->clear_seq(); }) == "event 0: seq is 0");
  CHECK(Refusal(5, [](E* e) { e->mutable_retry_scheduled()->clear_at(); }) ==
        "event 6: the retry has no time");
}

TEST_CASE("bytes that are no message are refused with their size") {
  auto events = DecodeEvents("this was never protobuf");
  REQUIRE(events.status().code() == absl::StatusCode::kDataLoss);
  CHECK(events.status().message() == "23 bytes that are not stored events");
}

TEST_CASE("every truncation is refused or is whole events") {
  const std::vector<run::Event> samples = SampleEvents();
  const std::string bytes = EncodeEvents(samples);
  size_t refused = 0;
  for (size_t size = 0; size < bytes.size(); ++size) {
    auto events = DecodeEvents(bytes.substr(0, size));
    if (!events.ok()) {
      ++refused;
      continue;
    }
    for (size_t i = 0; i < events->size(); ++i) CHECK(Show((*events)[i]) == Show(samples[i]));
  }
  CHECK(refused == bytes.size() - samples.size());  // what is left: the ends of whole events
}

TEST_CASE("random damage is survived: a refusal, or events that can be encoded again") {
  const char* given = std::getenv("BEAMLINE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20'241'124;
  MESSAGE("repeat with BEAMLINE_SEED=" << seed);
  std::mt19937_64 random(seed);
  google::protobuf::LogSilencer silence;  // a line per round otherwise
  const std::string bytes = EncodeEvents(SampleEvents());
  size_t refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = bytes;
    for (uint64_t n = random() % 4 + 1; n > 0; --n) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    auto events = DecodeEvents(damaged);
    if (!events.ok()) {
      CHECK(events.status().code() == absl::StatusCode::kDataLoss);
      ++refused;
    } else {
      CHECK(DecodeEvents(EncodeEvents(*events)).ok());
    }
  }
  CHECK(refused > 5'000);
}

}  // namespace
}  // namespace beamline::codec
