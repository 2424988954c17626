// Span ids are stable and distinct.
#include "daemon/codec/span_id.h"

#include <doctest/doctest.h>

#include <set>

#include "absl/strings/str_cat.h"

namespace beamline::codec {
namespace {

TEST_CASE("a span id never changes between releases") {
  CHECK(SpanId("01jd4q8zj0000000000000000f", "enrich[17]/load", 2) == "599e03c0a9a356d3");
}

TEST_CASE("places that look alike have different spans") {
  std::set<std::string> seen;
  for (const char* run : {"a", "b", "ab", ""}) {
    for (const char* path : {"", "a", "b", "ab", "a/b"}) {
      for (int attempt = 0; attempt < 300; ++attempt) {
        std::string id = SpanId(run, path, attempt);
        CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
        CHECK(id.size() == 16);
        seen.insert(id);
      }
    }
  }
  CHECK(seen.size() == 4 * 5 * 300);
}

TEST_CASE("a step's id is the last element of its path") {
  CHECK(StepId("build") == "build");
  CHECK(StepId("enrich[17]/load") == "load");
  CHECK(StepId("draft/enrich[17]") == "enrich");
  CHECK(StepId("").empty());
}

}  // namespace
}  // namespace beamline::codec
