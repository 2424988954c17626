// `beamline validate`: checks flow files, and corrects what can be corrected for certain.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/connect.h"
#include "cli/flow_file.h"
#include "cli/glyphs.h"
#include "cli/neighbours.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "flowspec/findings_text.h"
#include "flowspec/outside.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

namespace fs = std::filesystem;
using flowspec::FileFindings;
using flowspec::Finding;
using flowspec::Findings;

// More files than this below one directory are refused: somebody meant another directory.
constexpr size_t kFilesMax = 10'000;
// Corrections can uncover new findings; this many rounds are made.
constexpr int kFixRoundsMax = 8;

bool IsFlowFile(const fs::path& path) {
  return absl::EndsWith(path.filename().string(), ".flow.yaml");
}

// Appends the flow files below `directory`, sorted. Hidden directories are left out, as are those
// that cannot be entered.
absl::Status FindFlows(const std::string& directory, std::vector<std::string>* paths) {
  std::vector<std::string> found;
  std::error_code error;
  auto entry = fs::recursive_directory_iterator(
      directory, fs::directory_options::skip_permission_denied, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    const std::string name = entry->path().filename().string();
    if (name[0] == '.' && entry->is_directory(error)) {
      entry.disable_recursion_pending();
    } else if (IsFlowFile(entry->path()) && entry->is_regular_file(error)) {
      found.push_back(entry->path().lexically_normal().string());
    }
    if (found.size() > kFilesMax) {
      return absl::FailedPreconditionError(
          absl::StrCat("more than ", kFilesMax, " flows below ", directory));
    }
    entry.increment(error);
  }
  if (error) {
    return absl::NotFoundError(absl::StrCat("cannot read ", directory, ": ", error.message()));
  }
  std::sort(found.begin(), found.end());
  paths->insert(paths->end(), found.begin(), found.end());
  return absl::OkStatus();
}

// The files that `words` name, each once.
absl::StatusOr<std::vector<std::string>> ExpandPaths(const std::vector<std::string>& words) {
  std::vector<std::string> paths;
  for (const std::string& word : words) {
    std::error_code error;
    if (word == "-" || !fs::is_directory(word, error)) {
      paths.push_back(word);
    } else if (absl::Status status = FindFlows(word, &paths); !status.ok()) {
      return status;
    }
  }
  std::set<std::string> seen;
  std::erase_if(paths, [&](const std::string& path) { return !seen.insert(path).second; });
  return paths;
}

struct Checked {
  FileFindings file;
  std::shared_ptr<const flowspec::Flow> flow;  // null if a finding is an error
};

void Check(const std::string& path, Checked* checked) {
  flowspec::FlowFiles files = FilesBeside(path);
  flowspec::ParseResult result =
      flowspec::ParseFlow(checked->file.source, {.children = files.Children()});
  checked->file.findings = std::move(result.findings);
  checked->flow = std::move(result.flow);
}

// What only a daemon can tell. One that does not run is not started: checking a file changes
// nothing.
class Asking {
 public:
  Asking(const Context& context, bool offline) : context_(context), asked_(offline) {}

  // Adds what the daemon says of the flow beyond `findings`; warnings where there is none to ask.
  void Ask(const flowspec::Flow& flow, Findings* findings) {
    if (flowspec::OutsideOf(flow).empty()) return;
    Findings more = flowspec::Unasked(flow);
    if (Connected()) {
      v1::CheckFlowRequest request;
      request.set_flow_source(flow.source);
      const auto response = client_->CheckFlow(request);
      if (response.ok()) more = FromWire(*response);
      if (!response.ok()) client_.reset();
    }
    for (Finding& finding : more) {
      const bool known = std::any_of(findings->begin(), findings->end(), [&](const Finding& f) {
        return f.code == finding.code && f.span.line == finding.span.line &&
               f.span.column == finding.span.column && f.message == finding.message;
      });
      if (!known) findings->push_back(std::move(finding));
    }
    std::stable_sort(findings->begin(), findings->end(), [](const Finding& a, const Finding& b) {
      return std::tie(a.span.line, a.span.column) < std::tie(b.span.line, b.span.column);
    });
  }

 private:
  bool Connected() {
    if (!asked_) {
      absl::StatusOr<std::unique_ptr<Client>> client = ConnectToRunning(context_);
      if (client.ok()) client_ = *std::move(client);
    }
    asked_ = true;
    return client_ != nullptr;
  }

  static Findings FromWire(const v1::CheckFlowResponse& response) {
    Findings findings;
    for (const v1::FlowFinding& wire : response.findings()) {
      Finding& finding = findings.emplace_back();
      finding.code = wire.code();
      finding.severity = wire.severity() == "error"     ? flowspec::Severity::kError
                         : wire.severity() == "warning" ? flowspec::Severity::kWarning
                                                        : flowspec::Severity::kNote;
      finding.message = wire.message();
      finding.span = {wire.line(), wire.column(), wire.length()};
      finding.label = wire.label();
      finding.help = wire.help();
    }
    return findings;
  }

  const Context& context_;
  bool asked_;
  std::unique_ptr<Client> client_;
};

// Corrects and checks until nothing is left that can be corrected. Returns the number of findings
// that are gone by it.
int FixAll(const std::string& path, Checked* checked) {
  FileFindings* file = &checked->file;
  const size_t before = file->findings.size();
  for (int round = 0; round < kFixRoundsMax; ++round) {
    std::string fixed = flowspec::ApplyFixes(file->source, file->findings);
    if (fixed == file->source) break;
    file->source = std::move(fixed);
    Check(path, checked);
  }
  return static_cast<int>(before) - static_cast<int>(file->findings.size());
}

void Report(const Context& context, const std::string& format,
            const std::vector<FileFindings>& files) {
  if (context.format == Format::kNone) return;
  if (format == "json") context.out.Write(flowspec::FindingsJson(files));
  if (format == "sarif") context.out.Write(flowspec::FindingsSarif(files));
  if (format == "github") context.out.Write(flowspec::FindingsGithub(files));
  if (format != "text") return;
  for (const FileFindings& checked : files) {
    if (checked.findings.empty()) continue;
    context.out.Write(flowspec::FindingsText(checked, {context.out.color, context.width}));
  }
}

void Summarise(const Context& context, const std::vector<FileFindings>& files, int fixed) {
  Findings all;
  for (const FileFindings& checked : files) {
    all.insert(all.end(), checked.findings.begin(), checked.findings.end());
  }
  const bool bad = flowspec::HasErrors(all);
  const bool color = context.err.color;
  const Glyphs& glyphs = GlyphsFor(LocaleIsUtf8());
  std::string line =
      Paint(color, bad ? Ink::kRed : Ink::kGreen, bad ? glyphs.failed : glyphs.succeeded);
  absl::StrAppend(&line, " ", Count(static_cast<long long>(files.size()), "file"), ", ",
                  CountFindings(all));
  if (fixed > 0) absl::StrAppend(&line, ", ", fixed, " corrected");
  if (!context.quiet || bad) context.err.Write(line + "\n");
  const bool fixable = std::any_of(all.begin(), all.end(),
                                   [](const Finding& finding) { return finding.fix.has_value(); });
  if (fixable) Hint(context, "→ beamline validate --fix corrects what is certain");
}

}  // namespace

int Validate(const Arguments& arguments, Context& context) {
  const absl::StatusOr<std::vector<std::string>> paths = ExpandPaths(arguments.All("PATH"));
  if (!paths.ok()) return Fail(context, kExitNotFound, std::string(paths.status().message()));
  if (paths->empty()) {
    return Fail(context, kExitNotFound, "no *.flow.yaml in there", "name the files themselves");
  }
  const bool fix = arguments.On("fix");
  Asking asking(context, arguments.On("offline"));
  int fixed = 0;
  std::vector<FileFindings> files;
  for (const std::string& path : *paths) {
    absl::StatusOr<SourceFile> source = ReadSource(path);
    if (!source.ok()) return Fail(context, kExitNotFound, std::string(source.status().message()));
    Checked checked{{source->name, std::move(source->text), {}}, nullptr};
    Check(path, &checked);
    if (fix && path != "-") {
      const std::string before = checked.file.source;
      fixed += FixAll(path, &checked);
      const absl::Status written =
          checked.file.source == before ? absl::OkStatus() : WriteSource(path, checked.file.source);
      if (!written.ok()) return Fail(context, kExitFailed, std::string(written.message()));
    }
    if (checked.flow != nullptr) asking.Ask(*checked.flow, &checked.file.findings);
    files.push_back(std::move(checked.file));
  }
  if (context.wants_data()) {
    const int code = PrintData(context, flowspec::FindingsJson(files));
    if (code != kExitOk) return code;
  } else {
    Report(context, arguments.Get("format"), files);
  }
  Summarise(context, files, fixed);
  const bool bad = std::any_of(files.begin(), files.end(), [](const FileFindings& checked) {
    return flowspec::HasErrors(checked.findings);
  });
  return bad ? kExitInvalid : kExitOk;
}

}  // namespace beamline::cli
