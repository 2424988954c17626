// `beamline version`.
#include <google/protobuf/stubs/common.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace beamline::cli {
namespace {

constexpr const char* kVersion = BEAMLINE_VERSION;
constexpr const char* kCommit = BEAMLINE_COMMIT;  // "" if it was not built from a clone
constexpr const char* kProtocol = "v1";

std::string ProtobufVersion() {
  return google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION);
}

std::string VersionJson() {
  std::string commit;
  if (*kCommit != '\0') commit = absl::StrCat("\"commit\":\"", kCommit, "\",");
  return absl::StrCat("{\"version\":\"", kVersion, "\",", commit, "\"protocol\":\"", kProtocol,
                      "\",\"libraries\":{\"grpc\":\"", grpc::Version(), "\",\"protobuf\":\"",
                      ProtobufVersion(), "\"}}");
}

}  // namespace

int Version(const Arguments&, Context& context) {
  if (context.wants_data()) return PrintData(context, VersionJson());
  const std::string commit = *kCommit == '\0' ? "" : absl::StrCat(" (", kCommit, ")");
  context.out.Write(absl::StrCat("beamline ", kVersion, commit, "\n"));
  return kExitOk;
}

}  // namespace beamline::cli
