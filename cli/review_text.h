// A task as text: what is asked, what has changed since the last round, what comes of a yes.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "beamline/v1/approval.pb.h"
#include "cli/run_json.h"
#include "flowspec/flow.h"

namespace beamline::cli {

struct ReviewOptions {
  bool color = false;
  int width = 80;
  absl::Time now;
  // At most so many lines of what is shown, or of what has changed; 0: all.
  int lines_max = 0;
};

// `flow` may be null: what comes of a yes is then not told.
std::string ReviewText(const v1::Task& task, const flowspec::Flow* flow,
                       const BlobReader& read_blob, const ReviewOptions& options);

// What is shown, as text: text as it is, other JSON on lines of their own with its keys in order.
std::string ShownText(const v1::Value& value, const BlobReader& read_blob);

// {"task": …, "show": …, "decisions": […], …}
std::string TaskJson(const v1::Task& task, const BlobReader& read_blob);

}  // namespace beamline::cli
