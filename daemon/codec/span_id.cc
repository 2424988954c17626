// FNV-1a over the place, then a finaliser: FNV alone leaves the high bits of short inputs alike.
#include "daemon/codec/span_id.h"

namespace beamline::codec {
namespace {

constexpr uint64_t kFnvOffset = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;

uint64_t Mix(uint64_t hash, std::string_view bytes) {
  for (unsigned char c : bytes) hash = (hash ^ c) * kFnvPrime;
  return (hash ^ 0xff) * kFnvPrime;  // 0xff is in no UTF-8 text: it ends the field
}

// The finaliser of MurmurHash3.
uint64_t Finish(uint64_t h) {
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccd;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53;
  return h ^ (h >> 33);
}

}  // namespace

std::string SpanId(std::string_view run_id, std::string_view path, int32_t attempt) {
  uint64_t hash = Mix(Mix(kFnvOffset, run_id), path);
  for (int shift = 0; shift < 32; shift += 8) {
    hash = (hash ^ ((static_cast<uint32_t>(attempt) >> shift) & 0xff)) * kFnvPrime;
  }
  hash = Finish(hash);
  if (hash == 0) hash = 1;  // all zero means "no span"
  std::string hex(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4) hex[i] = "0123456789abcdef"[hash & 15];
  return hex;
}

std::string_view StepId(std::string_view path) {
  if (size_t slash = path.rfind('/'); slash != path.npos) path.remove_prefix(slash + 1);
  return path.substr(0, path.find('['));
}

}  // namespace beamline::codec
