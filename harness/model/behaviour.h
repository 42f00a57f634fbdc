// SPDX-License-Identifier: BSD-2-Clause
/// A behaviour for people, and for tools that read ITF.
#pragma once

#include "harness/model/report.h"
#include "spec/model/machine.h"

#include <string>
#include <vector>

namespace ct::model {

/// One step a line, below it the variables that it changed; the first state whole:
///
///     1  at first
///          count = 0
///     2  FindGet(p1, e2)
///        * count = 1
std::string behaviour_text(const behaviour& shown);

/// Informal Trace Format. Source: https://apalache.informal.systems/docs/adr/015adr-trace.html.
std::string behaviour_itf(const behaviour& shown, const std::string& description);

/// "FindGet(p1, e2)".
template <machine M>
std::string step_text(const M& m, const step& taken) {
  const action<M>& which = std::span<const action<M>>(M::actions())[taken.action];
  std::string text(which.name);
  for (std::size_t i = 0; i < which.over.count; ++i) {
    text += (i == 0 ? "(" : ", ") + m.element(which.over.set[i], taken.arguments[i]).text();
  }
  return which.over.count == 0 ? text : text + ")";
}

template <machine M>
void append_state(const M& m, behaviour& to, const typename M::state& s) {
  to.states.push_back({"", m.show(s)});
}

template <machine M>
void append_step(const M& m, behaviour& to, const step& taken, const typename M::state& after) {
  to.states.push_back({step_text(m, taken), m.show(after)});
}

}  // namespace ct::model
