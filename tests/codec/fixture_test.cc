// Logs of earlier releases: each must decode to the same facts for ever.
//
// fixtures/*.txt hold, per event, a line "<hex of the stored bytes>" and the line Show() gave.
// BEAMLINE_REGENERATE=1 writes fixtures/v1.txt anew; do so only before the first release of v1,
// afterwards add a file for what is new.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/escaping.h"
#include "daemon/codec/event_codec.h"
#include "sample_events.h"

namespace beamline::codec {
namespace {

void Regenerate(const std::string& path) {
  std::ofstream out(path);
  for (const run::Event& event : SampleEvents()) {
    out << absl::BytesToHexString(EncodeEvents({&event, 1})) << "\n" << Show(event) << "\n";
  }
}

TEST_CASE("the logs of every earlier release are read as they were written") {
  const std::string directory = FIXTURES;
  if (std::getenv("BEAMLINE_REGENERATE") != nullptr) Regenerate(directory + "/v1.txt");

  size_t events_seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    CAPTURE(entry.path().string());
    std::ifstream in(entry.path());
    std::string hex, shown;
    while (std::getline(in, hex) && std::getline(in, shown)) {
      auto events = DecodeEvents(absl::HexStringToBytes(hex));
      REQUIRE_MESSAGE(events.ok(), events.status().message());
      REQUIRE(events->size() == 1);
      CHECK(Show((*events)[0]) == shown);
      ++events_seen;
    }
  }
  CHECK(events_seen >= std::variant_size_v<run::Fact::variant>);
}

TEST_CASE("today's encoder writes the bytes of the fixture") {
  std::ifstream in(std::string(FIXTURES) + "/v1.txt");
  for (const run::Event& event : SampleEvents()) {
    std::string hex, shown;
    REQUIRE(std::getline(in, hex));
    REQUIRE(std::getline(in, shown));
    CHECK(absl::BytesToHexString(EncodeEvents({&event, 1})) == hex);
  }
}

}  // namespace
}  // namespace beamline::codec
