// LoadBundle: follows `uses` from file to file, breadth first.
#include "flowspec/bundle.h"

#include <sys/stat.h>

#include <deque>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/flow_file.h"
#include "cli/output.h"
#include "cli/places.h"
#include "flowspec/digest.h"
#include "flowspec/findings_text.h"
#include "flowspec/parse.h"

namespace beamline::cli {
namespace {

// A file that is wanted, and who wants it.
struct Wanted {
  std::string path;  // in the bundle
  int depth = 1;
  std::string by;  // "main.flow.yaml:12", for messages
};

class Collector {
 public:
  Collector(const Context& context, const std::string& path) : context_(context) {
    const std::filesystem::path root = AbsolutePath(path == "-" ? "./<stdin>" : path);
    directory_ = root.parent_path().string();
    root_ = root.filename().string();
    shown_ = std::filesystem::path(path == "-" ? "" : path).parent_path().string();
  }

  // kExitOk, or the exit code after telling.
  int Collect(const flowspec::Flow& flow) {
    int code = Follow(flow, "", 0);
    while (code == kExitOk && !wanted_.empty()) {
      const Wanted next = std::move(wanted_.front());
      wanted_.pop_front();
      code = Take(next);
    }
    return code;
  }

  std::vector<BundleFile> files() && { return std::move(files_); }

 private:
  // Puts on the list what `flow`, the file `path` of the bundle ("": the one that is started), uses
  // and nobody used before.
  int Follow(const flowspec::Flow& flow, const std::string& path, int depth) {
    for (const flowspec::FileUse& use : flowspec::FileUses(flow)) {
      const std::string by = absl::StrCat(Shown(path.empty() ? root_ : path), ":", use.span.line);
      absl::StatusOr<std::string> resolved = flowspec::ResolveUse(path, use.path);
      if (!resolved.ok()) {
        return Fail(context_, kExitInvalid,
                    absl::StrCat(by, ": ", std::string(resolved.status().message())));
      }
      if (!known_.insert(*resolved).second) continue;
      if (known_.size() > size_t{flowspec::kBundleFilesMax}) {
        return Fail(context_, kExitInvalid,
                    absl::StrCat("the flow leads to over ", flowspec::kBundleFilesMax, " files"));
      }
      if (depth == flowspec::kBundleDepthMax) {
        return Fail(context_, kExitInvalid,
                    absl::StrCat(by, ": flows use each other over ", flowspec::kBundleDepthMax,
                                 " levels deep"));
      }
      wanted_.push_back({*std::move(resolved), depth + 1, by});
    }
    return kExitOk;
  }

  int Take(const Wanted& wanted) {
    const std::string on_disk = directory_ + "/" + wanted.path;
    struct stat info;
    if (stat(on_disk.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
      return Fail(context_, kExitInvalid,
                  absl::StrCat(wanted.by, ": ", Shown(wanted.path), " is no file"));
    }
    absl::StatusOr<SourceFile> file = ReadSource(on_disk);
    if (!file.ok()) {
      return Fail(context_, kExitNotFound,
                  absl::StrCat(wanted.by, ": ", std::string(file.status().message())));
    }
    bytes_ += file->text.size();
    if (bytes_ > flowspec::kBundleBytesMax) {
      return Fail(context_, kExitInvalid,
                  absl::StrCat("the files that the flow leads to have over ",
                               flowspec::kBundleBytesMax >> 20, " MiB"));
    }
    flowspec::ParseResult parsed = flowspec::ParseFlow(file->text, {.compile_expressions = false});
    if (parsed.flow != nullptr) {
      const flowspec::Findings unable = flowspec::CheckExecutable(*parsed.flow);
      parsed.findings.insert(parsed.findings.end(), unable.begin(), unable.end());
    }
    if (!parsed.findings.empty()) {
      context_.err.Write(flowspec::FindingsText({Shown(wanted.path), file->text, parsed.findings},
                                                {context_.err.color, context_.width}));
    }
    if (flowspec::HasErrors(parsed.findings)) return kExitInvalid;
    files_.push_back({wanted.path, std::move(file->text)});
    return Follow(*parsed.flow, wanted.path, wanted.depth);
  }

  // As the person who named the flow would name the file.
  std::string Shown(const std::string& path) const {
    return shown_.empty() ? path : absl::StrCat(shown_, "/", path);
  }

  const Context& context_;
  std::string directory_, root_, shown_;
  std::set<std::string> known_;
  std::deque<Wanted> wanted_;
  size_t bytes_ = 0;
  std::vector<BundleFile> files_;
};

}  // namespace

std::optional<std::vector<BundleFile>> LoadBundle(const Context& context, const std::string& path,
                                                  const flowspec::Flow& flow, int* code) {
  Collector collector(context, path);
  *code = collector.Collect(flow);
  if (*code != kExitOk) return std::nullopt;
  return std::move(collector).files();
}

std::string DigestOf(const flowspec::Flow& flow, const std::vector<BundleFile>& files) {
  std::vector<flowspec::Manifest::File> parts;
  for (const BundleFile& file : files) parts.push_back({file.path, flowspec::Sha256Hex(file.text)});
  return flowspec::MakeManifest(flow.digest, std::move(parts)).Digest();
}

}  // namespace beamline::cli
