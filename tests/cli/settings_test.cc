// Configuration files.
#include "cli/settings.h"

#include <doctest/doctest.h>

using beamline::cli::ReadSettings;
using beamline::cli::Settings;

TEST_CASE("a file says what nobody said before, with paths relative to itself") {
  Settings settings;
  settings.output = "json";
  CHECK_FALSE(ReadSettings("output: yaml\ncontext: ci\ndata_dir: ./data\nsocket: /run/b.sock\n",
                           "/srv/project/.beamline.yaml", &settings));
  CHECK(settings.output == "json");
  CHECK(settings.context == "ci");
  CHECK(settings.data_dir == "/srv/project/data");
  CHECK(settings.socket == "/run/b.sock");
}

TEST_CASE("mistakes in a file have a place and a hint") {
  Settings settings;
  const auto error = ReadSettings("color: never\nsockt: x\n", "f.yaml", &settings);
  REQUIRE(error);
  CHECK(error->message == "f.yaml:2:1: unknown key `sockt`");
  CHECK(error->hint == "did you mean `socket`?");
  CHECK(
      ReadSettings("notify: []", "f.yaml", &settings)->hint ==
      "it is one of context, output, color, data_dir, socket; the daemon's are in beamlined.yaml");
  CHECK(ReadSettings("[a]", "f.yaml", &settings)->message ==
        "f.yaml:1:1: the configuration must be a map of keys");
  CHECK(ReadSettings("output: 7\n", "f.yaml", &settings)->message ==
        "f.yaml:1:1: `output` must be text");
}

TEST_CASE("an empty file says nothing") {
  Settings settings;
  CHECK_FALSE(ReadSettings("~\n", "f.yaml", &settings));
}
