// What a server stream sends, pulled by the transport when there is room for more.
#pragma once

#include <functional>

#include "absl/status/statusor.h"

namespace beamline::rpc {

enum class Pulled {
  kMessage,  // `response` holds the next message
  kLater,    // nothing now; the feed calls its `wake` when it is worth asking again
  kEnd
};

// One call at a time. A slow client costs its feed and one message, never a queue.
template <class Response>
class Feed {
 public:
  virtual ~Feed() = default;
  // May read from disk. `response` is empty before. An error ends the stream.
  virtual absl::StatusOr<Pulled> Pull(Response* response) = 0;
};

// Thread-safe and brief; called under locks of the engine or the output store.
using Wake = std::function<void()>;

}  // namespace beamline::rpc
