// A server of a test: it does with each request what the test says, down to single bytes.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "daemon/ports/mutex.h"

namespace beamline::exec {

struct SeenRequest {
  std::string method, target, head, body;  // head: request line and headers as they came

  // The value of a header; "" if it is missing.
  std::string Header(const std::string& name) const;
};

// What is written back, and how the connection goes on.
struct Reply {
  std::string bytes;
  enum class Then { kKeepOpen, kClose, kReset, kHang } then = Then::kKeepOpen;
};

// A whole answer with a length.
Reply Answer(int status, const std::string& body, const std::string& headers = "");

class HttpServer {
 public:
  // Listens on a free port of 127.0.0.1. `handle` is called on the thread of a connection.
  explicit HttpServer(std::function<Reply(const SeenRequest&)> handle);
  ~HttpServer();

  int port() const { return port_; }
  std::string Url(const std::string& target) const;
  std::vector<SeenRequest> seen() const;
  int connections() const;

 private:
  void Accept();
  void Serve(int fd);

  const std::function<Reply(const SeenRequest&)> handle_;
  int listener_ = -1;
  int port_ = 0;
  mutable ports::Mutex mu_;
  std::vector<SeenRequest> seen_ ABSL_GUARDED_BY(mu_);
  std::vector<int> open_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::thread acceptor_;
};

}  // namespace beamline::exec
