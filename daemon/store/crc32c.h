// CRC-32C (Castagnoli), the checksum of stored rows and output records.
#pragma once

#include <cstdint>
#include <string_view>

namespace beamline::store {

// Of `bytes`, going on from the checksum `crc` of what came before them.
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

}  // namespace beamline::store
