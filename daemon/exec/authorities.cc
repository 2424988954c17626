// memfd_create(2), reached by its name below /proc.
#include "daemon/exec/authorities.h"

#include <curl/curl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace beamline::exec {
namespace {

std::string Contents(const char* path) {
  std::ostringstream text;
  if (path != nullptr) text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

Authorities::Authorities(const std::string& extra) {
  if (extra.empty()) return;
  const std::string all = absl::StrCat(Contents(curl_version_info(CURLVERSION_NOW)->cainfo), "\n",
                                       Contents(extra.c_str()));
  memory_ = memfd_create("beamline-authorities", MFD_CLOEXEC);
  size_t written = 0;
  while (memory_ >= 0 && written < all.size()) {
    const ssize_t n = write(memory_, all.data() + written, all.size() - written);
    if (n <= 0) break;
    written += static_cast<size_t>(n);
  }
}

Authorities::~Authorities() {
  if (memory_ >= 0) close(memory_);
}

std::string Authorities::path() const {
  return memory_ < 0 ? "" : absl::StrCat("/proc/self/fd/", memory_);
}

}  // namespace beamline::exec
