// Run ids.
#include "daemon/run/id.h"

#include <doctest/doctest.h>

namespace beamline::run {

TEST_CASE("a run id is a ULID: sortable by time, the same text back and forth") {
  // The example of the ULID specification: 01ARZ3NDEKTSV4RRFFQ69G5FAV.
  const auto id = RunId::Parse("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  REQUIRE(id);
  CHECK(id->ToString() == "01arz3ndektsv4rrffq69g5fav");
  CHECK(RunId::Parse(id->ToString()) == id);

  const std::array<uint8_t, 10> entropy{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const RunId early = RunId::Make(absl::FromUnixMillis(1'469'918'176'385), entropy);
  CHECK(early.ToString().substr(0, 10) == "01aryz6s41");
  CHECK(early < RunId::Make(absl::FromUnixMillis(1'469'918'176'386), {}));
}

TEST_CASE("what is not a ULID is not a run id") {
  CHECK_FALSE(RunId::Parse(""));
  CHECK_FALSE(RunId::Parse("01arz3ndektsv4rrffq69g5fa"));   // short
  CHECK_FALSE(RunId::Parse("01arz3ndektsv4rrffq69g5fau"));  // u is no digit
  CHECK_FALSE(RunId::Parse("81arz3ndektsv4rrffq69g5fav"));  // over 128 bits
}

}  // namespace beamline::run
