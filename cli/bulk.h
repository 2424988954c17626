// What all verbs about many things have in common: say what is meant, ask, carry it out, and tell
// what did not work.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cli/context.h"

namespace beamline::cli {

// The words of a bulk: "cancel" 3 "run"s, which are then "being cancelled".
struct BulkWords {
  const char* verb;
  const char* noun;
  const char* done;
};

// Lists the first of `count` things on stderr and asks whether all of them are meant; `row(i)` is a
// line. kExitOk: yes. Else the exit code, after saying what to type.
int ConfirmBulk(const Context& context, const BulkWords& words, size_t count,
                const std::function<std::string(size_t)>& row);

// Keeps account of a bulk while it is carried out.
class BulkReport {
 public:
  BulkReport(const Context& context, const BulkWords& words) : context_(context), words_(words) {}

  void Done() { ++done_; }
  // Tells at once what was refused and why. `code`: the exit code if it were the only one.
  void Refused(std::string_view what, std::string_view why, int code);
  // It ends early. Says what was done until then; what stopped it is told by the caller.
  void Stopped(size_t count) const;
  // Sums up, with `next` for what to type, and returns the exit code: kExitOk if nothing was
  // refused, the code of what was if they are all the same, else kExitFailed.
  int Tell(std::string_view next) const;

 private:
  const Context& context_;
  const BulkWords words_;
  size_t done_ = 0, refused_ = 0;
  int code_ = 0;
};

}  // namespace beamline::cli
