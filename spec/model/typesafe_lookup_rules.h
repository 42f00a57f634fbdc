// SPDX-License-Identifier: BSD-2-Clause
/// The constants of typesafe_lookup, its list of actions, what must hold, and how a state is shown.
#pragma once

#include "spec/model/typesafe_lookup.h"

namespace ct::model {

inline typesafe_lookup::typesafe_lookup(const configuration& c) : base_(c) {
  for (const std::string_view needed : {"two_phase_delete", "passing_reference"}) {
    if (!c.has("Allowances", needed)) {
      throw std::invalid_argument("constant Allowances in " + c.name +
                                  ".cfg must contain two_phase_delete and passing_reference");
    }
  }
  const auto is_in = [](const std::vector<std::string>& names, const value& element) {
    return std::find(names.begin(), names.end(), element.text()) != names.end();
  };
  const std::vector<std::string>& readers = c.set("Readers", few::cpus);
  for (index_t p = 0; p < base_.cpus(); ++p) {
    is_reader_[p] = is_in(readers, base_.element(domain::cpu, p));
  }
  if (!readers.empty() && !c.has("Operations", "lookup")) {
    throw std::invalid_argument("constant Operations in " + c.name +
                                ".cfg must contain lookup where there are Readers");
  }
  for (index_t t = 0; t < base_.tuples(); ++t) {
    const value flow_name = base_.element(domain::tuple, t);
    flows_[t] = {.is_far = {is_in(c.set("FarOriginals", 8), flow_name),
                            is_in(c.set("FarReplies", 8), flow_name)},
                 .is_asked = is_in(c.set("Asked", 8), flow_name),
                 .is_one_way = is_in(c.set("OneWay", 8), flow_name)};
  }
}

inline std::vector<typesafe_lookup::state> typesafe_lookup::initial() const {
  state s;
  for (index_t b = 0; b < buckets; ++b) s.head[b] = marker_of(b);
  for (index_t e = 0; e < base_.entries(); ++e) {
    for (node_state& node : s.memory[e].node) node.next = marker_of(0);
  }
  return {s};
}

inline std::span<const action<typesafe_lookup>> typesafe_lookup::actions() {
  using m = typesafe_lookup;
  using c = conntrack;
  using d = domain;
  constexpr auto seen = visibility::observed;
  constexpr auto tau = visibility::internal;
  static constexpr std::array<action<m>, 47> list = {{
      {"SetOut", {d::cpu, d::key}, seen, calls<&m::set_out>::apply},
      {"LoadHead", {d::cpu}, tau, calls<&m::load_head>::apply},
      {"LoadNext", {d::cpu}, tau, calls<&m::load_next>::apply},
      {"Look", {d::cpu}, tau, calls<&m::look>::apply},
      {"GetUnlessZero", {d::cpu}, tau, calls<&m::get_unless_zero>::apply},
      {"GetFails", {d::cpu}, tau, calls<&m::get_fails>::apply},
      {"GetBlindly", {d::cpu}, tau, calls<&m::get_blindly>::apply},
      {"LookAgain", {d::cpu}, tau, calls<&m::look_again>::apply},
      {"LetGo", {d::cpu}, tau, calls<&m::let_go>::apply},
      {"Return", {d::cpu}, seen, calls<&m::return_>::apply},
      {"Bury", {d::cpu}, tau, calls<&m::bury>::apply},
      {"Miss", {d::cpu}, seen, calls<&m::miss>::apply},
      {"TurnBack", {d::cpu}, tau, calls<&m::turn_back>::apply},
      {"WriteTuples", {d::cpu, d::entry}, tau, calls<&m::write_tuples>::apply},
      {"FirstUse", {d::cpu, d::entry}, seen, calls<&m::first_use>::apply},
      {"RewriteReply", {d::cpu, d::key}, seen, calls<&m::rewrite_reply>::apply},
      {"PointOriginal", {d::cpu}, tau, calls<&m::point_original>::apply},
      {"PushOriginal", {d::cpu}, tau, calls<&m::push_original>::apply},
      {"PointReply", {d::cpu}, tau, calls<&m::point_reply>::apply},
      {"PushReply", {d::cpu}, tau, calls<&m::push_reply>::apply},
      {"SetConfirmed", {d::cpu}, tau, calls<&m::set_confirmed>::apply},
      {"BypassOriginal", {d::cpu}, tau, calls<&m::bypass_original>::apply},
      {"BypassReply", {d::cpu}, tau, calls<&m::bypass_reply>::apply},
      {"PutEntry", {d::cpu}, seen, calls<&m::put_entry>::apply},
      {"AsGiveUp", {d::cpu}, seen, at_rest<&c::give_up>},
      {"AsReserve", {d::cpu}, tau, writing<&c::reserve>},
      {"AsRefuse", {d::cpu}, seen, at_rest<&c::refuse>},
      {"AsTrack", {d::cpu}, seen, calls<&m::as_track>::apply},
      {"AsDrop", {d::cpu}, seen, at_rest<&c::drop>},
      {"AsKill", {d::cpu, d::boolean}, seen, writing<&c::kill>},
      {"AsKillUnconfirmed", {d::cpu}, seen, writing<&c::kill_unconfirmed>},
      {"AsConfirm", {d::cpu}, tau, locked<&c::confirm>},
      {"AsConfirmDying", {d::cpu}, seen, locked<&c::confirm_dying>},
      {"AsMerge", {d::cpu, d::entry}, seen, locked<&c::merge>},
      {"AsLinkReply", {d::cpu}, tau, calls<&m::as_link_reply>::apply},
      {"AsClashDrop", {d::cpu}, seen, locked<&c::clash_drop>},
      {"AsChainTooLong", {d::cpu}, seen, locked<&c::chain_too_long>},
      {"AsDeliver", {d::cpu}, seen, at_rest<&c::deliver>},
      {"AsReap", {d::cpu}, tau, at_rest<&c::reap>},
      {"AsClaim", {d::cpu}, tau, at_rest<&c::claim>},
      {"AsClaimLost", {d::cpu}, seen, at_rest<&c::claim_lost>},
      {"AsTell", {d::cpu}, seen, at_rest<&c::tell>},
      {"AsPutTable", {d::cpu}, tau, at_rest<&c::put_table>},
      {"AsGcVisit", {d::cpu, d::entry}, tau, at_rest<&c::gc_visit>},
      {"AsFree", {d::entry}, tau, alone<&c::free>},
      {"AsUncount", {d::netns}, tau, alone<&c::uncount>},
      {"AsTick", {}, tau, calls<&m::as_tick>::apply},
  }};
  return list;
}

template <class Visit>
typesafe_lookup::link typesafe_lookup::end_of_way(const state& s, link from, Visit&& visit) const {
  for (index_t i = 0; i <= 2 * base_.entries(); ++i) {
    if (is_marker(from)) return from;
    visit(from);
    from = next_of(s, from);
  }
  return 0;
}

inline bool typesafe_lookup::chain_is_what_is_linked(const state& s) const {
  for (index_t b = 0; b < buckets; ++b) {
    std::array<bool, 2 * few::entries + 1> is_met{};
    if (end_of_way(s, s.head[b], [&](link n) { is_met[n] = true; }) != marker_of(b)) return false;
    for (index_t e = 0; e < base_.entries(); ++e) {
      for (index_t d = 0; d < 2; ++d) {
        const bool is_here = is_linked(s, e, d) && bucket_of(key_of(s.base.entry[e], d)) == b;
        if (is_met[node_of(e, d)] != is_here) return false;
      }
    }
  }
  return true;
}

inline bool typesafe_lookup::every_way_ends(const state& s) const {
  for (index_t n = 0; n < 2 * base_.entries(); ++n) {
    if (end_of_way(s, node_of(n / 2, n % 2), [](link) {}) == 0) return false;
  }
  return true;
}

inline bool typesafe_lookup::memory_says_what_is(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    const conntrack::entry_state& is = s.base.entry[e];
    const memory_state& says = s.memory[e];
    if (is.status == conntrack::life::free) continue;
    if (says.node[0].tuple != is.key_original || says.node[1].tuple != is.key_reply ||
        says.bit != (is.status == conntrack::life::confirmed)) {
      return false;
    }
  }
  return true;
}

inline std::span<const invariant<typesafe_lookup>> typesafe_lookup::invariants() {
  using m = typesafe_lookup;
  static constexpr std::array<invariant<m>, 3> own = {{
      {"ChainIsWhatIsLinked",
       "",
       "what is linked is reachable from its head, nothing else is, and the chain ends in its own "
       "marker",
       holds<&m::chain_is_what_is_linked>::in},
      {"EveryWayEnds",
       "G.1",
       "from wherever a reader may stand he comes to a marker",
       holds<&m::every_way_ends>::in},
      {"MemorySaysWhatIs",
       "",
       "what memory says of an entry in use is true",
       holds<&m::memory_says_what_is>::in},
  }};
  static const auto all = with_those_of_contract<m>(std::span<const invariant<m>>(own));
  return all;
}

inline std::span<const step_property<typesafe_lookup>> typesafe_lookup::step_properties() {
  using m = typesafe_lookup;
  static const auto all = with_those_of_contract<m>(std::span<const step_property<m>>{});
  return all;
}

inline std::vector<variable> typesafe_lookup::show(const state& s) const {
  static constexpr std::array<std::string_view, 11> stages = {"rest",
                                                              "head",
                                                              "node",
                                                              "get",
                                                              "again",
                                                              "judge",
                                                              "let_go",
                                                              "next",
                                                              "marker",
                                                              "fresh",
                                                              "pointed"};
  const auto pointer = [&](link l) {
    if (l == 0) return value::model("None");
    if (is_marker(l)) {
      return value::sequence({value::integer(l - marker_of(0)), value::string("nulls")});
    }
    return value::sequence({base_.element(domain::entry, entry_of(l)),
                            value::string(dir_of(l) == 0 ? "original" : "reply")});
  };
  const auto by_dir = [](value original, value reply) {
    return value::function({{value::string("original"), std::move(original)},
                            {value::string("reply"), std::move(reply)}});
  };
  const auto key = [&](number k) { return base_.element(domain::key, k - 1U); };
  const auto by_entry = [&](auto of) {
    return function_over(base_, domain::entry, [&](index_t e) { return of(s.memory[e]); });
  };
  const auto by_cpu = [&](auto of) {
    return function_over(base_, domain::cpu, [&](index_t p) { return of(s.cpu[p]); });
  };
  std::vector<variable> all = base_.show(s.base);
  all.push_back({"head",
                 value::function({{value::integer(0), pointer(s.head[0])},
                                  {value::integer(1), pointer(s.head[1])}})});
  all.push_back({"next", by_entry([&](const memory_state& m) {
                   return by_dir(pointer(m.node[0].next), pointer(m.node[1].next));
                 })});
  all.push_back({"tuples", by_entry([&](const memory_state& m) {
                   if (m.node[0].tuple == 0) return value::model("None");
                   return by_dir(key(m.node[0].tuple), key(m.node[1].tuple));
                 })});
  all.push_back({"bit", by_entry([](const memory_state& m) { return value::boolean(m.bit); })});
  all.push_back({"stage", by_cpu([](const reader_state& r) {
                   return value::string(stages[static_cast<std::size_t>(r.stage)]);
                 })});
  all.push_back({"on", by_cpu([&](const reader_state& r) { return pointer(r.on); })});
  return all;
}

/// Flows are not alike, they fall into buckets; nor are CPUs, some only ask.
inline std::span<const typesafe_lookup::domain> typesafe_lookup::symmetric() {
  static constexpr std::array<domain, 1> sets = {domain::entry};
  return sets;
}

inline typesafe_lookup::state typesafe_lookup::renamed(
    const state& s,
    std::span<const std::vector<index_t>> renaming) const {
  const std::vector<index_t>& of_entry = renaming[0];
  std::vector<index_t> same(base_.tuples());
  for (index_t t = 0; t < base_.tuples(); ++t) same[t] = t;
  const auto pointer = [&](link l) {
    return l == 0 || is_marker(l) ? l : node_of(of_entry[entry_of(l)], dir_of(l));
  };
  state out = s;
  out.base = base_.renamed(s.base, std::array{std::vector<index_t>{}, of_entry, same});
  for (link& head : out.head) head = pointer(head);
  for (index_t e = 0; e < base_.entries(); ++e) {
    memory_state& to = out.memory[of_entry[e]];
    to = s.memory[e];
    for (node_state& node : to.node) node.next = pointer(node.next);
  }
  for (reader_state& cpu : out.cpu) cpu.on = pointer(cpu.on);
  return out;
}

static_assert(machine<typesafe_lookup>);

}  // namespace ct::model
