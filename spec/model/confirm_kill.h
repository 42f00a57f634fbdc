// SPDX-License-Identifier: BSD-2-Clause
/// Who may bury an entry, and when, as a machine. The twin of spec/tla/ConfirmKill/ConfirmKill.tla,
/// action by action; the prose is there.
///
/// The contract machine with a timeout that is a duration until confirm makes it a moment, a clock,
/// and a reaper who has his pointer from before and reads use, CONFIRMED and timeout one by one.
///
/// Source: __nf_conntrack_confirm(), nf_ct_delete(), nf_ct_gc_expired(), nf_ct_should_gc(),
/// gc_worker(), nf_ct_refresh_acct(), Linux 6.18; impls/core/conntrack_life.h.
#pragma once

#include "spec/model/refinement.h"

namespace ct::model {

class confirm_kill {
 public:
  static constexpr std::string_view name = "ConfirmKill";
  using domain = conntrack::domain;
  using number = conntrack::number;

  /// Where a CPU is between two steps of the contract. The order is that of `stages`.
  enum class stage : std::uint8_t { rest, spotted, first, second, tested, timed };
  static constexpr std::array<std::string_view, 6> stages =
      {"rest", "spotted", "first", "second", "tested", "timed"};

  struct reaper_state {
    confirm_kill::stage stage = stage::rest;
    number prey = 0;  ///< 1 + index of the entry; 0: none
  };
  struct state {
    conntrack::state base;
    number clock = 0;
    std::array<number, few::entries> timeout{};
    std::array<reaper_state, few::cpus> cpu{};
  };

  explicit confirm_kill(const configuration& c);

  // The reaper.
  bool spot(state&, index_t p, index_t e) const;
  bool grab(state&, index_t p) const;
  bool grab_fails(state&, index_t p) const;
  bool meet(state&, index_t p, index_t e) const;
  bool read_confirmed(state&, index_t p) const;
  bool read_timeout(state&, index_t p) const;
  // The claim.
  bool as_claim(state&, index_t p) const;
  bool test_dying(state&, index_t p) const;
  bool set_dying(state&, index_t p) const;
  // Confirm.
  bool as_confirm_dying(state&, index_t p) const;
  bool confirm_anyway(state&, index_t p) const;
  bool set_confirmed_first(state&, index_t p) const;
  bool make_moment(state&, index_t p) const;
  bool as_insert_original(state&, index_t p) const;
  bool as_insert_reply(state&, index_t p) const;
  bool set_confirmed(state&, index_t p) const;
  // The timeout.
  bool prolong(state&, index_t p) const;
  bool release(state&, index_t e) const;
  bool pass_time(state&) const;
  // The rest of the contract.
  bool as_uncount(state&, index_t n) const;

  static std::span<const action<confirm_kill>> actions();
  static std::span<const invariant<confirm_kill>> invariants();
  static std::span<const step_property<confirm_kill>> step_properties();
  static std::span<const leads_to<confirm_kill>> leads_to_properties() { return {}; }
  static std::span<const fairness<confirm_kill>> fairness_of() { return {}; }

  std::vector<state> initial() const { return {state{}}; }
  index_t size(domain d) const { return base_.size(d); }
  value element(domain d, index_t i) const { return base_.element(d, i); }
  std::vector<variable> show(const state&) const;
  static std::span<const domain> symmetric() { return conntrack::symmetric(); }
  state renamed(const state&, std::span<const std::vector<index_t>> renaming) const;

  const conntrack& contract() const { return base_; }

  bool timeout_is_what_is_left(const state&) const;
  static bool reaps_only_expired(const confirm_kill&,
                                 const state& before,
                                 const step&,
                                 const state& after);

 private:
  /// A step of the contract's while p is at rest here.
  template <auto Step>
  static bool at_rest(const confirm_kill& m, state& s, const arguments& a) {
    return is_at(s, a[0], stage::rest) && calls<Step>::apply(m.base_, s.base, a);
  }
  static bool is_at(const state& s, index_t p, stage at) { return s.cpu[p].stage == at; }
  static bool is_in(const state& s, index_t p, place pc) { return s.base.cpu[p].pc == pc; }
  static bool move(state& s, index_t p, stage to) {
    s.cpu[p].stage = to;
    return true;
  }
  /// Ends a step that is not taken from the contract.
  bool go(state& s, index_t p, place to) const {
    s.base.cpu[p].pc = to;
    base_.watch(s.base);
    return true;
  }
  static index_t at_hand(const state& s, index_t p) { return s.base.cpu[p].at - 1U; }
  static conntrack::entry_state& entry_at(state& s, index_t p) {
    return s.base.entry[at_hand(s, p)];
  }
  static bool is_confirmed(const conntrack::entry_state& e) {
    return e.status == conntrack::life::confirmed;
  }
  stage reading(bool of_confirmed) const {
    return of_confirmed != base_.is_fault("timeout_before_confirmed") ? stage::first
                                                                      : stage::second;
  }
  bool judge(state& s, index_t p, bool is_prey) const;

  conntrack base_;
  index_t horizon_;
};

// The reaper.

inline bool confirm_kill::spot(state& s, index_t p, index_t e) const {
  if (!is_at(s, p, stage::rest) || !base_.is_idle_for_gc(s.base, p)) return false;
  if (s.base.entry[e].linked == 0) return false;
  s.cpu[p] = {stage::spotted, static_cast<number>(e + 1)};
  return true;
}

inline bool confirm_kill::grab(state& s, index_t p) const {
  if (!is_at(s, p, stage::spotted) || !base_.gc_visit(s.base, p, s.cpu[p].prey - 1U)) return false;
  s.cpu[p] = {stage::first, 0};
  return true;
}

inline bool confirm_kill::grab_fails(state& s, index_t p) const {
  if (!is_at(s, p, stage::spotted) || s.base.entry[s.cpu[p].prey - 1U].use != 0) return false;
  s.cpu[p] = {};
  return true;
}

inline bool confirm_kill::meet(state& s, index_t p, index_t e) const {
  return is_at(s, p, stage::rest) && base_.find_expired(s.base, p, e) && move(s, p, stage::first);
}

inline bool confirm_kill::judge(state& s, index_t p, bool is_prey) const {
  if (is_prey && is_at(s, p, stage::first)) return move(s, p, stage::second);
  return move(s, p, stage::rest) && go(s, p, is_prey ? place::claim : place::release);
}

inline bool confirm_kill::read_confirmed(state& s, index_t p) const {
  return is_at(s, p, reading(true)) && judge(s, p, is_confirmed(entry_at(s, p)));
}

inline bool confirm_kill::read_timeout(state& s, index_t p) const {
  return is_at(s, p, reading(false)) && judge(s, p, s.timeout[at_hand(s, p)] <= s.clock);
}

// The claim.

inline bool confirm_kill::as_claim(state& s, index_t p) const {
  return is_at(s, p, stage::rest) && !base_.is_fault("plain_claim") && base_.claim(s.base, p);
}

inline bool confirm_kill::test_dying(state& s, index_t p) const {
  return is_at(s, p, stage::rest) && base_.is_fault("plain_claim") && is_in(s, p, place::claim) &&
         !entry_at(s, p).dying && move(s, p, stage::tested);
}

inline bool confirm_kill::set_dying(state& s, index_t p) const {
  if (!is_at(s, p, stage::tested)) return false;
  entry_at(s, p).dying = true;
  return move(s, p, stage::rest) && go(s, p, place::tell);
}

// Confirm.

inline bool confirm_kill::as_confirm_dying(state& s, index_t p) const {
  return is_at(s, p, stage::rest) && !base_.is_fault("no_dying_test") &&
         base_.confirm_dying(s.base, p);
}

/// As if the DYING bit were not there.
inline bool confirm_kill::confirm_anyway(state& s, index_t p) const {
  if (!is_at(s, p, stage::rest) || !base_.is_fault("no_dying_test")) return false;
  if (!is_in(s, p, place::confirm) || !entry_at(s, p).dying) return false;
  entry_at(s, p).dying = false;
  const bool is_done = base_.confirm(s.base, p);
  entry_at(s, p).dying = true;
  return is_done;
}

inline bool confirm_kill::set_confirmed_first(state& s, index_t p) const {
  if (!is_at(s, p, stage::rest) || !base_.is_fault("confirmed_first")) return false;
  if (!is_in(s, p, place::insert_original) || is_confirmed(entry_at(s, p))) return false;
  entry_at(s, p).status = conntrack::life::confirmed;
  return go(s, p, place::insert_original);
}

inline bool confirm_kill::make_moment(state& s, index_t p) const {
  if (!is_at(s, p, stage::rest) || !is_in(s, p, place::insert_original)) return false;
  if (base_.is_fault("confirmed_first") && !is_confirmed(entry_at(s, p))) return false;
  number& timeout = s.timeout[at_hand(s, p)];
  timeout = static_cast<number>(timeout + s.clock);
  return move(s, p, stage::timed);
}

inline bool confirm_kill::as_insert_original(state& s, index_t p) const {
  return is_at(s, p, stage::timed) && base_.insert_original(s.base, p);
}

inline bool confirm_kill::as_insert_reply(state& s, index_t p) const {
  return is_at(s, p, stage::timed) && base_.insert_reply(s.base, p);
}

inline bool confirm_kill::set_confirmed(state& s, index_t p) const {
  return base_.publish(s.base, p) && move(s, p, stage::rest);
}

// The timeout.

inline bool confirm_kill::prolong(state& s, index_t p) const {
  const index_t ticks = base_.size(domain::timeout) - 1;
  if (!is_at(s, p, stage::rest) || !base_.track(s.base, p, ticks, 0)) return false;
  const bool is_moment = is_confirmed(entry_at(s, p)) || base_.is_fault("always_a_moment");
  s.timeout[at_hand(s, p)] = static_cast<number>(ticks + (is_moment ? s.clock : 0U));
  return true;
}

inline bool confirm_kill::release(state& s, index_t e) const {
  if (!base_.free(s.base, e)) return false;
  s.timeout[e] = 0;
  return true;
}

inline bool confirm_kill::pass_time(state& s) const {
  if (s.clock >= horizon_) return false;
  for (const reaper_state& cpu : s.cpu) {
    if (cpu.stage == stage::timed) return false;
  }
  if (!base_.tick(s.base, 1)) return false;
  ++s.clock;
  return true;
}

inline bool confirm_kill::as_uncount(state& s, index_t n) const { return base_.uncount(s.base, n); }

}  // namespace ct::model

#include "spec/model/confirm_kill_rules.h"
