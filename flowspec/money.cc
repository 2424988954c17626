// Two to four decimals; see money.h.
#include "flowspec/money.h"

#include "absl/strings/str_format.h"

namespace beamline::flowspec {

std::string Dollars(int64_t nano_usd) {
  const double usd = static_cast<double>(nano_usd) / 1e9;
  if (nano_usd != 0 && usd < 0.0001) return absl::StrFormat("$%.1g", usd);
  std::string text = absl::StrFormat("$%.4f", usd);
  for (int zeros = 0; zeros < 2 && text.back() == '0'; ++zeros) text.pop_back();
  return text;
}

}  // namespace beamline::flowspec
