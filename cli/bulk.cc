// One way to be careful; see bulk.h.
#include "cli/bulk.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/glyphs.h"
#include "cli/output.h"
#include "cli/prompt.h"

namespace beamline::cli {
namespace {

constexpr size_t kShown = 10;  // of a bulk, before it is asked for

std::string CountOf(const BulkWords& words, size_t count) {
  return Count(static_cast<long long>(count), words.noun);
}

}  // namespace

int ConfirmBulk(const Context& context, const BulkWords& words, size_t count,
                const std::function<std::string(size_t)>& row) {
  for (size_t i = 0; i < std::min(count, kShown); ++i) {
    context.err.Write(absl::StrCat("  ", row(i), "\n"));
  }
  if (count > kShown) {
    context.err.Write(ForLocale(absl::StrCat("  … and ", count - kShown, " more\n")));
  }
  if (Confirm(context, absl::StrCat(words.verb, " ", CountOf(words, count), "?"))) return kExitOk;
  return Fail(context, kExitUsage, "nothing was changed", "say --yes to go on without asking");
}

void BulkReport::Refused(std::string_view what, std::string_view why, int code) {
  Warn(context_, absl::StrCat(std::string(what), ": ", std::string(why)));
  code_ = refused_ == 0 || code_ == code ? code : kExitFailed;
  ++refused_;
}

void BulkReport::Stopped(size_t count) const {
  if (done_ == 0) return;
  Hint(context_, absl::StrCat(done_, " of ", CountOf(words_, count), " ", words_.done));
}

int BulkReport::Tell(std::string_view next) const {
  if (context_.wants_data()) {
    const int code =
        PrintData(context_, absl::StrCat("{\"done\":", done_, ",\"refused\":", refused_, "}"));
    return code != kExitOk ? code : code_;
  }
  Hint(context_, absl::StrCat(CountOf(words_, done_), " ", words_.done,
                              refused_ > 0 ? absl::StrCat(", ", refused_, " refused") : "", "\n→ ",
                              std::string(next)));
  return code_;
}

}  // namespace beamline::cli
