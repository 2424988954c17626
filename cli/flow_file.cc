// Reads flow files; see flow_file.h.
#include "cli/flow_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "cli/output.h"
#include "flowspec/findings_text.h"
#include "flowspec/parse.h"
#include "flowspec/yaml.h"

namespace beamline::cli {
namespace {

absl::Status FileError(const char* what, const std::string& path, int error) {
  const std::string message = absl::StrCat(what, " ", path, ": ", std::strerror(error));
  if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::FailedPreconditionError(message);
}

// Reads `fd` to its end or to one byte over the limit.
int ReadAll(int fd, std::string* text) {
  char buffer[64 * 1024];
  while (text->size() <= flowspec::kSourceBytesMax) {
    const ssize_t bytes = read(fd, buffer, sizeof buffer);
    if (bytes == 0) return 0;
    if (bytes > 0) {
      text->append(buffer, static_cast<size_t>(bytes));
    } else if (errno != EINTR) {
      return errno;
    }
  }
  text->resize(flowspec::kSourceBytesMax + 1);
  return 0;
}

}  // namespace

absl::StatusOr<SourceFile> ReadSource(const std::string& path) {
  SourceFile file{path == "-" ? "<stdin>" : path, ""};
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError("cannot read", path, errno);
  const int error = ReadAll(fd, &file.text);
  if (fd != STDIN_FILENO) close(fd);
  if (error != 0) return FileError("cannot read", file.name, error);
  return file;
}

absl::Status WriteFileAtomically(const std::string& path, const std::string& text, mode_t mode) {
  std::string fresh = path + ".XXXXXX";
  const int fd = mkostemp(fresh.data(), O_CLOEXEC);
  if (fd < 0) return FileError("cannot write beside", path, errno);
  int error = fchmod(fd, mode) != 0 ? errno : 0;
  FdWriter writer(fd);
  writer.Write(text);
  if (error == 0) error = writer.error();
  if (close(fd) != 0 && error == 0) error = errno;
  if (error == 0 && rename(fresh.c_str(), path.c_str()) != 0) error = errno;
  if (error == 0) return absl::OkStatus();
  unlink(fresh.c_str());
  return FileError("cannot write", path, error);
}

absl::Status WriteSource(const std::string& path, const std::string& text) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return FileError("cannot write", path, errno);
  return WriteFileAtomically(path, text, info.st_mode & 07777);
}

std::string CountFindings(const flowspec::Findings& findings) {
  int counts[3] = {};
  for (const flowspec::Finding& finding : findings) ++counts[static_cast<int>(finding.severity)];
  constexpr const char* kNames[3] = {"error", "warning", "note"};
  std::string text;
  for (int i = 0; i < 3; ++i) {
    if (counts[i] > 0)
      absl::StrAppend(&text, text.empty() ? "" : ", ", Count(counts[i], kNames[i]));
  }
  return text.empty() ? "no findings" : text;
}

std::shared_ptr<const flowspec::Flow> LoadFlow(const Context& context, const std::string& path,
                                               int* code) {
  const absl::StatusOr<SourceFile> file = ReadSource(path);
  if (!file.ok()) {
    *code = Fail(context, kExitNotFound, std::string(file.status().message()));
    return nullptr;
  }
  return ParseSource(context, *file, code);
}

std::shared_ptr<const flowspec::Flow> ParseSource(const Context& context, const SourceFile& file,
                                                  int* code, const flowspec::ChildFlows& children) {
  flowspec::ParseResult result = flowspec::ParseFlow(file.text, {.children = children});
  if (!result.findings.empty()) {
    context.err.Write(flowspec::FindingsText({file.name, file.text, result.findings},
                                             {context.err.color, context.width}));
  }
  if (result.flow == nullptr) *code = kExitInvalid;
  return result.flow;
}

}  // namespace beamline::cli
