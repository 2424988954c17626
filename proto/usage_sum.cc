// One sum for the views of runs and of tasks; see usage_sum.h.
#include "proto/usage_sum.h"

namespace beamline::proto {

void AddUsage(const v1::Usage& more, v1::Usage* total) {
  const bool priced = more.has_nano_usd() && (total->requests() == 0 || total->has_nano_usd());
  if (priced) {
    total->set_nano_usd(total->nano_usd() + more.nano_usd());
  } else {
    total->clear_nano_usd();
  }
  total->set_requests(total->requests() + more.requests());
  total->set_input_tokens(total->input_tokens() + more.input_tokens());
  total->set_cache_read_tokens(total->cache_read_tokens() + more.cache_read_tokens());
  total->set_cache_write_tokens(total->cache_write_tokens() + more.cache_write_tokens());
  total->set_output_tokens(total->output_tokens() + more.output_tokens());
  total->set_reasoning_tokens(total->reasoning_tokens() + more.reasoning_tokens());
}

}  // namespace beamline::proto
