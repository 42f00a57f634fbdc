// SPDX-License-Identifier: BSD-2-Clause
/// Lookups that take no lock, in memory that is reused at once, as a machine. The twin of
/// spec/tla/TypesafeLookup/TypesafeLookup.tla, action by action; the prose is there.
///
/// The contract machine with each load of a reader as a step, and with chains: heads, next
/// pointers, nulls markers. What it adds to the contract's state are these, what memory says (in
/// use or not), and where each CPU stands between two steps of the contract.
///
/// Source: ____nf_conntrack_find(), __nf_conntrack_find_get(), __nf_conntrack_alloc(),
/// __nf_conntrack_confirm(), clean_from_lists(), include/linux/rculist_nulls.h, Linux 6.18;
/// impls/rcu/rcu.h.
#pragma once

#include "spec/model/refinement.h"

namespace ct::model {

class typesafe_lookup {
 public:
  static constexpr std::string_view name = "TypesafeLookup";
  using domain = conntrack::domain;
  using number = conntrack::number;

  /// Where a CPU is between two steps of the contract. The order is that of `stages`.
  enum class stage : std::uint8_t {
    rest,
    head,
    node,
    get,
    again,
    judge,
    let_go,
    next,
    marker,
    fresh,
    pointed,
  };

  /// 0: none; a node of an entry; or the marker of a bucket.
  using link = std::uint8_t;
  static constexpr link node_of(index_t e, index_t d) { return static_cast<link>(1 + 2 * e + d); }
  static constexpr link marker_of(index_t b) { return static_cast<link>(0x80 + b); }
  static constexpr bool is_marker(link l) { return l >= 0x80; }
  static constexpr index_t entry_of(link l) { return (l - 1U) / 2; }
  static constexpr index_t dir_of(link l) { return (l - 1U) % 2; }

  static constexpr index_t buckets = 2;
  struct node_state {
    link next = 0;
    number tuple = 0;  ///< 1 + index of the key; 0: none
  };
  struct memory_state {
    std::array<node_state, 2> node{};
    bool bit = false;
  };
  struct reader_state {
    typesafe_lookup::stage stage = stage::rest;
    link on = 0;
  };
  struct state {
    conntrack::state base;
    std::array<link, buckets> head{};
    std::array<memory_state, few::entries> memory{};
    std::array<reader_state, few::cpus> cpu{};
  };

  explicit typesafe_lookup(const configuration& c);

  // The reader.
  bool set_out(state&, index_t p, index_t k) const;
  bool load_head(state&, index_t p) const;
  bool load_next(state&, index_t p) const;
  bool look(state&, index_t p) const;
  bool get_unless_zero(state&, index_t p) const;
  bool get_fails(state&, index_t p) const;
  bool get_blindly(state&, index_t p) const;
  bool look_again(state&, index_t p) const;
  bool let_go(state&, index_t p) const;
  bool return_(state&, index_t p) const;
  bool bury(state&, index_t p) const;
  bool miss(state&, index_t p) const;
  bool turn_back(state&, index_t p) const;
  // The writer.
  bool write_tuples(state&, index_t p, index_t e) const;
  bool first_use(state&, index_t p, index_t e) const;
  bool rewrite_reply(state&, index_t p, index_t k) const;
  bool point_original(state&, index_t p) const;
  bool push_original(state&, index_t p) const;
  bool point_reply(state&, index_t p) const;
  bool push_reply(state&, index_t p) const;
  bool set_confirmed(state&, index_t p) const;
  bool bypass_original(state&, index_t p) const;
  bool bypass_reply(state&, index_t p) const;
  bool put_entry(state&, index_t p) const;
  // The contract's, where more than their name is needed.
  bool as_track(state&, index_t p) const;
  bool as_link_reply(state&, index_t p) const;
  bool as_tick(state&) const;

  static std::span<const action<typesafe_lookup>> actions();
  static std::span<const invariant<typesafe_lookup>> invariants();
  static std::span<const step_property<typesafe_lookup>> step_properties();
  static std::span<const leads_to<typesafe_lookup>> leads_to_properties() { return {}; }
  static std::span<const fairness<typesafe_lookup>> fairness_of() { return {}; }

  std::vector<state> initial() const;
  index_t size(domain d) const { return base_.size(d); }
  value element(domain d, index_t i) const { return base_.element(d, i); }
  std::vector<variable> show(const state&) const;
  static std::span<const domain> symmetric();
  state renamed(const state&, std::span<const std::vector<index_t>> renaming) const;

  const conntrack& contract() const { return base_; }

  bool chain_is_what_is_linked(const state&) const;
  bool every_way_ends(const state&) const;
  bool memory_says_what_is(const state&) const;

 private:
  struct flow {
    std::array<bool, 2> is_far{};  ///< [direction]: falls into bucket 1
    bool is_asked = false;         ///< by readers
    bool is_one_way = false;
  };

  /// A step of the contract's while p is at rest here; likewise if p does more than ask; likewise,
  /// of confirm, if the bucket locks are free; and a step that is no CPU's.
  template <auto Step>
  static bool at_rest(const typesafe_lookup& m, state& s, const arguments& a) {
    return s.cpu[a[0]].stage == stage::rest && calls<Step>::apply(m.base_, s.base, a);
  }
  template <auto Step>
  static bool writing(const typesafe_lookup& m, state& s, const arguments& a) {
    return !m.is_reader_[a[0]] && at_rest<Step>(m, s, a);
  }
  template <auto Step>
  static bool locked(const typesafe_lookup& m, state& s, const arguments& a) {
    return m.can_lock(s, a[0]) && calls<Step>::apply(m.base_, s.base, a);
  }
  template <auto Step>
  static bool alone(const typesafe_lookup& m, state& s, const arguments& a) {
    return calls<Step>::apply(m.base_, s.base, a);
  }

  static bool is_at(const state& s, index_t p, stage at) { return s.cpu[p].stage == at; }
  static bool move(state& s, index_t p, stage to, link on) {
    s.cpu[p] = {to, on};
    return true;
  }
  static bool arrive(state& s, index_t p, link at) {
    return move(s, p, is_marker(at) ? stage::marker : stage::node, at);
  }
  static bool settle(state& s, index_t p) { return move(s, p, stage::rest, 0); }
  stage after_get() const { return base_.is_fault("no_recheck") ? stage::judge : stage::again; }
  /// Ends a lookup: the contract's FindGet, FindExpired or FindMiss, without their guards.
  bool answer(state& s, index_t p, place to) const {
    s.base.cpu[p].pc = to;
    base_.watch(s.base);
    return settle(s, p);
  }
  static index_t at_hand(const state& s, index_t p) { return s.base.cpu[p].at - 1U; }
  static number key_of(const conntrack::entry_state& e, index_t d) {
    return d == 0 ? e.key_original : e.key_reply;
  }
  static bool is_linked(const state& s, index_t e, index_t d) {
    return (s.base.entry[e].linked >> d & 1) != 0;
  }
  static link next_of(const state& s, link n) { return s.memory[entry_of(n)].node[dir_of(n)].next; }
  const flow& flow_of(number key) const { return flows_[(key - 1U) / 2 % base_.tuples()]; }
  index_t bucket_of(number key) const { return flow_of(key).is_far[(key - 1U) % 2] ? 1 : 0; }
  bool is_answer(const state& s, index_t p) const;
  bool is_own_marker(const state& s, index_t p) const;
  bool take_memory(state& s, index_t p, index_t e) const;
  static bool has_taken(state& s, index_t p, index_t e);
  bool are_held(const state& s, index_t p) const;
  bool can_lock(const state& s, index_t p) const;
  bool point(state& s, index_t p, index_t d) const;
  bool push(state& s, index_t p, index_t d) const;
  void bypass(state& s, index_t e, index_t d, std::uint8_t linked_before) const;
  /// The marker at the end of the way from here; 0: there is none. Calls visit(node) on the way.
  template <class Visit>
  link end_of_way(const state& s, link from, Visit&& visit) const;

  conntrack base_;
  std::array<bool, few::cpus> is_reader_{};
  std::array<flow, 8> flows_{};
};

}  // namespace ct::model

#include "spec/model/typesafe_lookup_actions.h"
#include "spec/model/typesafe_lookup_rules.h"
