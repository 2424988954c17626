// Graphs in the terminal.
#include "cli/layered_graph.h"

#include <doctest/doctest.h>

using beamline::cli::DrawGraph;
using beamline::cli::LevelsOf;

TEST_CASE("a chain runs straight down") {
  CHECK(DrawGraph({{"list", "load"}, {{0, 1}}}, 80) ==
        "╭──────╮\n"
        "│ list │\n"
        "╰───┬──╯\n"
        "    ▼\n"
        "╭──────╮\n"
        "│ load │\n"
        "╰──────╯\n");
}

TEST_CASE("a diamond opens and closes") {
  CHECK(DrawGraph({{"a", "b", "c", "d"}, {{0, 1}, {0, 2}, {1, 3}, {2, 3}}}, 80) ==
        "    ╭───╮\n"
        "    │ a │\n"
        "    ╰─┬─╯\n"
        "  ╭───┴───╮\n"
        "  ▼       ▼\n"
        "╭───╮   ╭───╮\n"
        "│ b │   │ c │\n"
        "╰─┬─╯   ╰─┬─╯\n"
        "  ╰───┬───╯\n"
        "      ▼\n"
        "    ╭───╮\n"
        "    │ d │\n"
        "    ╰───╯\n");
}

TEST_CASE("lines that only cross are not joined") {
  const std::string drawing =
      DrawGraph({{"a", "b", "x", "y"}, {{0, 2}, {0, 3}, {1, 2}, {1, 3}}}, 80);
  CHECK(drawing.find("▼       ▼") != std::string::npos);
  CHECK(drawing.find("│") != std::string::npos);
}

TEST_CASE("levels are longest ways, and too wide a graph is not drawn") {
  CHECK(LevelsOf({{"a", "b", "c"}, {{0, 1}, {1, 2}, {0, 2}}}) == std::vector<int>{0, 1, 2});
  CHECK(DrawGraph({{"a", "b"}, {}}, 8) == "");
  CHECK(DrawGraph({{}, {}}, 80) == "");
}

TEST_CASE("many nodes with many edges are drawn in time") {
  beamline::cli::DrawnGraph graph;
  for (int i = 0; i < 60; ++i) graph.labels.push_back("s" + std::to_string(i));
  for (int i = 0; i < 60; ++i) {
    for (int j = i + 1; j < 60; j += 7) graph.edges.emplace_back(i, j);
  }
  CHECK(DrawGraph(graph, 100'000) != "");
}
