// Draws a directed acyclic graph in a terminal: boxes in rows by level, edges downwards.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace beamline::cli {

struct DrawnGraph {
  std::vector<std::string> labels;         // one box each
  std::vector<std::pair<int, int>> edges;  // from, to: indices of labels; no cycles
};

// The drawing, lines ending in newlines; "" if it is wider than `width` columns.
std::string DrawGraph(const DrawnGraph& graph, int width);

// The level of each node: 0 without an edge to it, else one more than the highest before it.
std::vector<int> LevelsOf(const DrawnGraph& graph);

}  // namespace beamline::cli
