// An attempt counts against every budget above it: its step's, its containers' and the run's.
#include "daemon/run/budget.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "flowspec/money.h"

namespace beamline::run {
namespace {

constexpr double kNanosPerDollar = 1e9;

// Calls visit(owner, budget) for each budget that `node` counts against.
template <typename Visit>
void ForEachBudget(const RunState& state, NodeIndex node, const Visit& visit) {
  for (NodeIndex at = node; at != kRunNode; at = state.node(at).parent) {
    if (state.node(at).item >= 0) continue;  // its foreach has the budget, for all items
    if (flowspec::IsLimited(state.step_of(at).budget)) visit(at, state.step_of(at).budget);
  }
  if (flowspec::IsLimited(state.plan->flow->budget)) visit(kRunNode, state.plan->flow->budget);
}

void Add(const Cost& more, Cost* to) {
  to->tokens += more.tokens;
  to->nano_usd += more.nano_usd;
}

std::string Tokens(int64_t tokens) { return absl::StrCat(tokens, " tokens"); }

// Nobody knows what an attempt consumed that was broken off: all that was held for it is spent.
Cost CostOf(const AttemptFinished& fact, const Cost& held) {
  const Usage& usage = fact.usage;
  const Cost told{usage.input_tokens + usage.output_tokens, usage.nano_usd.value_or(0)};
  if (fact.outcome != Outcome::kUnknown && fact.outcome != Outcome::kStopped) return told;
  return {std::max(told.tokens, held.tokens), std::max(told.nano_usd, held.nano_usd)};
}

}  // namespace

Error OverBudget(const RunState& state, NodeIndex node, const Cost& most,
                 const std::string& unpriced) {
  Error error;
  ForEachBudget(state, node, [&](NodeIndex owner, const flowspec::Budget& budget) {
    if (!error.ok()) return;
    const std::string whose = owner == kRunNode
                                  ? "the run's budget"
                                  : absl::StrCat("the budget of step `", PathOf(state, owner), "`");
    if (budget.usd >= 0 && !unpriced.empty()) {
      error = {"budget", absl::StrCat(whose, " is in dollars, and the model ", unpriced,
                                      " has no price in the daemon's configuration; give it one, "
                                      "or a budget of tokens")};
      return;
    }
    const auto found = state.accounts.find(owner);
    const Account account = found == state.accounts.end() ? Account() : found->second;
    const auto short_of = [&](int64_t limit, int64_t spent, int64_t held, int64_t more,
                              std::string (*text)(int64_t)) {
      if (spent + held + more <= limit) return;
      error = {"budget", absl::StrCat(whose, " of ", text(limit), " allows no call that may take ",
                                      text(more), ": ", text(spent), " spent, ", text(held),
                                      " held for calls under way")};
    };
    if (budget.tokens >= 0) {
      short_of(budget.tokens, account.spent.tokens, account.held.tokens, most.tokens, Tokens);
    }
    if (budget.usd >= 0 && error.ok()) {
      short_of(std::llround(budget.usd * kNanosPerDollar), account.spent.nano_usd,
               account.held.nano_usd, most.nano_usd, flowspec::Dollars);
    }
  });
  return error;
}

void Hold(RunState& state, NodeIndex node, const Cost& most) {
  if (most == Cost()) return;
  state.holds[node] = most;
  ForEachBudget(state, node, [&](NodeIndex owner, const flowspec::Budget&) {
    Add(most, &state.accounts[owner].held);
  });
}

void Charge(RunState& state, NodeIndex node, const AttemptFinished& fact) {
  const auto found = state.holds.find(node);
  const Cost held = found == state.holds.end() ? Cost() : found->second;
  const Cost cost = CostOf(fact, held);
  if (cost == Cost() && held == Cost()) return;
  Add(cost, &state.spent);
  ForEachBudget(state, node, [&](NodeIndex owner, const flowspec::Budget&) {
    Account& account = state.accounts[owner];
    Add({-held.tokens, -held.nano_usd}, &account.held);
    Add(cost, &account.spent);
  });
}

}  // namespace beamline::run
