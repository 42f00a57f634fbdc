// SPDX-License-Identifier: BSD-2-Clause
/// What is done to check one machine: the search, then what needs the whole graph.
#pragma once

#include "harness/model/graph_digest.h"
#include "harness/model/liveness.h"
#include "harness/model/local_claims.h"
#include "harness/model/machines.h"
#include "harness/model/search.h"

namespace ct::model {

/// Adds to `done` what the whole graph tells.
template <machine M>
void check_graph(const M& m,
                 const configuration& asked,
                 const check_options& options,
                 const check_hooks& hooks,
                 report& done) {
  const promises<M> asked_promises(asked);
  memory_budget budget(options.memory_bytes_max);
  try {
    const state_graph<M> graph(m, budget, options, hooks);
    if (options.counts_edges) done.digest = digest_of(m, graph, budget);
    if (!asked_promises.leads_to_properties.empty()) {
      const liveness<M> behaviours(m, graph, budget, asked.assumes_fair);
      for (const leads_to<M>* property : asked_promises.leads_to_properties) {
        if (!done.broken) done.broken = behaviours.check(*property);
      }
    }
    if (done.broken) done.verdict = verdict::violated;
  } catch (const stopped_by_limit& limit) {
    done.verdict = verdict::unknown;
    done.stopped = fmt::format(
        "no invariant broken, but then stopped with the graph of {} states: "
        "{}",
        done.counts.distinct,
        limit.what());
    done.was_interrupted = hooks.should_stop && hooks.should_stop();
  }
  done.memory_bytes_peak = std::max(done.memory_bytes_peak, budget.peak());
}

template <machine M>
report check_machine(const configuration& asked,
                     const check_options& options,
                     const check_hooks& hooks) {
  const M m(asked);
  report done = search<M>(m, asked, options, hooks).run();
  const bool asks_graph = options.counts_edges || !promises<M>(asked).leads_to_properties.empty();
  if (done.verdict == verdict::holds && asks_graph) check_graph(m, asked, options, hooks, done);
  return done;
}

template <machine M>
checked_machine machine_entry() {
  checked_machine entry{M::name,
                        names_of(std::span<const action<M>>(M::actions())),
                        names_of(std::span<const invariant<M>>(M::invariants())),
                        names_of(std::span<const step_property<M>>(M::step_properties())),
                        check_machine<M>,
                        check_local_claims<M>};
  for (const leads_to<M>& p : std::span<const leads_to<M>>(M::leads_to_properties())) {
    entry.properties.push_back(p.name);
  }
  return entry;
}

}  // namespace ct::model
