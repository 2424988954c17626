// Lays out and draws graphs, after Sugiyama, Tagawa and Toda (1981): levels, orders within levels
// by barycentre, columns, and at last edges on horizontal tracks between the levels.
#include "cli/layered_graph.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>

#include "cli/text.h"

namespace beamline::cli {
namespace {

constexpr int kGap = 3;  // columns between boxes
constexpr int kBoxRows = 3;
constexpr int kOrderSweeps = 8;
constexpr int kColumnSweeps = 8;

// A box, or the place where a long edge passes a level.
struct Node {
  std::string label;
  bool box = true;
  int level = 0;
  int width = 1;
  int x = 0;
  std::vector<int> up;    // nodes one level above
  std::vector<int> down;  // nodes one level below

  int center() const { return x + width / 2; }
};

struct Layout {
  std::vector<Node> nodes;
  std::vector<std::vector<int>> levels;  // nodes from left to right
};

Layout MakeLayout(const DrawnGraph& graph) {
  Layout layout;
  const std::vector<int> levels = LevelsOf(graph);
  for (size_t i = 0; i < graph.labels.size(); ++i) {
    Node node{.label = graph.labels[i], .level = levels[i]};
    node.width = DisplayWidth(node.label) + 4;
    layout.nodes.push_back(std::move(node));
  }
  const auto connect = [&](int from, int to) {
    layout.nodes[from].down.push_back(to);
    layout.nodes[to].up.push_back(from);
  };
  for (const auto& [from, to] : graph.edges) {
    int above = from;
    for (int level = levels[from] + 1; level < levels[to]; ++level) {
      layout.nodes.push_back({.box = false, .level = level});
      const int passing = static_cast<int>(layout.nodes.size()) - 1;
      connect(above, passing);
      above = passing;
    }
    connect(above, to);
  }
  for (size_t i = 0; i < layout.nodes.size(); ++i) {
    const auto level = static_cast<size_t>(layout.nodes[i].level);
    if (layout.levels.size() <= level) layout.levels.resize(level + 1);
    layout.levels[level].push_back(static_cast<int>(i));
  }
  return layout;
}

// Sorts one level by the mean place of each node's neighbours above (or below).
void OrderLevel(Layout* layout, std::vector<int>* level, bool by_up,
                const std::vector<double>& place) {
  std::map<int, double> key;
  for (const int node : *level) {
    const auto& neighbours = by_up ? layout->nodes[node].up : layout->nodes[node].down;
    double sum = 0;
    for (const int neighbour : neighbours) sum += place[neighbour];
    key[node] = neighbours.empty() ? place[node] : sum / static_cast<double>(neighbours.size());
  }
  std::stable_sort(level->begin(), level->end(), [&](int a, int b) { return key[a] < key[b]; });
}

void OrderLevels(Layout* layout) {
  std::vector<double> place(layout->nodes.size());
  const auto remember = [&](const std::vector<int>& level) {
    for (size_t i = 0; i < level.size(); ++i) place[level[i]] = static_cast<double>(i);
  };
  for (const auto& level : layout->levels) remember(level);
  for (int sweep = 0; sweep < kOrderSweeps; ++sweep) {
    const bool down = sweep % 2 == 0;
    const size_t count = layout->levels.size();
    for (size_t i = 1; i < count; ++i) {
      auto& level = layout->levels[down ? i : count - 1 - i];
      OrderLevel(layout, &level, down, place);
      remember(level);
    }
  }
}

// Moves the nodes of one level towards the middle of their neighbours, as far as their order and
// the gaps allow: first to the right, then back to the left.
void PlaceLevel(Layout* layout, const std::vector<int>& level, bool by_up) {
  std::vector<int> wish;
  for (const int index : level) {
    const Node& node = layout->nodes[index];
    const auto& neighbours = by_up ? node.up : node.down;
    int sum = 0;
    for (const int neighbour : neighbours) sum += layout->nodes[neighbour].center();
    const int count = static_cast<int>(neighbours.size());
    wish.push_back(count == 0 ? node.x : sum / count - node.width / 2);
  }
  int free_from = wish.empty() ? 0 : wish[0];
  for (size_t i = 0; i < level.size(); ++i) {
    Node& node = layout->nodes[level[i]];
    node.x = i == 0 ? wish[0] : std::max(wish[i], free_from);
    free_from = node.x + node.width + kGap;
  }
  // What was pushed beyond its wish draws its left neighbours back by half of that.
  for (size_t i = level.size(); i-- > 1;) {
    Node& right = layout->nodes[level[i]];
    Node& left = layout->nodes[level[i - 1]];
    if (right.x > wish[i]) {
      const int pull = (right.x - wish[i]) / 2;
      right.x -= pull;
      left.x = std::min(left.x, right.x - kGap - left.width);
    }
  }
  for (size_t i = 1; i < level.size(); ++i) {
    const Node& left = layout->nodes[level[i - 1]];
    Node& node = layout->nodes[level[i]];
    node.x = std::max(node.x, left.x + left.width + kGap);
  }
}

void PlaceColumns(Layout* layout) {
  for (const auto& level : layout->levels) {
    int x = 0;
    for (const int node : level) {
      layout->nodes[node].x = x;
      x += layout->nodes[node].width + kGap;
    }
  }
  const size_t count = layout->levels.size();
  for (int sweep = 0; sweep < kColumnSweeps; ++sweep) {
    const bool down = sweep % 2 == 1;
    for (size_t i = 1; i < count; ++i) {
      PlaceLevel(layout, layout->levels[down ? i : count - 1 - i], down);
    }
  }
  int left = layout->nodes[0].x;
  for (const Node& node : layout->nodes) left = std::min(left, node.x);
  for (Node& node : layout->nodes) node.x -= left;
}

// All edges from one node to the level below: one horizontal line on a track of its own, or none
// if there is one edge straight down.
struct Net {
  int from;
  int left;
  int right;
  int track = -1;
  std::vector<int> targets;  // columns
};

std::vector<Net> NetsOf(const Layout& layout, const std::vector<int>& level) {
  std::vector<Net> nets;
  for (const int index : level) {
    const Node& node = layout.nodes[index];
    if (node.down.empty()) continue;
    Net net{node.center(), node.center(), node.center(), -1, {}};
    for (const int below : node.down) {
      net.targets.push_back(layout.nodes[below].center());
      net.left = std::min(net.left, net.targets.back());
      net.right = std::max(net.right, net.targets.back());
    }
    nets.push_back(std::move(net));
  }
  return nets;
}

// A net whose target stands below the source of another has to run below that one, or their
// vertical lines would meet.
bool MustRunBelow(const Net& net, const Net& other) {
  return std::find(net.targets.begin(), net.targets.end(), other.from) != net.targets.end();
}

// Gives every net that needs one the first track that is free for it. Returns the number of tracks.
int AssignTracks(std::vector<Net>* nets) {
  std::vector<Net*> order;
  for (Net& net : *nets) {
    if (net.left != net.right) order.push_back(&net);
  }
  std::stable_sort(order.begin(), order.end(), [](const Net* a, const Net* b) {
    return MustRunBelow(*b, *a) && !MustRunBelow(*a, *b);
  });
  int tracks = 0;
  for (Net* net : order) {
    int track = 0;
    for (const Net* other : order) {
      if (other == net) break;
      const bool meet = net->targets.size() == 1 && net->targets == other->targets;
      const bool apart = meet || net->right < other->left - 1 || net->left > other->right + 1;
      if (!apart || MustRunBelow(*net, *other)) track = std::max(track, other->track + 1);
    }
    net->track = track;
    tracks = std::max(tracks, track + 1);
  }
  return tracks;
}

enum : uint8_t { kNorth = 1, kEast = 2, kSouth = 4, kWest = 8 };
constexpr uint8_t kVertical = kNorth | kSouth;
constexpr uint8_t kHorizontal = kEast | kWest;

// A field of lines, addressed by row and column; other text is put over them.
class Canvas {
 public:
  Canvas(int rows, int columns) : columns_(columns), cells_(static_cast<size_t>(rows * columns)) {}

  // Lines of different nets that only cross are not joined: the vertical one passes over.
  void Join(int row, int column, uint8_t directions) {
    Cell& cell = At(row, column);
    if (cell.lines == kVertical && directions == kHorizontal) return;
    if (cell.lines == kHorizontal && directions == kVertical) cell.lines = 0;
    cell.lines |= directions;
  }
  void Put(int row, int column, std::string text) { At(row, column).text = std::move(text); }
  // Marks a cell as the right half of what stands before it.
  void Cover(int row, int column) { At(row, column).covered = true; }

  std::string Text() const {
    std::string text;
    for (size_t start = 0; start < cells_.size(); start += static_cast<size_t>(columns_)) {
      std::string line;
      for (size_t i = start; i < start + static_cast<size_t>(columns_); ++i) {
        line += cells_[i].covered ? "" : Shown(cells_[i]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  struct Cell {
    uint8_t lines = 0;
    bool covered = false;
    std::string text;
  };

  static std::string Shown(const Cell& cell) {
    constexpr const char* kLines[] = {" ", "│", "─", "╰", "│", "│", "╭", "├",
                                      "─", "╯", "─", "┴", "╮", "┤", "┬", "┼"};
    return cell.text.empty() ? kLines[cell.lines] : cell.text;
  }
  Cell& At(int row, int column) {
    return cells_[static_cast<size_t>(row) * static_cast<size_t>(columns_) +
                  static_cast<size_t>(column)];
  }

  int columns_;
  std::vector<Cell> cells_;
};

void DrawBox(const Node& node, int row, Canvas* canvas) {
  const int right = node.x + node.width - 1;
  for (int x = node.x + 1; x < right; ++x) {
    canvas->Join(row, x, kHorizontal);
    canvas->Join(row + 2, x, kHorizontal);
    canvas->Cover(row + 1, x);
  }
  canvas->Join(row, node.x, kSouth | kEast);
  canvas->Join(row, right, kSouth | kWest);
  canvas->Join(row + 2, node.x, kNorth | kEast);
  canvas->Join(row + 2, right, kNorth | kWest);
  canvas->Put(row + 1, node.x, "│ " + node.label + " ");
  canvas->Join(row + 1, right, kVertical);
  if (!node.down.empty()) canvas->Join(row + 2, node.center(), kSouth | kHorizontal);
}

// Draws the net between `top` and the last row before the next level, `bottom`.
void DrawNet(const Net& net, int top, int bottom, Canvas* canvas) {
  if (net.track < 0) {
    for (int row = top; row <= bottom; ++row) canvas->Join(row, net.from, kVertical);
    return;
  }
  const int track = top + net.track;
  std::map<std::pair<int, int>, uint8_t> cells;
  for (int row = top; row < track; ++row) cells[{row, net.from}] |= kVertical;
  cells[{track, net.from}] |= kNorth;
  for (int x = net.left; x < net.right; ++x) {
    cells[{track, x}] |= kEast;
    cells[{track, x + 1}] |= kWest;
  }
  for (const int target : net.targets) {
    cells[{track, target}] |= kSouth;
    for (int row = track + 1; row <= bottom; ++row) cells[{row, target}] |= kVertical;
  }
  for (const auto& [at, directions] : cells) canvas->Join(at.first, at.second, directions);
}

}  // namespace

std::vector<int> LevelsOf(const DrawnGraph& graph) {
  std::vector<int> levels(graph.labels.size(), 0);
  // Longest paths; a cycle, which flows cannot have, would end after as many rounds as nodes.
  for (size_t round = 0; round < levels.size(); ++round) {
    bool moved = false;
    for (const auto& [from, to] : graph.edges) {
      if (levels[to] > levels[from]) continue;
      levels[to] = levels[from] + 1;
      moved = true;
    }
    if (!moved) break;
  }
  return levels;
}

std::string DrawGraph(const DrawnGraph& graph, int width) {
  if (graph.labels.empty()) return "";
  Layout layout = MakeLayout(graph);
  OrderLevels(&layout);
  PlaceColumns(&layout);
  int columns = 0;
  for (const Node& node : layout.nodes) columns = std::max(columns, node.x + node.width);
  if (columns > width) return "";

  std::vector<std::vector<Net>> nets;
  std::vector<int> tops;  // row of each level's boxes
  int rows = 0;
  for (const auto& level : layout.levels) {
    nets.push_back(NetsOf(layout, level));
    tops.push_back(rows);
    rows += kBoxRows + AssignTracks(&nets.back()) + 1;
  }
  rows -= 1;  // nothing below the last level
  Canvas canvas(rows, columns);
  for (size_t level = 0; level < layout.levels.size(); ++level) {
    const int below = tops[level] + kBoxRows;
    for (const Net& net : nets[level]) DrawNet(net, below, tops[level + 1] - 1, &canvas);
    for (const int index : layout.levels[level]) {
      const Node& node = layout.nodes[index];
      if (node.box) {
        DrawBox(node, tops[level], &canvas);
        if (!node.up.empty()) canvas.Put(tops[level] - 1, node.center(), "▼");
      } else {
        for (int row = 0; row < kBoxRows; ++row) canvas.Join(tops[level] + row, node.x, kVertical);
      }
    }
  }
  return canvas.Text();
}

}  // namespace beamline::cli
