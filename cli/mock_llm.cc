// What a model said is what its step printed; where it was asked to mend its answer, the step's
// output stands for what it came to.
#include "cli/mock_llm.h"

#include <sys/stat.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/flow_file.h"
#include "cli/run_json.h"
#include "flowspec/json_text.h"

namespace beamline::cli {
namespace {

constexpr size_t kBlobBytesMax = 8 << 20;

// By path and attempt.
using Printed = std::map<std::pair<std::string, int32_t>, std::string>;

class Recorder {
 public:
  Recorder(Client& client, std::string run_id) : client_(client), run_id_(std::move(run_id)) {}

  absl::StatusOr<std::string> Record() {
    auto response = client_.GetRun(run_id_);
    if (!response.ok()) return response.status();
    if (absl::Status read = ReadPrinted(); !read.ok()) return read;
    for (const v1::Step& step : response->run().steps()) Add(step, step.path(), step.kind());
    if (answers_.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("run ", run_id_, " has no answer of an `llm` step"));
    }
    return absl::StrCat("{\"responses\":{", answers_, "}}");
  }

 private:
  absl::Status ReadPrinted() {
    v1::TailOutputRequest request;
    request.set_run_id(run_id_);
    CallStopper stopper;
    return client_.TailOutput(request, &stopper, [&](const v1::TailOutputResponse& chunk) {
      if (chunk.stream() == v1::OUTPUT_STREAM_STDOUT) {
        printed_[{chunk.path(), chunk.attempt()}] += chunk.data();
      }
      return true;
    });
  }

  template <class Node>
  void Add(const Node& node, const std::string& path, const std::string& kind) {
    if (kind == "llm" && node.attempts_size() > 0) {
      absl::StrAppend(&answers_, answers_.empty() ? "" : ",", QuoteJson(path), ":[");
      for (int i = 0; i < node.attempts_size(); ++i) {
        absl::StrAppend(&answers_, i > 0 ? "," : "", Answer(node, path, node.attempts(i)));
      }
      answers_ += "]";
    }
    for (const v1::Step& step : node.steps()) Add(step, step.path(), step.kind());
    if constexpr (requires { node.items(); }) {
      for (const v1::Item& item : node.items()) {
        Add(item, absl::StrCat(path, "[", item.index(), "]"), kind);
      }
    }
  }

  template <class Node>
  std::string Answer(const Node& node, const std::string& path, const v1::Attempt& attempt) {
    if (attempt.has_failure()) {
      return absl::StrCat("{\"error\":{\"kind\":", QuoteJson(attempt.failure().kind()),
                          ",\"message\":", QuoteJson(attempt.failure().message()), "}}");
    }
    if (attempt.usage().requests() > 1) {
      const BlobReader blobs = [&](const v1::Blob& blob) {
        return client_.ReadBlob(run_id_, blob.blob_uri(), kBlobBytesMax).value_or("null");
      };
      return absl::StrCat("{\"json\":", ValueJson(node.output(), blobs), "}");
    }
    std::string text = printed_[{path, attempt.n()}];
    if (!text.empty() && text.back() == '\n') text.pop_back();
    return QuoteJson(text);
  }

  Client& client_;
  const std::string run_id_;
  Printed printed_;
  std::string answers_;
};

}  // namespace

absl::StatusOr<std::string> RecordedAnswers(Client& client, const std::string& word) {
  struct stat info;
  if (stat(word.c_str(), &info) == 0) {
    absl::StatusOr<SourceFile> file = ReadSource(word);
    if (!file.ok()) return file.status();
    return std::move(file->text);
  }
  absl::StatusOr<std::string> run = client.ResolveRun(word);
  if (!run.ok()) return run.status();
  return Recorder(client, *std::move(run)).Record();
}

}  // namespace beamline::cli
