// SPDX-License-Identifier: BSD-2-Clause
/// Two bucket locks, and a resize that holds all of them, as a machine. The twin of
/// spec/tla/DoubleLockResize/DoubleLockResize.tla, action by action; the prose is there.
///
/// The contract machine with confirm, unlink, find and resize in the steps of the kernel's table:
/// reads of generation, array and size, each lock, the flag, each node that moves. What it adds to
/// the contract's state are two arrays of chains, who owns which lock, and where each CPU stands
/// between two steps of the contract.
///
/// Limits: three buckets and three locks at most; no walks, no early drop, no expiry.
/// Source: nf_conntrack_double_lock(), nf_conntrack_lock(), nf_conntrack_all_lock(),
/// nf_conntrack_get_ht(), nf_conntrack_hash_resize(), Linux 6.18; impls/rcu.
#pragma once

#include "spec/model/refinement.h"

namespace ct::model {

class double_lock_resize {
 public:
  static constexpr std::string_view name = "DoubleLockResize";
  using number = conntrack::number;

  /// The contract's, in its order (domain_of_contract), and its own.
  enum class domain : std::uint8_t {
    cpu,
    carrier,
    entry,
    netns,
    tuple,
    key,
    boolean,
    timeout,
    tick,
    direction
  };

  /// Where a CPU is between two steps of the contract. The order is that of the names in show().
  enum class stage : std::uint8_t {
    rest,
    array,
    size,
    check,
    walk,
    first,
    flag,
    yield,
    global,
    again,
    leave,
    second,
    recheck,
    holding,
    unlock,
    set,
    pass,
    odd,
    move,
    publish_size,
    even,
    clear,
  };

  static constexpr std::size_t buckets_max = 3;  // hashes are 0, 1 and 2
  static constexpr std::size_t locks_max = 3;
  /// Nodes of a chain: bit 2 * entry + direction.
  using nodes = std::uint8_t;
  static_assert(2 * few::entries <= 8, "a chain is one byte");

  struct view_state {
    std::uint8_t generation = 0;
    std::uint8_t array = 0;
    std::uint8_t size = 0;
  };
  struct cpu_state {
    double_lock_resize::stage stage = stage::rest;
    view_state view;
  };
  struct state {
    conntrack::state base;
    std::uint8_t array = 0;
    std::uint8_t size = 0;
    std::uint8_t generation = 0;
    std::array<std::array<nodes, buckets_max>, 2> chain{};
    std::array<number, locks_max> owner{};  ///< 1 + index of the CPU; 0: none
    number global = 0;                      ///< likewise
    bool flag = false;
    std::uint8_t passed = 0;
    std::array<cpu_state, few::cpus> cpu{};
  };

  explicit double_lock_resize(const configuration& c);

  // The shape of the table, read without a lock.
  bool begin_read(state&, index_t p) const;
  bool read_array(state&, index_t p) const;
  bool read_size(state&, index_t p) const;
  bool check_shape(state&, index_t p) const;
  bool find(state&, index_t p, index_t e) const;
  bool miss(state&, index_t p) const;
  // Two bucket locks.
  bool lock_first(state&, index_t p) const;
  bool test_flag(state&, index_t p) const;
  bool yield(state&, index_t p) const;
  bool wait_global(state&, index_t p) const;
  bool lock_again(state&, index_t p) const;
  bool leave_global(state&, index_t p) const;
  bool lock_second(state&, index_t p) const;
  bool recheck(state&, index_t p) const;
  bool unlock(state&, index_t p) const;
  // What both locks are for.
  bool begin_insert(state&, index_t p) const;
  bool refuse_clash(state&, index_t p) const;
  bool refuse_dying(state&, index_t p) const;
  bool chain_original(state&, index_t p) const;
  bool chain_reply(state&, index_t p) const;
  bool publish_entry(state&, index_t p) const;
  bool unchain_original(state&, index_t p) const;
  bool unchain_reply(state&, index_t p) const;
  // Resize.
  bool take_global(state&, index_t p) const;
  bool set_flag(state&, index_t p) const;
  bool pass_lock(state&, index_t p) const;
  bool begin_move(state&, index_t p) const;
  bool move(state&, index_t p, index_t e, index_t d) const;
  bool publish_array(state&, index_t p) const;
  bool publish_size(state&, index_t p) const;
  bool end_move(state&, index_t p) const;
  bool clear_flag(state&, index_t p) const;
  // The contract's, where more than its name is needed.
  bool as_track(state&, index_t p) const;

  static std::span<const action<double_lock_resize>> actions();
  static std::span<const invariant<double_lock_resize>> invariants();
  static std::span<const step_property<double_lock_resize>> step_properties();
  static std::span<const leads_to<double_lock_resize>> leads_to_properties() { return {}; }
  static std::span<const fairness<double_lock_resize>> fairness_of() { return {}; }

  std::vector<state> initial() const;
  index_t size(domain d) const;
  value element(domain d, index_t i) const;
  std::vector<variable> show(const state&) const;
  static std::span<const domain> symmetric();
  state renamed(const state&, std::span<const std::vector<index_t>> renaming) const;

  const conntrack& contract() const { return base_; }

  bool one_at_a_chain(const state&) const;
  bool resize_is_alone(const state&) const;
  bool nothing_lost_or_doubled(const state&) const;
  bool linked_is_in_place(const state&) const;
  bool bucket_in_bounds(const state&) const;
  bool rest_is_unlocked(const state&) const;

 private:
  /// A step of the contract's while p is at rest here; and one that is no CPU's.
  template <auto Step>
  static bool at_rest(const double_lock_resize& m, state& s, const arguments& a) {
    return is_at(s, a[0], stage::rest) && calls<Step>::apply(m.base_, s.base, a);
  }
  template <auto Step>
  static bool alone(const double_lock_resize& m, state& s, const arguments& a) {
    return calls<Step>::apply(m.base_, s.base, a);
  }

  static bool is_at(const state& s, index_t p, stage at) { return s.cpu[p].stage == at; }
  static bool move_on(state& s, index_t p, stage to) {
    s.cpu[p].stage = to;
    return true;
  }
  static bool settle(state& s, index_t p) {
    s.cpu[p] = {};
    return true;
  }
  /// Goes on in the contract, without a guard of its.
  void go(state& s, index_t p, place to) const {
    s.base.cpu[p].pc = to;
    base_.watch(s.base);
  }

  static number one_based(index_t i) { return static_cast<number>(i + 1); }
  static index_t hand(const state& s, index_t p) { return s.base.cpu[p].at - 1U; }
  static const conntrack::entry_state& at_hand(const state& s, index_t p) {
    return s.base.entry[hand(s, p)];
  }
  static number key_of(const conntrack::entry_state& e, index_t d) {
    return d == 0 ? e.key_original : e.key_reply;
  }
  static nodes node(index_t e, index_t d) { return static_cast<nodes>(1U << (2 * e + d)); }
  index_t buckets_of(index_t array) const { return array == 0 ? first_ : second_; }
  index_t bucket(number key, index_t size) const;
  index_t bucket_of(const state& s, index_t p, index_t d) const {
    return bucket(key_of(at_hand(s, p), d), s.cpu[p].view.size);
  }
  /// The lock to be taken first, and the other; one and the same perhaps.
  std::array<index_t, 2> locks_of(const state& s, index_t p) const;
  stage after_first(const state& s, index_t p) const;
  static bool is_writer(const state& s, index_t p);
  /// Is this entry, under this key, in the chain where p looks for it?
  bool is_met(const state& s, index_t p, index_t e, number key) const;
  bool is_clash(const state& s, index_t p) const;
  void chained(state& s, index_t p, index_t d) const;
  static void unchained(state& s, index_t p, index_t d);
  bool is_idle_for_resize(const state& s, index_t p) const;

  conntrack base_;
  index_t first_, second_, locks_, resizes_;
  index_t timeout_;
  index_t workers_;
  bool may_resize_;
  std::array<bool, 8> is_shifted_{};  ///< [tuple]
};

}  // namespace ct::model

#include "spec/model/double_lock_resize_actions.h"
#include "spec/model/double_lock_resize_rules.h"
