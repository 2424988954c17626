// `beamline flow diff`: two flows, registered or in files, compared by diff(1).
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cli/flow_name.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/text_diff.h"
#include "cli/verbs.h"

namespace beamline::cli {
int FlowDiff(const Arguments& arguments, Context& context) {
  std::unique_ptr<Client> client;
  int code = kExitOk;
  const auto from = ReadFlow(context, arguments.Get("FROM"), &client, &code);
  if (!from) return code;
  const auto to = ReadFlow(context, arguments.Get("TO"), &client, &code);
  if (!to) return code;
  const bool same = from->text == to->text;
  const bool color = context.out.color && !context.wants_data();
  const std::optional<std::string> diff =
      same ? "" : UnifiedDiff({from->name, from->text}, {to->name, to->text}, color);
  if (!diff) return Fail(context, kExitFailed, "diff cannot be run", "install diffutils");
  if (context.wants_data()) {
    return PrintData(
        context,
        absl::StrCat("{\"from\":", QuoteJson(from->name), ",\"to\":", QuoteJson(to->name),
                     ",\"same\":", same ? "true" : "false", ",\"diff\":", QuoteJson(*diff), "}"));
  }
  context.out.Write(*diff);
  if (same) Hint(context, "they are the same");
  return kExitOk;
}

}  // namespace beamline::cli
