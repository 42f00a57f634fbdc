// SPDX-License-Identifier: BSD-2-Clause
/// The constants of double_lock_resize, its list of actions, what must hold, and how a state is
/// shown.
#pragma once

#include "spec/model/double_lock_resize.h"

namespace ct::model {

inline double_lock_resize::double_lock_resize(const configuration& c)
    : base_(c),
      first_(c.number("First", buckets_max)),
      second_(c.number("Second", buckets_max)),
      locks_(c.number("Locks", locks_max)),
      resizes_(c.number("Resizes", 100)),
      timeout_(c.number("Timeout", 100)),
      workers_(static_cast<index_t>(c.set("Workers", few::cpus).size())),
      may_resize_(c.has("Operations", "resize")) {
  if (first_ == 0 || second_ == 0 || locks_ == 0) {
    throw std::invalid_argument("constants First, Second and Locks in " + c.name +
                                ".cfg must be 1 at least");
  }
  const std::vector<std::string>& shifted = c.set("Shifted", is_shifted_.size());
  for (index_t t = 0; t < base_.tuples(); ++t) {
    const std::string tuple_name = base_.element(conntrack::domain::tuple, t).text();
    is_shifted_[t] = std::find(shifted.begin(), shifted.end(), tuple_name) != shifted.end();
  }
}

inline std::vector<double_lock_resize::state> double_lock_resize::initial() const {
  state s;
  s.size = static_cast<std::uint8_t>(first_);
  return {s};
}

inline std::span<const action<double_lock_resize>> double_lock_resize::actions() {
  using m = double_lock_resize;
  using c = conntrack;
  using d = domain;
  constexpr auto seen = visibility::observed;
  constexpr auto tau = visibility::internal;
  static constexpr std::array<action<m>, 49> list = {{
      {"BeginRead", {d::cpu}, tau, calls<&m::begin_read>::apply},
      {"ReadArray", {d::cpu}, tau, calls<&m::read_array>::apply},
      {"ReadSize", {d::cpu}, tau, calls<&m::read_size>::apply},
      {"CheckShape", {d::cpu}, tau, calls<&m::check_shape>::apply},
      {"Find", {d::cpu, d::entry}, seen, calls<&m::find>::apply},
      {"Miss", {d::cpu}, seen, calls<&m::miss>::apply},
      {"LockFirst", {d::cpu}, tau, calls<&m::lock_first>::apply},
      {"TestFlag", {d::cpu}, tau, calls<&m::test_flag>::apply},
      {"Yield", {d::cpu}, tau, calls<&m::yield>::apply},
      {"WaitGlobal", {d::cpu}, tau, calls<&m::wait_global>::apply},
      {"LockAgain", {d::cpu}, tau, calls<&m::lock_again>::apply},
      {"LeaveGlobal", {d::cpu}, tau, calls<&m::leave_global>::apply},
      {"LockSecond", {d::cpu}, tau, calls<&m::lock_second>::apply},
      {"Recheck", {d::cpu}, tau, calls<&m::recheck>::apply},
      {"Unlock", {d::cpu}, tau, calls<&m::unlock>::apply},
      {"BeginInsert", {d::cpu}, tau, calls<&m::begin_insert>::apply},
      {"RefuseClash", {d::cpu}, seen, calls<&m::refuse_clash>::apply},
      {"RefuseDying", {d::cpu}, seen, calls<&m::refuse_dying>::apply},
      {"ChainOriginal", {d::cpu}, tau, calls<&m::chain_original>::apply},
      {"ChainReply", {d::cpu}, tau, calls<&m::chain_reply>::apply},
      {"PublishEntry", {d::cpu}, tau, calls<&m::publish_entry>::apply},
      {"UnchainOriginal", {d::cpu}, tau, calls<&m::unchain_original>::apply},
      {"UnchainReply", {d::cpu}, tau, calls<&m::unchain_reply>::apply},
      {"TakeGlobal", {d::cpu}, tau, calls<&m::take_global>::apply},
      {"SetFlag", {d::cpu}, tau, calls<&m::set_flag>::apply},
      {"PassLock", {d::cpu}, tau, calls<&m::pass_lock>::apply},
      {"BeginMove", {d::cpu}, seen, calls<&m::begin_move>::apply},
      {"Move", {d::cpu, d::entry, d::direction}, tau, calls<&m::move>::apply},
      {"PublishArray", {d::cpu}, tau, calls<&m::publish_array>::apply},
      {"PublishSize", {d::cpu}, tau, calls<&m::publish_size>::apply},
      {"EndMove", {d::cpu}, seen, calls<&m::end_move>::apply},
      {"ClearFlag", {d::cpu}, tau, calls<&m::clear_flag>::apply},
      {"AsPacket", {d::cpu, d::key}, seen, at_rest<&c::packet>},
      {"AsGiveUp", {d::cpu}, seen, at_rest<&c::give_up>},
      {"AsReserve", {d::cpu}, tau, at_rest<&c::reserve>},
      {"AsRefuse", {d::cpu}, seen, at_rest<&c::refuse>},
      {"AsAlloc", {d::cpu, d::entry}, seen, at_rest<&c::alloc>},
      {"AsTrack", {d::cpu}, seen, calls<&m::as_track>::apply},
      {"AsDrop", {d::cpu}, seen, at_rest<&c::drop>},
      {"AsKill", {d::cpu, d::boolean}, seen, at_rest<&c::kill>},
      {"AsKillUnconfirmed", {d::cpu}, seen, at_rest<&c::kill_unconfirmed>},
      {"AsDeliver", {d::cpu}, seen, at_rest<&c::deliver>},
      {"AsClaim", {d::cpu}, tau, at_rest<&c::claim>},
      {"AsClaimLost", {d::cpu}, seen, at_rest<&c::claim_lost>},
      {"AsTell", {d::cpu}, seen, at_rest<&c::tell>},
      {"AsPutTable", {d::cpu}, tau, at_rest<&c::put_table>},
      {"AsPut", {d::cpu}, seen, at_rest<&c::put>},
      {"AsFree", {d::entry}, tau, alone<&c::free>},
      {"AsUncount", {d::netns}, tau, alone<&c::uncount>},
  }};
  return list;
}

inline bool double_lock_resize::one_at_a_chain(const state& s) const {
  for (index_t p = 0; p < base_.cpus(); ++p) {
    for (index_t q = 0; q < p; ++q) {
      if (!is_at(s, p, stage::holding) || !is_at(s, q, stage::holding)) continue;
      if (s.cpu[p].view.array != s.cpu[q].view.array) continue;
      for (index_t i = 0; i < 4; ++i) {
        if (bucket_of(s, p, i / 2) == bucket_of(s, q, i % 2)) return false;
      }
    }
  }
  return true;
}

inline bool double_lock_resize::resize_is_alone(const state& s) const {
  for (index_t p = 0; p < base_.cpus(); ++p) {
    if (s.base.resizing && is_at(s, p, stage::holding)) return false;
  }
  return true;
}

inline bool double_lock_resize::nothing_lost_or_doubled(const state& s) const {
  for (index_t e = 0; e < base_.entries(); ++e) {
    for (index_t d = 0; d < 2; ++d) {
      index_t chains = 0;
      for (const auto& array : s.chain) {
        for (const nodes chain : array) chains += (chain & node(e, d)) != 0 ? 1U : 0U;
      }
      if (chains != (s.base.entry[e].linked >> d & 1U)) return false;
    }
  }
  return true;
}

inline bool double_lock_resize::linked_is_in_place(const state& s) const {
  for (index_t a = 0; a < 2; ++a) {
    for (index_t b = 0; b < buckets_max; ++b) {
      if (s.chain[a][b] != 0 && a != s.array && !s.base.resizing) return false;
      for (index_t i = 0; i < 2 * base_.entries(); ++i) {
        if ((s.chain[a][b] & node(i / 2, i % 2)) == 0) continue;
        if (b != bucket(key_of(s.base.entry[i / 2], i % 2), buckets_of(a))) return false;
      }
    }
  }
  return true;
}

inline bool double_lock_resize::bucket_in_bounds(const state& s) const {
  for (index_t p = 0; p < base_.cpus(); ++p) {
    const view_state& view = s.cpu[p].view;
    if (is_at(s, p, stage::walk) &&
        bucket(s.base.cpu[p].want, view.size) >= buckets_of(view.array)) {
      return false;
    }
  }
  return true;
}

inline bool double_lock_resize::rest_is_unlocked(const state& s) const {
  for (index_t p = 0; p < base_.cpus(); ++p) {
    if (!is_at(s, p, stage::rest)) continue;
    if (s.global == p + 1) return false;
    if (std::find(s.owner.begin(), s.owner.end(), p + 1) != s.owner.end()) return false;
  }
  return !s.flag || s.global != 0;
}

inline std::span<const invariant<double_lock_resize>> double_lock_resize::invariants() {
  using m = double_lock_resize;
  static constexpr std::array<invariant<m>, 6> own = {{
      {"OneAtAChain",
       "C.1",
       "nobody else is at the chains of a writer that holds both locks",
       holds<&m::one_at_a_chain>::in},
      {"ResizeIsAlone",
       "F.1",
       "while chains move, nobody links or unlinks",
       holds<&m::resize_is_alone>::in},
      {"NothingLostOrDoubled",
       "F.1",
       "what is linked lies in one chain, and nothing else does",
       holds<&m::nothing_lost_or_doubled>::in},
      {"LinkedIsInPlace",
       "F.1",
       "the chain is that of its hash, in the array in use",
       holds<&m::linked_is_in_place>::in},
      {"BucketInBounds",
       "F.2",
       "a reader does not leave the array that it reads",
       holds<&m::bucket_in_bounds>::in},
      {"RestIsUnlocked",
       "G.1",
       "at rest one has no lock, and the flag is down when nobody set it",
       holds<&m::rest_is_unlocked>::in},
  }};
  static const auto all = with_those_of_contract(std::span<const invariant<m>>(own));
  return all;
}

inline std::span<const step_property<double_lock_resize>> double_lock_resize::step_properties() {
  static const auto all =
      with_those_of_contract(std::span<const step_property<double_lock_resize>>());
  return all;
}

inline index_t double_lock_resize::size(domain d) const {
  return d == domain::direction ? 2 : base_.size(domain_of_contract(d));
}

inline value double_lock_resize::element(domain d, index_t i) const {
  if (d == domain::direction) return value::string(i == 0 ? "original" : "reply");
  return base_.element(domain_of_contract(d), i);
}

inline std::vector<variable> double_lock_resize::show(const state& s) const {
  static constexpr std::array<std::string_view, 22> stages = {
      "rest",   "array", "size",  "check",        "walk",    "first",   "flag",   "yield",
      "global", "again", "leave", "second",       "recheck", "holding", "unlock", "set",
      "pass",   "odd",   "move",  "publish_size", "even",    "clear"};
  const auto cpu_or_none = [&](number p) {
    return p == 0 ? value::model("None") : element(domain::cpu, p - 1U);
  };
  const auto numbered = [](index_t count, auto of) {
    std::vector<std::pair<value, value>> pairs;
    for (index_t i = 0; i < count; ++i) pairs.emplace_back(value::integer(i), of(i));
    return value::function(std::move(pairs));
  };
  const auto chain = [&](nodes in) {
    std::vector<value> all;
    for (index_t i = 0; i < 2 * base_.entries(); ++i) {
      if ((in & node(i / 2, i % 2)) == 0) continue;
      all.push_back(
          value::sequence({element(domain::entry, i / 2), element(domain::direction, i % 2)}));
    }
    return value::set(std::move(all));
  };
  const auto by_cpu = [&](auto of) {
    return function_over(base_, conntrack::domain::cpu, [&](index_t p) { return of(s.cpu[p]); });
  };
  std::vector<variable> all = base_.show(s.base);
  all.push_back({"array", value::integer(s.array)});
  all.push_back({"size", value::integer(s.size)});
  all.push_back({"generation", value::integer(s.generation)});
  all.push_back({"chain", numbered(2, [&](index_t a) {
                   return numbered(std::max(first_, second_),
                                   [&](index_t b) { return chain(s.chain[a][b]); });
                 })});
  all.push_back({"owner", numbered(locks_, [&](index_t l) { return cpu_or_none(s.owner[l]); })});
  all.push_back({"global", cpu_or_none(s.global)});
  all.push_back({"flag", value::boolean(s.flag)});
  all.push_back({"passed", value::integer(s.passed)});
  all.push_back({"stage", by_cpu([](const cpu_state& c) {
                   return value::string(stages[static_cast<std::size_t>(c.stage)]);
                 })});
  all.push_back({"view", by_cpu([](const cpu_state& c) {
                   return value::function(
                       {{value::string("generation"), value::integer(c.view.generation)},
                        {value::string("array"), value::integer(c.view.array)},
                        {value::string("size"), value::integer(c.view.size)}});
                 })});
  return all;
}

/// Flows are not alike: their hashes differ.
inline std::span<const double_lock_resize::domain> double_lock_resize::symmetric() {
  static constexpr std::array<domain, 2> sets = {domain::carrier, domain::entry};
  return sets;
}

inline double_lock_resize::state double_lock_resize::renamed(
    const state& s,
    std::span<const std::vector<index_t>> renaming) const {
  const std::vector<index_t>& of_cpu = renaming[0];
  const std::vector<index_t>& of_entry = renaming[1];
  std::vector<index_t> same(base_.tuples());
  for (index_t t = 0; t < base_.tuples(); ++t) same[t] = t;
  const auto cpu = [&](index_t p) { return p < of_cpu.size() ? of_cpu[p] : p; };
  const auto owner = [&](number p) { return p == 0 ? p : one_based(cpu(p - 1U)); };
  state out = s;
  out.base = base_.renamed(s.base, std::array{of_cpu, of_entry, same});
  for (index_t a = 0; a < 2; ++a) {
    for (index_t b = 0; b < buckets_max; ++b) {
      out.chain[a][b] = 0;
      for (index_t i = 0; i < 2 * base_.entries(); ++i) {
        if ((s.chain[a][b] & node(i / 2, i % 2)) != 0) {
          out.chain[a][b] |= node(of_entry[i / 2], i % 2);
        }
      }
    }
  }
  for (number& of_lock : out.owner) of_lock = owner(of_lock);
  out.global = owner(s.global);
  for (index_t p = 0; p < base_.cpus(); ++p) out.cpu[cpu(p)] = s.cpu[p];
  return out;
}

}  // namespace ct::model
