// `beamline flow diff`: two flows, registered or in files, compared by diff(1).
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/flow_file.h"
#include "cli/flow_name.h"
#include "cli/output.h"
#include "cli/run_json.h"
#include "cli/text_diff.h"
#include "cli/verbs.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

// A flow as it is compared: its text and those of the files that it brings, by path; "" is its own.
struct Side {
  std::string name;
  std::map<std::string, std::string> texts;
};

std::optional<Side> ReadSide(const Context& context, const std::string& word,
                             std::unique_ptr<Client>* client, int* code) {
  std::optional<SourceFile> source = ReadFlow(context, word, client, code);
  if (!source) return std::nullopt;
  // A file that is no flow yet can still be compared.
  const auto flow = flowspec::ParseFlow(source->text, {.compile_expressions = false}).flow;
  if (IsFlowFile(word) && flow != nullptr) {
    std::optional<std::vector<BundleFile>> files = LoadBundle(context, word, *flow, code);
    if (!files) return std::nullopt;
    source->brings = *std::move(files);
  }
  Side side{source->name, {{"", source->text}}};
  for (BundleFile& file : source->brings) side.texts[file.path] = std::move(file.text);
  return side;
}

// What diff says of each file that either side has; nothing if it cannot be run.
std::optional<std::string> Compare(const Side& from, const Side& to, bool color) {
  std::set<std::string> paths;
  for (const Side* side : {&from, &to}) {
    for (const auto& [path, text] : side->texts) paths.insert(path);
  }
  const auto file = [](const Side& side, const std::string& path) {
    const auto found = side.texts.find(path);
    if (found == side.texts.end()) return NamedText{"/dev/null", ""};
    return NamedText{path.empty() ? side.name : absl::StrCat(side.name, ":", path), found->second};
  };
  std::string all;
  for (const std::string& path : paths) {
    const NamedText a = file(from, path), b = file(to, path);
    if (a.text == b.text) continue;
    const std::optional<std::string> diff = UnifiedDiff(a, b, color);
    if (!diff) return std::nullopt;
    all += *diff;
  }
  return all;
}

}  // namespace

int FlowDiff(const Arguments& arguments, Context& context) {
  std::unique_ptr<Client> client;
  int code = kExitOk;
  const auto from = ReadSide(context, arguments.Get("FROM"), &client, &code);
  if (!from) return code;
  const auto to = ReadSide(context, arguments.Get("TO"), &client, &code);
  if (!to) return code;
  const bool same = from->texts == to->texts;
  const std::optional<std::string> diff =
      Compare(*from, *to, context.out.color && !context.wants_data());
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
