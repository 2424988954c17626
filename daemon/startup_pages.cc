// Found by the program headers, as the dynamic linker found them.
#include "daemon/startup_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace beamline::daemon {
namespace {

int Release(dl_phdr_info* object, size_t, void*) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = object->dlpi_phdr[i];
    if (header.p_type != PT_LOAD || (header.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (object->dlpi_addr + header.p_vaddr) & ~(page - 1);
    const uintptr_t end = object->dlpi_addr + header.p_vaddr + header.p_memsz;
    // Clean pages of a file: nothing is lost, whether the kernel takes the advice or not.
    (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 0;
}

}  // namespace

void ReleaseStartupPages() { dl_iterate_phdr(Release, nullptr); }

}  // namespace beamline::daemon
