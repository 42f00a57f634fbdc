// SPDX-License-Identifier: BSD-2-Clause
/// Operations as the machine's actions; what is compared stands in model_comparison.cc.
#include "harness/property/sequential_model.h"

#include "spec/model/run_limits.h"

#include <algorithm>
#include <fmt/format.h>

namespace ct::property {
namespace {

using model::place;
constexpr std::size_t entries = few_at_once::entries;

constexpr std::uint32_t udp_timeout = seconds(30);
constexpr std::uint32_t udp_timeout_stream = seconds(120);
constexpr std::uint32_t stream_after = seconds(2);
constexpr std::uint32_t reply_only_timeout = seconds(1);

/// A key as the machine's state has it.
std::uint32_t number_of(std::size_t key) { return static_cast<std::uint32_t>(key + 1); }

model::configuration configuration_of(std::uint32_t limit) {
  return model::configuration_of(
      {.entries = entries,
       .cpus = few_at_once::cpus,
       .flows = flows,
       .netns = nets,
       .max = limit == 0 ? 1'000'000 : limit,
       .chain_limit = 1'000'000,
       .allowances = {"count_reserves", "clash_merge", "clash_reply_only", "killer_tells"}});
}

}  // namespace

const sequential_model::machine& sequential_model::machine_of(std::size_t limit_index) {
  static const std::vector<machine> all = [] {
    std::vector<machine> made;
    for (const std::uint32_t limit : limits) made.emplace_back(configuration_of(limit));
    return made;
  }();
  return all[limit_index];
}

sequential_model::sequential_model(std::size_t limit_index, record* into)
    : machine_(machine_of(limit_index)), record_(into) {}

std::size_t sequential_model::count() const {
  std::size_t sum = 0;
  for (const machine::netns_state& net : state_.net) sum += net.count;
  return sum;
}

bool sequential_model::takes(const command& c) const {
  const bool has_memory = std::ranges::any_of(state_.entry, [](const entry_state& e) {
    return e.status == machine::life::free;
  });
  const bool is_held = slots_[c.slot].is_held;
  switch (c.what) {
    case verb::pass:
    case verb::create:
      return has_memory;
    case verb::in:
      return has_memory && !is_held;
    case verb::confirm:
      return is_held && where(c.slot) != place::release;
    case verb::free:
      return is_held;
    case verb::alter_reply: {
      if (!is_held) return false;
      const entry_state& e = state_.entry[at(c.slot)];
      if (e.status == machine::life::confirmed) return true;
      // NAT decides once, within a netns, and not for what there is.
      const std::uint32_t number = number_of(c.key);
      return where(c.slot) == place::track && e.key_reply == machine::inverse(e.key_original) &&
             !machine::has_key(e, number) && machine_.net_of_key(number) == machine_.net_of(e);
    }
    case verb::refuse:
      return !state_.deaf;
    case verb::take:
      return state_.deaf;
    default:
      return true;
  }
}

// The machine.

void sequential_model::must(bool is_done, std::string_view action) {
  if (is_done && record_ != nullptr) ++record_->taken[std::string(action)];
  if (!is_done && difference_.empty()) {
    difference_ = fmt::format("the machine cannot do {} here", action);
  }
}

bool sequential_model::is_linked(std::size_t e) const {
  return state_.entry[e].status == machine::life::confirmed && state_.entry[e].linked != 0;
}

std::size_t sequential_model::answers(std::uint32_t number) const {
  std::size_t e = 0;
  while (e < entries && !(is_linked(e) && machine::is_linked_as(state_.entry[e], number))) ++e;
  return e;
}

/// From idle to `track`, with an entry, or to `reserve`; what has expired is buried on the way.
void sequential_model::look_up(model_index p, std::size_t key) {
  must(machine_.packet(state_, p, static_cast<model_index>(key)), "Packet");
  const std::size_t e = answers(number_of(key));
  if (e == entries) return must(machine_.find_miss(state_, p), "FindMiss");
  const auto found = static_cast<model_index>(e);
  if (entry(e).ttl != 0) return must(machine_.find_get(state_, p, found), "FindGet");
  must(machine_.find_expired(state_, p, found), "FindExpired");
  must(machine_.reap(state_, p), "Reap");
  bury(p);
  leave(p);
}

/// At `full`: who made room is whoever was there and is not any more.
void sequential_model::make_room(model_index p, const observation& seen) {
  for (std::size_t e = 0; e < entries && difference_.empty(); ++e) {
    if (!is_linked(e)) continue;
    const std::uint64_t id = connections_[e].id;
    if (std::ranges::find(seen.linked, id, &conn::id) != seen.linked.end()) continue;
    const bool is_counted = entry(e).ttl != 0;
    const auto victim = static_cast<model_index>(e);
    must(machine_.early_drop(state_, p, victim), "EarlyDrop");
    if (!difference_.empty()) return;
    statistics_.early_drop += bury(p) && is_counted ? 1 : 0;
    leave(p);
  }
}

/// From `reserve` to `track` with a new entry, or to idle without one.
bool sequential_model::make(model_index p, const observation& seen, std::uint64_t id) {
  must(machine_.reserve(state_, p), "Reserve");
  if (where(p) == place::full) make_room(p, seen);
  if (where(p) == place::full || where(p) == place::refuse) {
    must(machine_.refuse(state_, p), "Refuse");
    return false;
  }
  std::size_t e = 0;
  while (e < entries && state_.entry[e].status != machine::life::free) ++e;
  must(e < entries && machine_.alloc(state_, p, static_cast<model_index>(e)), "Alloc");
  if (!difference_.empty()) return false;
  connections_[e] = {.id = id};
  return true;
}

/// nf_conntrack_udp_packet(), Linux 6.18, for a confirmed entry.
void sequential_model::judge(model_index p, bool is_reply) {
  entry_state& e = at_hand(p);
  connection& c = connections_[at(p)];
  std::uint32_t timeout = udp_timeout;
  bool assures = false;
  if (c.seen_reply) {
    const bool is_stream = e.assured || now_ > c.stream_ts;
    if (is_stream) timeout = udp_timeout_stream;
    assures = is_stream && !e.silent;  // the loser of a clash is never ASSURED
  }
  if (assures && !e.assured) c.pending |= bit(event::assured);
  if (is_reply && !c.seen_reply) {
    c.seen_reply = true;
    c.pending |= bit(event::reply);
  }
  if (e.silent) c.pending = 0;
  must(machine_.track(state_, p, timeout, assures ? 1 : 0), "Track");
}

/// At `confirm` with a new entry. False: refused.
bool sequential_model::insert(model_index p, bool resolves_clash) {
  const entry_state e = at_hand(p);
  const std::size_t by_original = answers(e.key_original);
  const std::size_t by_reply = answers(e.key_reply);
  const auto is_same_flow = [&](std::size_t w) {
    const entry_state& other = state_.entry[w];
    return (other.key_original == e.key_original && other.key_reply == e.key_reply) ||
           (other.key_original == e.key_reply && other.key_reply == e.key_original);
  };
  if (by_original == entries && by_reply == entries) {
    must(machine_.confirm(state_, p), "Confirm");
    must(machine_.insert_original(state_, p), "InsertOriginal");
  } else if (!resolves_clash) {
    must(machine_.clash_drop(state_, p), "ClashDrop");
    return false;
  } else if (by_original != entries && is_same_flow(by_original)) {
    return merge(p, by_original);
  } else if (by_reply != entries) {
    if (is_same_flow(by_reply)) return merge(p, by_reply);
    must(machine_.clash_drop(state_, p), "ClashDrop");
    ++statistics_.drop;
    ++statistics_.insert_failed;
    return false;
  } else {
    must(machine_.link_reply(state_, p, reply_only_timeout), "LinkReply");
    connections_[at(p)].pending = 0;
    ++statistics_.clash_resolve;
  }
  must(machine_.insert_reply(state_, p), "InsertReply");
  must(machine_.publish(state_, p), "Publish");
  deliver(p);
  return true;
}

bool sequential_model::merge(model_index p, std::size_t winner) {
  must(machine_.merge(state_, p, static_cast<model_index>(winner)), "Merge");
  ++statistics_.clash_resolve;
  deliver(p);
  return true;
}

void sequential_model::deliver(model_index p) {
  const std::size_t e = at(p);
  const entry_state before = entry(e);
  if (before.dying) return must(machine_.leave_to_killer(state_, p), "LeaveToKiller");
  must(machine_.deliver(state_, p), "Deliver");
  if (before.silent) return;
  const bool is_birth = before.told == machine::message::nothing;
  const std::uint32_t bits = connections_[e].pending | (is_birth ? bit(event::new_) : 0U);
  if (bits != 0) tell(e, bits);
}

/// From `claim` to `release`. False: its DESTROY waits.
bool sequential_model::bury(model_index p) {
  const std::size_t e = at(p);
  must(machine_.claim(state_, p), "Claim");
  if (!difference_.empty()) return false;
  const entry_state before = entry(e);
  const std::uint32_t birth = before.told == machine::message::nothing ? bit(event::new_) : 0U;
  const bool is_told = machine_.tell(state_, p);
  must(is_told || machine_.tell_refused(state_, p), is_told ? "Tell" : "TellRefused");
  if (!before.silent) tell(e, bit(event::destroy) | birth | connections_[e].pending);
  must(machine_.unlink_original(state_, p), "UnlinkOriginal");
  if (is_told) {
    must(machine_.put_table(state_, p), "PutTable");
  } else {
    must(machine_.park(state_, p), "Park");
  }
  return is_told;
}

/// Memory that nobody holds any more is freed at once.
void sequential_model::leave(model_index p) {
  must(machine_.put(state_, p), "Put");
  settle();
}

void sequential_model::settle() {
  for (model_index e = 0; e < entries; ++e) {
    if (state_.entry[e].status == machine::life::free || state_.entry[e].use != 0) continue;
    const model_index net = machine_.net_of(state_.entry[e]);
    must(machine_.free(state_, e), "Free");
    must(machine_.uncount(state_, net), "Uncount");
    connections_[e] = {};
  }
}

// Commands.

void sequential_model::run_in(model_index p, const command& c, const observation& seen) {
  carried& carries = slots_[p];
  look_up(p, c.key);
  if (!difference_.empty()) return;
  if (where(p) == place::track) {
    const connection& found = connections_[at(p)];
    const entry_state& e = at_hand(p);
    const bool is_reply =
        !((e.linked & machine::original) != 0 && e.key_original == number_of(c.key));
    carries = {.is_held = true, .is_judged = true};
    carries.info = is_reply           ? ctinfo::established_reply
                   : found.seen_reply ? ctinfo::established
                                      : ctinfo::new_;
    expected_.conn_id = found.id;
    judge(p, is_reply);
  } else if (make(p, seen, seen.conn_id)) {
    const bool is_fresh = seen.conn_id != 0 && std::ranges::find(ids_, seen.conn_id) == ids_.end();
    if (is_fresh) {
      ids_.push_back(seen.conn_id);
    } else {
      // A packet that passes may have gone over to a clash's winner; its own entry's id is not
      // seen.
      require(p == requests, "a new entry was to be made, and was not");
      connections_[at(p)].id = 0;
    }
    expected_.conn_id = connections_[at(p)].id;
    connections_[at(p)].stream_ts = now_ + stream_after;
    carries = {.is_held = true, .is_judged = false, .info = ctinfo::new_};
  } else {
    ++statistics_.drop;
    expected_.verdict = verdict::drop;
    return;
  }
  expected_.info = carries.info;
}

void sequential_model::run_confirm(model_index p) {
  carried& carries = slots_[p];
  if (!carries.is_judged) must(machine_.track(state_, p, udp_timeout, 0), "Track");
  carries.is_judged = true;
  if (!difference_.empty()) return;
  if (at_hand(p).status == machine::life::confirmed) {
    deliver(p);
  } else if (!insert(p, true)) {
    expected_.verdict = verdict::drop;
  }
  expected_.info = carries.info;
  if (difference_.empty()) expected_.conn_id = connections_[at(p)].id;
}

void sequential_model::run_free(model_index p) {
  if (where(p) != place::release) must(machine_.drop(state_, p), "Drop");
  leave(p);
  slots_[p] = {};
}

void sequential_model::run_pass(const command& c, const observation& seen) {
  slots_[requests] = {};
  run_in(requests, c, seen);
  if (!slots_[requests].is_held || !difference_.empty()) return;
  run_confirm(requests);
  run_free(requests);
}

void sequential_model::run_alter_reply(const command& c) {
  if (at_hand(c.slot).status == machine::life::confirmed) return;  // it is too late
  must(machine_.alter_reply(state_, c.slot, c.key), "AlterReply");
  expected_.number = 1;
}

void sequential_model::run_find(const command& c) {
  const std::uint32_t number = number_of(c.key_in_net0());
  look_up(requests, c.key_in_net0());
  if (where(requests) != place::track) return must(machine_.give_up(state_, requests), "GiveUp");
  const entry_state& e = at_hand(requests);
  const bool is_original = (e.linked & machine::original) != 0 && e.key_original == number;
  expected_.conn_id = connections_[at(requests)].id;
  expected_.dir = is_original ? dir::original : dir::reply;
  must(machine_.drop(state_, requests), "Drop");
  leave(requests);
}

void sequential_model::run_kill(const command& c) {
  look_up(requests, c.key_in_net0());
  if (where(requests) != place::track) return must(machine_.give_up(state_, requests), "GiveUp");
  must(machine_.kill(state_, requests, 0), "Kill");
  expected_.number = bury(requests) ? 1 : 0;
  leave(requests);
}

void sequential_model::run_create(const command& c, const observation& seen) {
  const std::size_t key = c.key_in_net0();
  look_up(requests, key);
  if (!difference_.empty()) return;
  if (where(requests) == place::track) {  // there is one
    must(machine_.drop(state_, requests), "Drop");
    return leave(requests);
  }
  // Its id is seen in the walk alone.
  const auto is_it = [&](const conn& e) {
    return e.net == 0 && same_flow(e.tuples[0], tuple_of(key)) &&
           std::ranges::find(ids_, e.id) == ids_.end();
  };
  const auto made = std::ranges::find_if(seen.linked, is_it);
  const std::uint64_t id = made == seen.linked.end() ? 0 : made->id;
  if (!make(requests, seen, id)) return;
  if (id != 0) ids_.push_back(id);
  must(machine_.track(state_, requests, seconds(chosen(create_timeouts_s, c)), 0), "Track");
  const bool is_inserted = insert(requests, false);
  expected_.number = is_inserted ? 1 : 0;
  statistics_.insert += is_inserted ? 1 : 0;
  leave(requests);
}

void sequential_model::reap(std::size_t e) {
  must(machine_.gc_visit(state_, requests, static_cast<model_index>(e)), "GcVisit");
  must(machine_.reap(state_, requests), "Reap");
  if (bury(requests)) ++expected_.number;
  leave(requests);
}

/// Who was linked and is not any more was taken by gc, which may take what has expired, and in a
/// netns that is nearly full more; a DESTROY that waited may have been told.
void sequential_model::follow_ends(const observation& seen) {
  for (std::size_t e = 0; e < entries && difference_.empty(); ++e) {
    if (!is_linked(e)) continue;
    const std::uint64_t id = connections_[e].id;
    if (std::ranges::find(seen.linked, id, &conn::id) != seen.linked.end()) continue;
    if (entry(e).ttl == 0) {
      reap(e);
      continue;
    }
    must(machine_.gc_drop(state_, requests, static_cast<model_index>(e)), "GcDrop");
    if (!difference_.empty()) return;
    if (bury(requests)) ++expected_.number;
    leave(requests);
  }
}

void sequential_model::run_wait(const command& c, const observation& seen) {
  const std::uint32_t jiffies = chosen(waits, c);
  now_ += jiffies;
  if (machine_.tick(state_, jiffies)) must(true, "Tick");  // not possible where nothing lives
  // Parked before this wait: what is parked by it is refused again.
  for (std::size_t e = 0; e < entries; ++e) {
    if (state_.entry[e].parked == machine::parking::no) continue;
    const std::uint64_t id = connections_[e].id;
    const bool is_told = std::ranges::any_of(seen.told, [id](const told_message& m) {
      return m.id == id && (m.bits & bit(event::destroy)) != 0;
    });
    if (is_told) redeliver(e);
  }
  follow_ends(seen);
  expected_.number = 0;
}

/// A whole pass: everything that has expired goes.
void sequential_model::run_gc(const observation& seen) {
  for (std::size_t e = 0; e < entries && difference_.empty(); ++e) {
    if (is_linked(e) && entry(e).ttl == 0) reap(e);
  }
  follow_ends(seen);
}

/// Kills everything in its scope, a netns or (nets) all of them, by the walk of a flush or, within
/// a netns that exits, of its exit.
std::size_t sequential_model::walk(model_index scope) {
  std::size_t killed = 0;
  for (std::size_t e = 0; e < entries && difference_.empty(); ++e) {
    if (!state_.cpu[requests].todo.has(e)) continue;
    must(machine_.walk_visit(state_, requests, static_cast<model_index>(e)), "WalkVisit");
    if (scope == nets || machine_.net_of(entry(e)) == scope) {
      killed += bury(requests) ? 1 : 0;
    } else {
      must(machine_.spare(state_, requests), "Spare");
    }
    leave(requests);
  }
  must(machine_.walk_end(state_, requests), "WalkEnd");
  return killed;
}

void sequential_model::redeliver(std::size_t e) {
  const std::uint32_t birth = entry(e).told == machine::message::nothing ? bit(event::new_) : 0U;
  must(machine_.redeliver(state_, static_cast<model_index>(e)), "Redeliver");
  if (difference_.empty()) tell(e, bit(event::destroy) | birth | connections_[e].pending);
}

void sequential_model::run_redeliver(const command& c) {
  for (std::size_t e = 0; e < entries; ++e) {
    if (entry(e).parked == machine::parking::no || machine_.net_of(entry(e)) != c.net()) continue;
    if (state_.deaf) {
      ++expected_.waiting;
      expected_.is_congested = true;
    } else {
      redeliver(e);
      ++expected_.number;
    }
  }
}

void sequential_model::run_exit(const command& c) {
  const auto net = static_cast<model_index>(c.net());
  must(machine_.exit_begin(state_, requests, net), "ExitBegin");
  for (std::size_t e = 0; e < entries; ++e) {
    if (entry(e).parked != machine::parking::no && machine_.net_of(entry(e)) == net) redeliver(e);
  }
  walk(nets);
  settle();
  if (state_.net[net].count == 0) {
    return must(machine_.exit_end(state_, requests, net), "ExitEnd");
  }
  for (std::size_t e = 0; e < entries; ++e) {
    if (entry(e).status == machine::life::free || machine_.net_of(entry(e)) != net) continue;
    const bool is_on_its_way = std::ranges::any_of(state_.cpu, [e](const auto& cpu) {
      return cpu.at == e + 1 && cpu.pc == place::track;
    });
    expected_.holders.push_back({.id = connections_[e].id,
                                 .use = entry(e).use,
                                 .where = is_on_its_way ? "unconfirmed" : "dying"});
  }
  std::ranges::sort(expected_.holders);
}

void sequential_model::run(const command& c, const observation& seen) {
  switch (c.what) {
    case verb::pass:
      return run_pass(c, seen);
    case verb::in:
      return run_in(c.slot, c, seen);
    case verb::confirm:
      return run_confirm(c.slot);
    case verb::free:
      return run_free(c.slot);
    case verb::alter_reply:
      return run_alter_reply(c);
    case verb::wait:
      return run_wait(c, seen);
    case verb::find:
      return run_find(c);
    case verb::kill:
      return run_kill(c);
    case verb::create:
      return run_create(c, seen);
    case verb::gc:
      return run_gc(seen);
    case verb::flush:
      must(machine_.flush_begin(state_, requests), "FlushBegin");
      expected_.number = walk(static_cast<model_index>(scope_of(c)));
      return;
    case verb::resize:
      must(machine_.resize_begin(state_, requests), "ResizeBegin");
      return must(machine_.resize_end(state_, requests), "ResizeEnd");
    case verb::refuse:
      return must(machine_.stall(state_), "Stall");
    case verb::take:
      return must(machine_.recover(state_), "Recover");
    case verb::redeliver:
      return run_redeliver(c);
    case verb::exit:
      return run_exit(c);
  }
}

std::string sequential_model::follow(const command& c, const observation& seen) {
  difference_.clear();
  expected_ = {};
  run(c, seen);
  if (difference_.empty()) settle();
  if (difference_.empty()) compare_outcome(seen);
  if (difference_.empty()) compare_told(seen);
  if (difference_.empty()) compare_entries(seen);
  return difference_;
}

}  // namespace ct::property
