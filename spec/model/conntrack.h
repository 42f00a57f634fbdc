// SPDX-License-Identifier: BSD-2-Clause
/// The contract as a machine: what a connection-tracking system may do, as far as its callers can
/// see it. The twin of spec/tla/Conntrack/Conntrack.tla, action by action; the prose is there.
///
/// A CPU carries one packet or request at a time, an entry is memory that one connection uses after
/// another. Freedoms that a table may take are allowances, each with a name, each to be switched
/// off; mistakes that the checkers must find are faults.
///
/// `conntrack` is for searching all states: few entries, states of some 60 bytes. `long_conntrack`
/// is the same machine for the recorded runs of real systems: as many entries as these have, and
/// whatever timeouts.
///
/// Source: nf_conntrack_in(), resolve_normal_ct(), __nf_conntrack_alloc(),
/// __nf_conntrack_confirm(), nf_ct_resolve_clash(), nf_ct_delete(), early_drop(), gc_worker(),
/// nf_ct_iterate_cleanup(), ecache_work_evict_list(), Linux 6.18.
#pragma once

#include "spec/model/machine.h"

#include <algorithm>
#include <bitset>
#include <initializer_list>

namespace ct::model {

/// Room of a machine whose states are searched.
struct few {
  static constexpr bool is_search = true;
  static constexpr std::size_t entries = 4;
  static constexpr std::size_t cpus = 3;
  static constexpr std::size_t netns = 2;
  static constexpr std::size_t tuples = 8;
  using number = std::uint8_t;  ///< of an entry, a CPU, a key; of references, of ticks
  /// Which entries, or netns.
  class set {
   public:
    bool has(std::size_t i) const { return (bits_ >> i & 1U) != 0; }
    void add(std::size_t i) { bits_ = static_cast<std::uint8_t>(bits_ | 1U << i); }
    void remove(std::size_t i) { bits_ = static_cast<std::uint8_t>(bits_ & ~(1U << i)); }
    void clear() { bits_ = 0; }
    bool is_empty() const { return bits_ == 0; }

   private:
    std::uint8_t bits_ = 0;
  };
};

/// Room of a machine that follows a recorded run.
struct many {
  static constexpr bool is_search = false;
  static constexpr std::size_t entries = 65536;
  static constexpr std::size_t cpus = 64;
  static constexpr std::size_t netns = 64;
  static constexpr std::size_t tuples = 2 * entries;
  using number = std::uint32_t;
  class set {
   public:
    bool has(std::size_t i) const { return bits_[i]; }
    void add(std::size_t i) { bits_.set(i); }
    void remove(std::size_t i) { bits_.reset(i); }
    void clear() { bits_.reset(); }
    bool is_empty() const { return bits_.none(); }

   private:
    std::bitset<entries> bits_;
  };
};

/// Where a CPU is. The order is that of the names in basic_conntrack::places.
enum class place : std::uint8_t {
  idle,
  lookup,
  reserve,
  alloc,
  full,
  room,
  refuse,
  track,
  confirm,
  insert_original,
  insert_reply,
  publish,
  deliver,
  reap,
  claim,
  tell,
  unlink_original,
  unlink_reply,
  park,
  put_table,
  release,
  walk,
  resize,
  making_room,  ///< of `then` alone: full, and no more if the kill is won
};

namespace detail {
inline constexpr std::array<std::string_view, 24> places = {
    "idle",  "lookup",  "reserve",         "alloc",        "full",    "room",      "refuse",
    "track", "confirm", "insert_original", "insert_reply", "publish", "deliver",   "reap",
    "claim", "tell",    "unlink_original", "unlink_reply", "park",    "put_table", "release",
    "walk",  "resize",  "making_room"};
}  // namespace detail

template <class Room>
class basic_conntrack {
 public:
  static constexpr std::string_view name = "Conntrack";
  using number = typename Room::number;
  using set = typename Room::set;

  enum class domain : std::uint8_t {
    cpu,
    carrier,
    entry,
    netns,
    tuple,
    key,
    boolean,
    timeout,
    tick
  };
  enum class life : std::uint8_t { free, unconfirmed, confirmed };
  enum class message : std::uint8_t { nothing, new_, update, destroy, broken };
  enum class parking : std::uint8_t { no, refused, waiting, told };

  /// Which of the two tuplehashes; bits of entry_state::linked.
  static constexpr std::uint8_t original = 1;
  static constexpr std::uint8_t reply = 2;
  static constexpr std::uint8_t both = original | reply;

  struct entry_state {
    number key_original = 0;  ///< 1 + index of the key; 0: none
    number key_reply = 0;
    number use = 0;
    number ttl = 0;
    life status = life::free;
    std::uint8_t linked = 0;
    bool dying = false;
    bool assured = false;
    bool silent = false;
    message told = message::nothing;
    parking parked = parking::no;
  };
  struct cpu_state {
    number want = 0;  ///< 1 + index of the key; 0: none
    number at = 0;    ///< 1 + index of the entry; 0: none
    place pc = place::idle;
    place then = place::idle;
    bool unseen = false;
    set seen;
    set todo;
    set scope;
  };
  struct netns_state {
    number count = 0;
    number freed = 0;
    bool is_exiting = false;
  };
  struct state {
    std::array<entry_state, Room::entries> entry{};
    std::array<cpu_state, Room::cpus> cpu{};
    std::array<netns_state, Room::netns> net{};
    bool resizing = false;
    bool deaf = false;
  };

  explicit basic_conntrack(const configuration& c);

  // A packet's way: lookup.
  bool packet(state&, index_t p, index_t k) const;
  bool find_get(state&, index_t p, index_t e) const;
  bool glance(state&, index_t p, index_t e) const;
  bool look_away(state&, index_t p) const;
  bool find_miss(state&, index_t p) const;
  bool find_expired(state&, index_t p, index_t e) const;
  bool give_up(state&, index_t p) const;
  // alloc.
  bool reserve(state&, index_t p) const;
  bool early_drop(state&, index_t p, index_t v) const;
  bool refuse(state&, index_t p) const;
  bool alloc(state&, index_t p, index_t e) const;
  // What the tracker and the rules do with the entry at hand.
  bool track(state&, index_t p, index_t timeout, index_t assures) const;
  bool alter_reply(state&, index_t p, index_t k) const;
  bool drop(state&, index_t p) const;
  bool kill(state&, index_t p, index_t again) const;
  bool kill_unconfirmed(state&, index_t p) const;
  // confirm.
  bool confirm(state&, index_t p) const;
  bool insert_original(state&, index_t p) const;
  bool insert_reply(state&, index_t p) const;
  bool publish(state&, index_t p) const;
  bool confirm_dying(state&, index_t p) const;
  bool merge(state&, index_t p, index_t w) const;
  bool link_reply(state&, index_t p, index_t timeout) const;
  bool clash_drop(state&, index_t p) const;
  bool chain_too_long(state&, index_t p) const;
  bool deliver(state&, index_t p) const;
  bool leave_to_killer(state&, index_t p) const;
  // kill.
  bool reap(state&, index_t p) const;
  bool claim(state&, index_t p) const;
  bool claim_lost(state&, index_t p) const;
  bool spare(state&, index_t p) const;
  bool tell(state&, index_t p) const;
  bool tell_refused(state&, index_t p) const;
  bool unlink_original(state&, index_t p) const;
  bool unlink_reply(state&, index_t p) const;
  bool put_table(state&, index_t p) const;
  bool park(state&, index_t p) const;
  // References and memory.
  bool put(state&, index_t p) const;
  bool free(state&, index_t e) const;
  bool uncount(state&, index_t n) const;
  // What else goes on.
  bool tick(state&, index_t ticks) const;
  bool gc_visit(state&, index_t p, index_t e) const;
  bool gc_drop(state&, index_t p, index_t e) const;
  bool redeliver(state&, index_t e) const;
  bool put_parked(state&, index_t e) const;
  bool stall(state&) const;
  bool recover(state&) const;
  bool flush_begin(state&, index_t p) const;
  bool exit_begin(state&, index_t p, index_t n) const;
  bool walk_visit(state&, index_t p, index_t e) const;
  bool walk_end(state&, index_t p) const;
  bool exit_end(state&, index_t p, index_t n) const;
  bool resize_begin(state&, index_t p) const;
  bool resize_end(state&, index_t p) const;

  static std::span<const action<basic_conntrack>> actions();
  static std::span<const invariant<basic_conntrack>> invariants();
  static std::span<const step_property<basic_conntrack>> step_properties();
  static std::span<const leads_to<basic_conntrack>> leads_to_properties();
  static std::span<const fairness<basic_conntrack>> fairness_of();

  std::vector<state> initial() const { return {state{}}; }
  index_t size(domain d) const;
  value element(domain d, index_t i) const;
  std::vector<variable> show(const state&) const;
  static std::span<const domain> symmetric();
  state renamed(const state&, std::span<const std::vector<index_t>> renaming) const;

  // What can be said of a state; keys as 1 + index, as in the state.
  static bool answers_to(const entry_state& e, number key) {
    return e.status == life::confirmed && is_linked_as(e, key);
  }
  static bool finds(const entry_state& e, number key) { return e.ttl != 0 && answers_to(e, key); }
  static bool is_linked_as(const entry_state& e, number key) {
    return ((e.linked & original) != 0 && e.key_original == key) ||
           ((e.linked & reply) != 0 && e.key_reply == key);
  }
  static bool has_key(const entry_state& e, number key) {
    return e.key_original == key || e.key_reply == key;
  }
  static bool shares_a_key(const entry_state& a, const entry_state& b) {
    return has_key(a, b.key_original) || has_key(a, b.key_reply);
  }
  /// What is told of an entry after `last`; `broken` where that may not follow.
  static message after(message last, message next);
  static number inverse(number key) { return static_cast<number>(((key - 1U) ^ 1U) + 1U); }
  index_t net_of_key(number key) const { return (key - 1U) / (2 * tuples()); }
  index_t net_of(const entry_state& e) const { return net_of_key(e.key_original); }
  static bool is_critical(place pc) {
    return pc == place::insert_original || pc == place::insert_reply || pc == place::publish ||
           pc == place::unlink_reply;
  }
  bool is_locked(const state& s, index_t p, const entry_state& e) const;
  bool table_holds(const state& s, index_t e) const;

  // The invariants.
  bool found_is_asked_for(const state&) const;
  bool held_is_alive(const state&) const;
  bool references_add_up(const state&) const;
  bool both_or_neither(const state&) const;
  bool unconfirmed_is_outside(const state&) const;
  bool no_duplicate(const state&) const;
  bool dying_is_unlinked(const state&) const;
  bool count_is_live(const state&) const;
  bool event_order(const state&) const;

  index_t tuples() const { return static_cast<index_t>(tuple_names_.size()); }
  index_t entries() const { return static_cast<index_t>(entry_names_.size()); }
  index_t cpus() const { return static_cast<index_t>(cpu_names_.size()); }
  index_t nets() const { return static_cast<index_t>(net_names_.size()); }
  bool is_fault(std::string_view name_of_fault) const { return fault_ == name_of_fault; }

  /// What lookups under way could have seen is brought up to date; every step ends with it.
  void watch(state&) const;
  /// Is p idle, and may it collect?
  bool is_idle_for_gc(const state& s, index_t p) const { return is_idle_for(s, p, may_.gc); }

 private:
  static entry_state& at_hand(state& s, index_t p) { return s.entry[s.cpu[p].at - 1U]; }
  static const entry_state& at_hand(const state& s, index_t p) { return s.entry[s.cpu[p].at - 1U]; }
  static void go(state& s, index_t p, place to) { s.cpu[p].pc = to; }
  static void take(state& s, index_t p, index_t e, place to) {
    ++s.entry[e].use;
    s.cpu[p].at = static_cast<number>(e + 1);
    go(s, p, to);
  }
  /// Ends an action.
  bool done(state& s) const {
    watch(s);
    return true;
  }
  bool obtain(state& s, index_t p, index_t e, place to) const;
  bool is_idle_for(const state& s, index_t p, bool may) const {
    return s.cpu[p].pc == place::idle && may && (workers_ == 0 || is_worker(p));
  }
  bool is_worker(index_t p) const { return p >= cpus() - workers_; }
  bool refuses(const state& s, const entry_state& e) const {
    return s.deaf && !s.net[net_of(e)].is_exiting;
  }
  bool is_inserting(const state& s, index_t p) const;
  bool clashes(const state& s, index_t e, number key) const;
  static bool is_same_flow(const entry_state& a, const entry_state& b);
  bool is_walked(const state& s) const;
  void walk(state& s, index_t p, set scope) const;
  place unlinked(const entry_state& e) const {
    return e.parked == parking::refused ? place::park : place::put_table;
  }
  bool is_nearly_full(const netns_state& n) const {
    return max_ >= 100 ? n.count >= max_ / 100 * 95 : 20 * n.count >= 19 * max_;
  }
  bool is_reserved(const cpu_state&, index_t n) const;
  template <class Holds>
  bool for_entries(const state&, Holds&& holds) const;
  bool is_worked_on(const state&, index_t e, std::initializer_list<place> places) const;
  template <class Of>
  value by(domain, Of&& of) const;
  template <class Has>
  value set_of(domain, Has&& has) const;
  void show_entries(const state&, std::vector<variable>& out) const;
  void show_cpus(const state&, std::vector<variable>& out) const;
  value key_value(number key) const;
  value entry_value(number at) const;

  // Constants. Workers are the last of the CPUs.
  std::vector<std::string> entry_names_, cpu_names_, net_names_, tuple_names_;
  index_t workers_ = 0;
  index_t timeout_ = 1;
  index_t max_ = 1;
  index_t chain_limit_ = 0;
  std::string fault_;
  struct {
    bool lookup, early_drop, nat, kill, update, filter, clock, gc, listener, flush, exit, resize,
        late_packets;
  } may_{};
  struct {
    bool two_phase_delete, loser_returns_early, count_reserves, miss_during_resize, chain_too_long,
        clash_merge, clash_reply_only, weak_dump, passing_reference, late_refresh, killer_tells,
        put_after_telling, stale_visit;
  } allows_{};
};

using conntrack = basic_conntrack<few>;
using long_conntrack = basic_conntrack<many>;

}  // namespace ct::model

#include "spec/model/conntrack_actions.h"
#include "spec/model/conntrack_ends.h"
#include "spec/model/conntrack_rules.h"
#include "spec/model/conntrack_show.h"
