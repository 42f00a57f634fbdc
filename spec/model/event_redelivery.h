// SPDX-License-Identifier: BSD-2-Clause
/// How a listener is told of an entry, and what becomes of an entry whose end he refuses, as a
/// machine. The twin of spec/tla/EventRedelivery/EventRedelivery.tla, action by action; the prose
/// is there.
///
/// The contract machine with Deliver, Tell, Park and Redeliver in steps, a listener with a bounded
/// buffer, and the worker that tells again. The contract's `deaf` is not used: seen from there, a
/// full buffer is a deaf listener.
///
/// Limits: one worker, and one listener, whatever the number of netns.
/// Source: ecache_work_evict_list(), nf_conntrack_eventmask_report(),
/// nf_ct_deliver_cached_events(), nf_conntrack_ecache_work(), Linux 6.18;
/// impls/core/conntrack_events.h.
#pragma once

#include "spec/model/refinement.h"

namespace ct::model {

class event_redelivery {
 public:
  static constexpr std::string_view name = "EventRedelivery";
  using number = conntrack::number;
  using set = few::set;

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
    entries
  };

  /// Where a CPU is between two steps of the contract. The order is that of the names in show().
  enum class stage : std::uint8_t { rest, look, tell, inside, unlock, kick, due };
  /// Where the worker is; likewise.
  enum class place_of_worker : std::uint8_t {
    asleep,
    pop,
    lock,
    tell,
    inside,
    unlock,
    put_back,
    put
  };
  enum class due_time : std::uint8_t { never, later, now };

  struct state {
    conntrack::state base;
    std::array<bool, few::entries> cached{};
    std::array<number, few::entries> telling{};  ///< 1 + index of the CPU, `worker`, or 0: none
    number inside = 0;                           ///< likewise
    number buffered = 0;
    set list;
    due_time due = due_time::never;
    std::array<event_redelivery::stage, few::cpus> stage{};
    place_of_worker run = place_of_worker::asleep;
    set burst;
    number hand = 0;  ///< 1 + index of the entry; 0: none
    bool congested = false;
  };
  static constexpr number worker = 1 + few::cpus;

  explicit event_redelivery(const configuration& c);

  // A CPU has something to tell.
  bool lock_telling(state&, index_t p) const;
  bool nothing_to_tell(state&, index_t p) const;
  bool take_cached(state&, index_t p) const;
  bool hand_over(state&, index_t p) const;
  bool leave(state&, index_t p) const;
  bool tell_nobody(state&, index_t p) const;
  bool be_refused(state&, index_t p) const;
  bool unlock_telling(state&, index_t p) const;
  bool kick(state&, index_t p) const;
  bool park_entry(state&, index_t p) const;
  bool set_due(state&, index_t p) const;
  // The worker.
  bool time_passes(state&) const;
  bool wake(state&) const;
  bool pop(state&, index_t taken) const;
  bool sleep(state&) const;
  bool lock_parked(state&, index_t e) const;
  bool hand_over_parked(state&, index_t e) const;
  bool leave_parked(state&) const;
  bool tell_nobody_parked(state&, index_t e) const;
  bool be_refused_parked(state&, index_t e) const;
  bool unlock_parked(state&) const;
  bool put_back(state&) const;
  bool put_told(state&, index_t e) const;
  bool end_burst(state&) const;
  bool time_is_up(state&) const;
  // The listener.
  bool drain(state&) const;
  bool drain_in_time(state&, index_t e) const;
  // The contract's, with more than their name.
  bool publish_and_cache(state&, index_t p) const;
  bool free_entry(state&, index_t e) const;
  bool silence_and_exit(state&, index_t p, index_t n) const;
  bool as_track(state&, index_t p) const;

  static std::span<const action<event_redelivery>> actions();
  static std::span<const invariant<event_redelivery>> invariants();
  static std::span<const step_property<event_redelivery>> step_properties();
  static std::span<const leads_to<event_redelivery>> leads_to_properties();
  static std::span<const fairness<event_redelivery>> fairness_of();

  std::vector<state> initial() const { return {state{}}; }
  index_t size(domain d) const;
  value element(domain d, index_t i) const;
  std::vector<variable> show(const state&) const;
  static std::span<const domain> symmetric();
  state renamed(const state&, std::span<const std::vector<index_t>> renaming) const;

  const conntrack& contract() const { return base_; }
  /// The contract's state that this one stands for.
  conntrack::state mapped(const state& s) const {
    conntrack::state seen = s.base;
    seen.deaf = is_full(s);
    return seen;
  }

  bool waiting_is_listed(const state&) const;
  bool told_leaves_the_list(const state&) const;
  bool waiting_is_referenced(const state&) const;
  bool waiting_is_awaited(const state&) const;
  bool new_is_kept(const state&) const;
  bool cached_is_untold(const state&) const;
  bool buffer_is_bounded(const state&) const;

 private:
  using life = conntrack::life;
  using message = conntrack::message;
  using parking = conntrack::parking;

  /// A step of the contract's while p is at rest here; and one that is no CPU's.
  template <auto Step>
  static bool at_rest(const event_redelivery& m, state& s, const arguments& a) {
    return is_at(s, a[0], stage::rest) && calls<Step>::apply(m.base_, s.base, a);
  }
  template <auto Step>
  static bool alone(const event_redelivery& m, state& s, const arguments& a) {
    return calls<Step>::apply(m.base_, s.base, a);
  }

  static bool is_at(const state& s, index_t p, stage at) { return s.stage[p] == at; }
  static bool move(state& s, index_t p, stage to) {
    s.stage[p] = to;
    return true;
  }
  static bool run(state& s, place_of_worker to) {
    s.run = to;
    return true;
  }
  static number one_based(index_t i) { return static_cast<number>(i + 1); }
  static index_t hand(const state& s, index_t p) { return s.base.cpu[p].at - 1U; }
  static conntrack::entry_state& at_hand(state& s, index_t p) { return s.base.entry[hand(s, p)]; }
  static const conntrack::entry_state& at_hand(const state& s, index_t p) {
    return s.base.entry[hand(s, p)];
  }

  bool is_full(const state& s) const { return s.buffered == capacity_; }
  bool is_heard(const state& s, index_t e) const {
    return !s.base.net[base_.net_of(s.base.entry[e])].is_exiting;
  }
  static bool is_killer(const state& s, index_t p) { return s.base.cpu[p].pc == place::tell; }
  static bool is_teller(const state& s, index_t p);
  bool takes_lock(const state& s, index_t p) const {
    return is_killer(s, p) || !base_.is_fault("new_after_destroy");
  }
  /// What became of the message, in the contract's words.
  void is_told(state& s, index_t p) const;
  void go_on(state& s, index_t p) const;
  void is_told_again(state& s, index_t e) const;
  bool is_in_hand(const state& s, index_t e) const {
    return s.run == place_of_worker::tell && s.hand == e + 1;
  }
  bool is_put(const state& s) const;

  conntrack base_;
  index_t capacity_, burst_;
  index_t timeout_;
  index_t workers_;
};

}  // namespace ct::model

#include "spec/model/event_redelivery_actions.h"
#include "spec/model/event_redelivery_rules.h"
