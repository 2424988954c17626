// Where the files lie: in a directory, or in what the daemon sent.
#include "cli/neighbours.h"

#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "cli/flow_file.h"
#include "cli/places.h"

namespace beamline::cli {

flowspec::FlowFiles FilesBeside(const std::string& path) {
  const std::filesystem::path root = AbsolutePath(path == "-" ? "./<stdin>" : path);
  const std::string directory = root.parent_path().string();
  return flowspec::FlowFiles(
      root.filename().string(),
      [directory](const std::string& name) -> absl::StatusOr<std::string> {
        const std::string file = absl::StrCat(directory, "/", name);
        struct stat info;
        if (stat(file.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
          return absl::FailedPreconditionError(absl::StrCat(name, " is no file"));
        }
        absl::StatusOr<SourceFile> source = ReadSource(file);
        if (source.ok()) return std::move(source->text);
        if (!absl::IsNotFound(source.status())) return source.status();
        return absl::NotFoundError(absl::StrCat("there is no file ", name));
      });
}

flowspec::FlowFiles FilesWith(const SourceFile& registered) {
  std::map<std::string, std::string> texts;
  for (const BundleFile& file : registered.brings) texts[file.path] = file.text;
  return flowspec::FlowFiles(
      "", [texts = std::move(texts)](const std::string& name) -> absl::StatusOr<std::string> {
        const auto found = texts.find(name);
        if (found != texts.end()) return found->second;
        return absl::NotFoundError("it was not registered with the flow");
      });
}

}  // namespace beamline::cli
