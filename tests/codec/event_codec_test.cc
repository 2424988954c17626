// Facts go to protobuf and come back the same.
#include "daemon/codec/event_codec.h"

#include <doctest/doctest.h>

#include <set>

#include "beamline/v1/event.pb.h"
#include "daemon/codec/utf8.h"
#include "sample_events.h"

namespace beamline::codec {
namespace {

using run::Value;

run::Event Only(run::Fact fact) {
  return {1, absl::FromUnixSeconds(1'700'000'000), "system", std::move(fact)};
}

run::Event RoundTrip(const run::Event& event) {
  auto events = DecodeEvents(EncodeEvents({&event, 1}));
  REQUIRE_MESSAGE(events.ok(), events.status().message());
  REQUIRE(events->size() == 1);
  return (*events)[0];
}

TEST_CASE("every fact comes back as it went in") {
  const std::vector<run::Event> events = SampleEvents();
  std::set<size_t> kinds;
  for (const run::Event& event : events) kinds.insert(event.fact.index());
  REQUIRE(kinds.size() == std::variant_size_v<run::Fact::variant>);

  auto decoded = DecodeEvents(EncodeEvents(events));
  REQUIRE_MESSAGE(decoded.ok(), decoded.status().message());
  REQUIRE(decoded->size() == events.size());
  for (size_t i = 0; i < events.size(); ++i) CHECK(Show((*decoded)[i]) == Show(events[i]));
}

TEST_CASE("no events are no bytes") {
  CHECK(EncodeEvents({}).empty());
  CHECK(DecodeEvents("")->empty());
}

TEST_CASE("what is absent stays absent") {
  auto back = std::get<run::AttemptFinished>(RoundTrip(Only(run::AttemptFinished{"a"})).fact);
  CHECK(back.output.absent());
  CHECK(back.error == run::Error());
  CHECK(back.error.exit_code == -1);

  run::AttemptFinished zero{"a"};
  zero.error = {"exit", "", 0};  // exit code 0 is not "no exit code"
  CHECK(std::get<run::AttemptFinished>(RoundTrip(Only(zero)).fact).error == zero.error);
}

TEST_CASE("a JSON text is opaque: any bytes come back") {
  const std::string bytes("\"\xff\0\xc3\x28\"", 6);
  auto back = std::get<run::OutputsResolved>(
      RoundTrip(Only(run::OutputsResolved{Value::Json(bytes), {}})).fact);
  CHECK(back.outputs.json() == bytes);
}

TEST_CASE("a text that is not UTF-8 is stored as what can be read back") {
  auto back =
      std::get<run::StepSkipped>(RoundTrip(Only(run::StepSkipped{"a", "caf\xe9 au lait"})).fact);
  CHECK(back.reason == "caf\xef\xbf\xbd au lait");
  for (const char* bad : {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    CHECK_FALSE(IsUtf8(bad));
    CHECK(IsUtf8(ToUtf8(bad)));
  }
  for (const char* good :
       {"", "plain ascii text", "über", "日本語のテキスト", "\xf0\x9f\x8d\xba"}) {
    CHECK(IsUtf8(good));
    CHECK(ToUtf8(good) == good);
  }
}

TEST_CASE("times keep their nanoseconds, also before 1970, and stay in protobuf's range") {
  auto at = [](absl::Time time) {
    return std::get<run::RetryScheduled>(RoundTrip(Only(run::RetryScheduled{"a", 2, time})).fact)
        .at;
  };
  CHECK(at(absl::FromUnixNanos(-1)) == absl::FromUnixNanos(-1));
  CHECK(at(absl::FromUnixNanos(1'234'567'890'987'654'321)) ==
        absl::FromUnixNanos(1'234'567'890'987'654'321));
  CHECK(at(absl::InfinitePast()) == absl::FromUnixSeconds(-62135596800));
  CHECK(at(absl::InfiniteFuture()) == absl::FromUnixSeconds(253402300799));
}

TEST_CASE("the wire form says where an event belongs; the stored form does not") {
  const WireContext context{"01jd4q8zj0000000000000000f", "flow-digest", "trace"};
  const std::vector<run::Event> events = SampleEvents();

  v1::ExecutionEvent started;
  ToWire(events[3], context, &started);
  CHECK(started.run_id() == context.run_id);
  CHECK(started.flow_id() == context.flow_id);
  CHECK(started.trace_id() == context.trace_id);
  CHECK(started.step_id() == "load");
  CHECK(started.idempotency_key() == "01jd4q8zj0/enrich[17]/load");
  CHECK(started.span_id().size() == 16);

  v1::ExecutionEvent finished;
  ToWire(events[4], context, &finished);
  const auto& f = finished.attempt_finished();
  CHECK(f.output().blob().blob_uri() == "blob:sha256:" + f.output().blob().sha256());
  CHECK(f.artifacts(0).blob_uri() == "blob:sha256:" + f.artifacts(0).sha256());

  for (const run::Event& event : events) {
    v1::ExecutionEvent wire;
    ToWire(event, context, &wire);
    auto back = FromWire(wire);
    REQUIRE(back.ok());
    CHECK(Show(*back) == Show(event));
    CHECK(EncodeEvents({&event, 1}).find(std::string(context.run_id)) == std::string::npos);
  }
}

TEST_CASE("canonical bytes are equal for equal events") {
  v1::ExecutionEvent a, b;
  const WireContext context{"run", "flow", "trace"};
  ToWire(SampleEvents()[0], context, &a);
  ToWire(SampleEvents()[0], context, &b);
  CHECK(CanonicalBytes(a) == CanonicalBytes(b));
  b.set_seq(99);
  CHECK(CanonicalBytes(a) != CanonicalBytes(b));
}

}  // namespace
}  // namespace beamline::codec
