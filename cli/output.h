// Data on stdout, and messages on stderr, in the one way that all commands do it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "cli/exit_code.h"
#include "cli/text.h"

namespace beamline::cli {

// Prints `json` (JSON text) as --jq and -o ask for. json and yaml are indented, jsonl prints each
// element of an array (anything else: itself) on its own line, none prints nothing. Results of --jq
// are printed one a line, strings raw. Format::kText prints as json does.
// Returns kExitOk, or kExitUsage after telling why --jq failed.
int PrintData(const Context& context, std::string_view json);

// "error: MESSAGE" and, unless empty, "  = help: HINT" on stderr. Returns `code`.
int Fail(const Context& context, int code, std::string_view message, std::string_view hint = {});

// A line of prose on stderr that --quiet leaves out ("→ beamline tail 01J…").
void Hint(const Context& context, std::string_view line);
// A line on stderr that is shown always ("warning: …" in yellow).
void Warn(const Context& context, std::string_view message);

// Rows under a header in aligned columns, two blanks apart.
class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;   // align right
    bool shrink = false;  // may be cut with … where the terminal is too narrow
  };
  struct Cell {
    std::string text;
    Ink ink = Ink::kPlain;
  };

  explicit Table(std::vector<Column> columns);
  void Add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  // On a terminal no line is wider than `width`; elsewhere nothing is cut.
  std::string Render(const Stream& stream, int width) const;
  void Print(const Context& context) const;

 private:
  std::vector<int> Widths(const Stream& stream, int width) const;
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace beamline::cli
