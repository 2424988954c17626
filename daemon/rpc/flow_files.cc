// Sizes first, paths after.
#include "daemon/rpc/flow_files.h"

#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "daemon/rpc/refusal.h"
#include "daemon/rpc/start_run.h"
#include "flowspec/bundle.h"

namespace beamline::rpc {

absl::Status CheckFlowFiles(const google::protobuf::RepeatedPtrField<v1::FlowFile>& files) {
  if (files.size() > flowspec::kBundleFilesMax) {
    return Refusal(Reason::kRequestTooLarge,
                   absl::StrCat("files: at most ", flowspec::kBundleFilesMax, " are allowed"))
        .With("field", "files")
        .Quota("files", absl::StrCat(files.size(), " files; at most ", flowspec::kBundleFilesMax));
  }
  size_t bytes = 0;
  absl::flat_hash_set<std::string_view> paths;
  for (const v1::FlowFile& file : files) {
    if (file.source().size() > kFlowBytesMax) {
      return TooLarge("files.source", file.source().size(), kFlowBytesMax);
    }
    bytes += file.source().size();
    if (bytes > flowspec::kBundleBytesMax) {
      return TooLarge("files", bytes, flowspec::kBundleBytesMax);
    }
    if (!flowspec::IsBundlePath(file.path())) {
      return InvalidField("files.path",
                          "must be a normalised relative path without `..`, as in "
                          "lib/test.flow.yaml");
    }
    if (!paths.insert(file.path()).second) {
      return InvalidField("files.path", absl::StrCat("names ", file.path(), " twice"));
    }
  }
  return absl::OkStatus();
}

}  // namespace beamline::rpc
