// The certificate authorities that servers are checked against, in one file.
#pragma once

#include <string>

namespace beamline::exec {

// curl keeps parsed authorities for the next connection only if they come from one file; to read
// the system's hundred and more takes 50 ms, which every connection would pay. So those that are to
// be trusted besides the system's are put behind them, in a file in memory.
class Authorities {
 public:
  // `extra`: PEM file; empty: the system's alone. One that cannot be read adds none.
  explicit Authorities(const std::string& extra);
  ~Authorities();
  Authorities(const Authorities&) = delete;
  Authorities& operator=(const Authorities&) = delete;

  // For CURLOPT_CAINFO, as long as this lives; empty: curl's own default.
  std::string path() const;

 private:
  int memory_ = -1;
};

}  // namespace beamline::exec
