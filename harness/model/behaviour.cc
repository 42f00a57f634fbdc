// SPDX-License-Identifier: BSD-2-Clause
/// Text for people, JSON for tools.
#include "harness/model/behaviour.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ct::model {
namespace {

bool is_changed(const behaviour& shown, std::size_t state, std::size_t variable) {
  return state > 0 && !(shown.states[state].variables[variable].value ==
                        shown.states[state - 1].variables[variable].value);
}

nlohmann::json itf_of(const value& v) {
  using kind = value::kind;
  nlohmann::json parts = nlohmann::json::array();
  switch (v.type()) {
    case kind::boolean:
      return v.number() != 0;
    case kind::integer:
      return {{"#bigint", v.text()}};
    case kind::string:
      return v.text().substr(1, v.text().size() - 2);
    case kind::model:
      return v.text();
    case kind::set:
      for (const value& part : v.parts()) parts.push_back(itf_of(part));
      return {{"#set", parts}};
    case kind::sequence:
      for (const value& part : v.parts()) parts.push_back(itf_of(part));
      return {{"#tup", parts}};
    case kind::function:
      for (std::size_t i = 0; i + 1 < v.parts().size(); i += 2) {
        parts.push_back(nlohmann::json::array({itf_of(v.parts()[i]), itf_of(v.parts()[i + 1])}));
      }
      return {{"#map", parts}};
  }
  return nullptr;
}

}  // namespace

std::string behaviour_text(const behaviour& shown) {
  std::string text;
  for (std::size_t i = 0; i < shown.states.size(); ++i) {
    const behaviour_state& state = shown.states[i];
    text += fmt::format("{:>5}  {}\n", i + 1, i == 0 ? "at first" : state.step);
    for (std::size_t v = 0; v < state.variables.size(); ++v) {
      if (i > 0 && !is_changed(shown, i, v)) continue;
      text += fmt::format("     {}   {} = {}\n",
                          i == 0 ? ' ' : '*',
                          state.variables[v].name,
                          state.variables[v].value.text());
    }
  }
  if (!shown.loop) return text;
  if (*shown.loop + 1 == shown.states.size()) {
    return text + "       and so it stays for ever\n";
  }
  return text + fmt::format("       and so on for ever from {}\n", *shown.loop + 1);
}

std::string behaviour_itf(const behaviour& shown, const std::string& description) {
  nlohmann::json itf = {{"#meta", {{"format", "ITF"}, {"description", description}}},
                        {"vars", nlohmann::json::array()},
                        {"states", nlohmann::json::array()}};
  // There the last state is followed by the one that `loop` names, so that this is not repeated.
  const bool repeats = shown.loop && *shown.loop + 1 < shown.states.size();
  for (std::size_t i = 0; i + (repeats ? 1 : 0) < shown.states.size(); ++i) {
    nlohmann::json state = {{"#meta", {{"index", i}}}};
    if (i > 0) state["#meta"]["step"] = shown.states[i].step;
    for (const variable& v : shown.states[i].variables) {
      state[std::string(v.name)] = itf_of(v.value);
      if (i == 0) itf["vars"].push_back(std::string(v.name));
    }
    itf["states"].push_back(std::move(state));
  }
  if (shown.loop) itf["loop"] = *shown.loop;
  return itf.dump(2) + "\n";
}

}  // namespace ct::model
