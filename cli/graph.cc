// `beamline graph`: the steps of a flow as a drawing, or as text for Graphviz and Mermaid.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/flow_file.h"
#include "cli/glyphs.h"
#include "cli/layered_graph.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

using flowspec::Flow;
using flowspec::Need;
using flowspec::Step;
using flowspec::When;

// "× items", "until …", "(test done)": what a box says beside the id.
std::string Repetition(const Step& step) {
  if (step.foreach) return " × items";
  if (step.matrix) return " × matrix";
  if (step.loop) return absl::StrCat(" ≤ ", step.loop->max, "×");
  return "";
}

std::string EdgeWord(When when) { return when == When::kSuccess ? "" : flowspec::WhenName(when); }

std::string BoxLabel(const Flow& flow, const Step& step) {
  std::string label = step.id + Repetition(step);
  for (const Need& need : step.needs) {
    if (need.when == When::kSuccess) continue;
    absl::StrAppend(&label, " (", flow.steps[need.step].id, " ", EdgeWord(need.when), ")");
  }
  return label;
}

// Whether `to` comes after `from` through some step between them.
bool ReachedOtherwise(const Flow& flow, int32_t from, int32_t to) {
  std::vector<bool> seen(flow.steps.size());
  std::vector<int32_t> rest;
  const auto add_needs = [&](int32_t step) {
    for (const Need& need : flow.steps[step].needs) {
      const bool direct = step == to && need.step == from;
      if (!direct && !seen[need.step]) rest.push_back(need.step);
      if (!direct) seen[need.step] = true;
    }
  };
  add_needs(to);
  while (!rest.empty()) {
    const int32_t step = rest.back();
    rest.pop_back();
    if (step == from) return true;
    add_needs(step);
  }
  return false;
}

// The steps of one list, and the edges among them; those that only repeat a longer way, since a
// step also reads what it waits for anyway, are left out.
DrawnGraph GraphOf(const Flow& flow, const std::vector<int32_t>& steps) {
  DrawnGraph graph;
  std::vector<int> place(flow.steps.size(), -1);
  for (const int32_t index : steps) {
    place[index] = static_cast<int>(graph.labels.size());
    graph.labels.push_back(BoxLabel(flow, flow.steps[index]));
  }
  for (const int32_t index : steps) {
    for (const Need& need : flow.steps[index].needs) {
      if (place[need.step] < 0) continue;
      if (need.implied && ReachedOtherwise(flow, need.step, index)) continue;
      graph.edges.emplace_back(place[need.step], place[index]);
    }
  }
  return graph;
}

// For graphs that are wider than the terminal: a line per step, indented by level.
std::string ListGraph(const DrawnGraph& graph) {
  const std::vector<int> levels = LevelsOf(graph);
  std::string text;
  for (size_t i = 0; i < graph.labels.size(); ++i) {
    std::string after;
    for (const auto& [from, to] : graph.edges) {
      if (to == static_cast<int>(i)) {
        absl::StrAppend(&after, after.empty() ? "  ← " : ", ", graph.labels[from]);
      }
    }
    const std::string indent(static_cast<size_t>(levels[i]) * 2, ' ');
    absl::StrAppend(&text, indent, "● ", graph.labels[i], after, "\n");
  }
  return text;
}

void AppendDrawing(const Flow& flow, const std::string& title, const std::vector<int32_t>& steps,
                   const Context& context, std::string* text) {
  if (steps.empty()) return;
  if (!title.empty()) {
    absl::StrAppend(text, text->empty() ? "" : "\n", Paint(context.out.color, Ink::kBold, title),
                    "\n");
  }
  const DrawnGraph graph = GraphOf(flow, steps);
  const std::string drawing = DrawGraph(graph, context.width);
  absl::StrAppend(text, drawing.empty() ? ListGraph(graph) : drawing);
  for (const int32_t index : steps) {
    const Step& step = flow.steps[index];
    AppendDrawing(flow, absl::StrCat("in ", step.id, " (", flowspec::KindName(step.kind), ")"),
                  step.children, context, text);
  }
}

std::string TextGraph(const Flow& flow, const Context& context) {
  std::string text;
  AppendDrawing(flow, "", flow.main, context, &text);
  AppendDrawing(flow, "if it fails", flow.on_failure, context, &text);
  AppendDrawing(flow, "always at the end", flow.finally, context, &text);
  if (LocaleIsUtf8()) return text;
  return absl::StrReplaceAll(text, {{"│", "|"},
                                    {"─", "-"},
                                    {"╭", "+"},
                                    {"╮", "+"},
                                    {"╰", "+"},
                                    {"╯", "+"},
                                    {"├", "+"},
                                    {"┤", "+"},
                                    {"┬", "+"},
                                    {"┴", "+"},
                                    {"┼", "+"},
                                    {"▼", "v"},
                                    {"×", "x"},
                                    {"≤", "<="},
                                    {"●", "*"},
                                    {"←", "<-"}});
}

// The first or last step that is no container in `step`: what an edge to or from a container is
// drawn to, as Graphviz has it.
int32_t Leaf(const Flow& flow, int32_t step, bool first) {
  while (!flow.steps[step].children.empty()) {
    const auto& children = flow.steps[step].children;
    step = first ? children.front() : children.back();
  }
  return step;
}

void AppendDotSteps(const Flow& flow, const std::vector<int32_t>& steps, int depth,
                    std::string* text) {
  const std::string indent(static_cast<size_t>(depth) * 2, ' ');
  for (const int32_t index : steps) {
    const Step& step = flow.steps[index];
    const std::string label = absl::StrCat(step.id, Repetition(step));
    if (step.children.empty()) {
      absl::StrAppend(text, indent, "s", index, " [label=\"", label, "\\n",
                      flowspec::KindName(step.kind), "\"];\n");
      continue;
    }
    absl::StrAppend(text, indent, "subgraph cluster_", index, " {\n", indent, "  label=\"", label,
                    "\";\n");
    AppendDotSteps(flow, step.children, depth + 1, text);
    absl::StrAppend(text, indent, "}\n");
  }
}

void AppendDotEdges(const Flow& flow, std::string* text) {
  for (size_t to = 0; to < flow.steps.size(); ++to) {
    for (const Need& need : flow.steps[to].needs) {
      const int32_t target = static_cast<int32_t>(to);
      std::string attributes;
      if (!flow.steps[need.step].children.empty()) {
        absl::StrAppend(&attributes, " ltail=cluster_", need.step);
      }
      if (!flow.steps[target].children.empty()) {
        absl::StrAppend(&attributes, " lhead=cluster_", target);
      }
      if (need.when == When::kFailure) absl::StrAppend(&attributes, " color=red label=failure");
      if (need.when == When::kDone) absl::StrAppend(&attributes, " style=dashed label=done");
      absl::StrAppend(text, "  s", Leaf(flow, need.step, false), " -> s", Leaf(flow, target, true),
                      attributes.empty() ? "" : absl::StrCat(" [", attributes.substr(1), "]"),
                      ";\n");
    }
  }
}

std::string DotGraph(const Flow& flow) {
  std::string text = absl::StrCat("digraph \"", flow.name,
                                  "\" {\n  compound=true;\n"
                                  "  node [shape=box style=rounded fontname=\"sans-serif\"];\n");
  AppendDotSteps(flow, flow.main, 1, &text);
  for (const auto& [name, steps] :
       {std::pair("on_failure", &flow.on_failure), std::pair("finally", &flow.finally)}) {
    if (steps->empty()) continue;
    absl::StrAppend(&text, "  subgraph cluster_", name, " {\n    label=\"", name,
                    "\" style=dashed;\n");
    AppendDotSteps(flow, *steps, 2, &text);
    absl::StrAppend(&text, "  }\n");
  }
  AppendDotEdges(flow, &text);
  return text + "}\n";
}

void AppendMermaidSteps(const Flow& flow, const std::vector<int32_t>& steps, int depth,
                        std::string* text) {
  const std::string indent(static_cast<size_t>(depth) * 2, ' ');
  for (const int32_t index : steps) {
    const Step& step = flow.steps[index];
    const std::string label = absl::StrCat("[\"", step.id, Repetition(step), "\"]");
    if (step.children.empty()) {
      absl::StrAppend(text, indent, "s", index, label, "\n");
      continue;
    }
    absl::StrAppend(text, indent, "subgraph s", index, label, "\n");
    AppendMermaidSteps(flow, step.children, depth + 1, text);
    absl::StrAppend(text, indent, "end\n");
  }
}

std::string MermaidGraph(const Flow& flow) {
  std::string text = "flowchart TD\n";
  AppendMermaidSteps(flow, flow.main, 1, &text);
  for (const auto& [name, steps] :
       {std::pair("on_failure", &flow.on_failure), std::pair("finally", &flow.finally)}) {
    if (steps->empty()) continue;
    absl::StrAppend(&text, "  subgraph ", name, "\n");
    AppendMermaidSteps(flow, *steps, 2, &text);
    absl::StrAppend(&text, "  end\n");
  }
  for (size_t to = 0; to < flow.steps.size(); ++to) {
    for (const Need& need : flow.steps[to].needs) {
      const std::string word = EdgeWord(need.when);
      absl::StrAppend(&text, "  s", need.step,
                      word.empty() ? " --> " : absl::StrCat(" -. ", word, " .-> "), "s", to, "\n");
    }
  }
  return text;
}

}  // namespace

int Graph(const Arguments& arguments, Context& context) {
  int code = kExitOk;
  const auto flow = LoadFlow(context, arguments.Get("FILE"), &code);
  if (flow == nullptr) return code;
  const std::string& format = arguments.Get("format");
  context.out.Write(format == "dot"       ? DotGraph(*flow)
                    : format == "mermaid" ? MermaidGraph(*flow)
                                          : TextGraph(*flow, context));
  return kExitOk;
}

}  // namespace beamline::cli
