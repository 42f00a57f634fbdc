// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: the life of an entry, from alloc to destroy.
#pragma once

#include "impls/core/conntrack.h"

namespace ct::core {

/// The kernel's decisions inside an insertion; the table calls them with both buckets held.
///
/// A clash, where the protocol allows it to be resolved: an entry of the same flow, in either
/// direction, takes the packet over; beside any other (one of the two is translated) the loser is
/// linked by its reply tuple alone, for a second, and nothing prolongs it.
/// Source: __nf_conntrack_confirm(), nf_ct_resolve_clash(), Linux 6.18.
template <ct::table Table>
class conntrack<Table>::confirm_steps {
 public:
  confirm_steps(std::uint64_t jiffies64, std::uint32_t below_30, bool resolves_clash)
      : jiffies64_(jiffies64), chain_limit_(50 + below_30), resolves_clash_(resolves_clash) {}

  bool may_insert(nf_conn& ct) noexcept {
    is_confirmed_already_ = ct.has(status::confirmed);
    if (is_confirmed_already_) return false;
    entry_list::remove(ct);  // no longer unconfirmed, whatever comes of it
    loser_ = &ct;
    return !ct.has(status::dying);
  }
  std::size_t chain_limit() const noexcept { return chain_limit_; }
  clash_answer clash(nf_conn& winner, dir) noexcept {
    if (!resolves_clash_) return clash_answer::refuse;
    if (is_same_flow(winner, *loser_)) {
      winner.get();  // stands on the table's reference, which cannot go before this returns
      winner_ = &winner;
      return clash_answer::refuse;
    }
    is_reply_only_ = true;
    return clash_answer::link_reply;
  }
  void before_link(nf_conn& ct) noexcept {
    // relaxed, all: published by the release in after_link(); until then the entry is found by
    // nobody.
    std::uint32_t timeout = ct.timeout.load(std::memory_order_relaxed);
    if (is_reply_only_) {
      timeout = seconds(1);
      ct.set(status::fixed_timeout | status::nat_clash);
      ct.ecache.init(0);  // nobody is told of it
    }
    ct.timeout.store(timeout + static_cast<std::uint32_t>(jiffies64_),
                     std::memory_order_relaxed);  // relaxed: see above
    stamp_start(ct, jiffies64_);
    ct.get();
  }
  void after_link(nf_conn& ct) noexcept {
    // Ahead of CONFIRMED: whoever tells the first message of this entry finds it among the bits.
    ct.ecache.cache(ct.master != nullptr ? event::related : event::new_);
    if (ct.help != nullptr) ct.ecache.cache(event::helper);
    // (1) release; pairs with (3) and the acquire in nf_conn::is_confirmed(): who sees CONFIRMED
    // sees an absolute timeout and, by either tuple, a linked entry.
    ct.status.fetch_or(status::confirmed, std::memory_order_release);
  }

  // What came of it.
  bool is_confirmed_already() const noexcept { return is_confirmed_already_; }
  bool is_reply_only() const noexcept { return is_reply_only_; }
  /// The entry that takes the packet over, referenced; nullptr: none.
  nf_conn* winner() const noexcept { return winner_; }

 private:
  static bool is_same_flow(const nf_conn& a, const nf_conn& b) noexcept {
    const key original = a.hash_node(dir::original).key();
    const key reply = a.hash_node(dir::reply).key();
    const tuplehash& other_original = b.hash_node(dir::original);
    const tuplehash& other_reply = b.hash_node(dir::reply);
    return (other_original.key() == original && other_reply.key() == reply) ||
           (other_original.key() == reply && other_reply.key() == original);
  }

  const std::uint64_t jiffies64_;
  const std::size_t chain_limit_;
  const bool resolves_clash_;
  nf_conn* loser_ = nullptr;
  nf_conn* winner_ = nullptr;
  bool is_confirmed_already_ = false;
  bool is_reply_only_ = false;
};

template <ct::table Table>
netns& conntrack<Table>::net(netns_id id) {
  std::atomic<netns*>& slot = nets_[id % netns_max];
  // acquire: pairs with the exchange below: the netns is seen whole.
  if (netns* const known = slot.load(std::memory_order_acquire)) return *known;
  // The mix is drawn from the seed and the number, so that a run repeats whatever order netns
  // appear in.
  const auto mix =
      static_cast<std::uint32_t>(random_source(options_.seed ^ ~std::uint64_t{id}).next());
  auto made = std::make_unique<netns>(id, mix, defaults_, listening_);
  // Ahead of the netns: whoever finds it also sees that it is to be visited.
  std::size_t end = nets_end_.load(std::memory_order_relaxed);  // relaxed: only grows
  // relaxed: the exchange below publishes it too.
  while (end <= id % netns_max &&
         !nets_end_.compare_exchange_weak(end, id % netns_max + 1, std::memory_order_relaxed)) {
  }
  netns* other = nullptr;
  // release: publishes the netns; acquire: sees the one that came first.
  if (slot.compare_exchange_strong(other,
                                   made.get(),
                                   std::memory_order_acq_rel,
                                   std::memory_order_acquire)) {
    return *made.release();
  }
  return *other;
}

template <ct::table Table>
key conntrack<Table>::key_of(const tuple& t, std::uint16_t zone_id, netns& in_net) const noexcept {
  ct::key k{.words = words(t),
            .hash = 0,
            .zone = zone_id,
            .net = static_cast<std::uint16_t>(in_net.id)};
  k.words[4] &= ~direction_bits;
  k.hash = hash_(k.words, zone_id, in_net.hash_mix);
  return k;
}

/// Counts an entry that is to be; false: there is no place for it, and none was made.
///
/// Reserves, then tests, as the kernel does: of two that race for the last place both may be
/// refused. Source: __nf_conntrack_alloc(), Linux 6.18.
template <ct::table Table>
bool conntrack<Table>::reserve(cpu_state& cpu, netns& in_net, const ct::key& for_key) noexcept {
  // relaxed: a limit, not an order.
  const std::size_t reserved = in_net.count.fetch_add(1, std::memory_order_relaxed) + 1;
  mark(cpu.local, action::reserve, for_key);
  // relaxed: who sees the flag late makes an entry that the next pass of the exit meets.
  if (in_net.is_exiting.load(std::memory_order_relaxed)) return false;
  const std::size_t max = global_.max_entries;
  if (max == 0 || reserved <= max) return true;
  if (!options_.early_drop) return false;
  if (early_drop(cpu, in_net, for_key.hash)) return true;
  early_drop_wanted_.store(true, std::memory_order_relaxed);  // relaxed: a hint for gc_worker
  return false;
}

/// Makes room near the bucket of a new entry: in the first of eight buckets that holds entries of
/// this netns which are not ASSURED, all of these go. Source: early_drop(), Linux 6.18.
template <ct::table Table>
bool conntrack<Table>::early_drop(cpu_state& cpu,
                                  const netns& in_net,
                                  std::uint32_t hash) noexcept {
  constexpr std::size_t buckets_max = 8;
  std::size_t drops = 0;
  const auto is_victim = [&](const nf_conn& ct, dir d) noexcept {
    return ct.is_confirmed() && !ct.has(status::dying) &&
           (ct.is_expired(now()) ||
            (!ct.has(status::assured) && ct.hash_node(d).key().net == in_net.id));
  };
  const auto want = [&](const nf_conn& ct, dir d) noexcept {
    return is_victim(ct, d) ? scan_verdict::take : scan_verdict::next;
  };
  // Looked at again under the reference: type-safe memory may have changed hands.
  const auto take = [&](nf_conn& ct, dir d) noexcept {
    const bool counts = !ct.is_expired(now());
    const bool is_still_one = is_victim(ct, d);
    if (is_still_one) mark(cpu.local, action::early_drop, ct);
    if (is_still_one && kill(cpu, ct) && counts) ++drops;
    put(cpu, ct);
  };
  std::size_t bucket = table_.bucket_of(hash);
  for (std::size_t i = 0; i < buckets_max && drops == 0; ++i, ++bucket) {
    if (bucket >= table_.bucket_count()) bucket = 0;
    table_.scan(cpu.local, bucket, want, take);
  }
  cpu.stat->early_drop += drops;
  return drops != 0;
}

template <ct::table Table>
nf_conn* conntrack<Table>::alloc(cpu_state& cpu,
                                 netns& in_net,
                                 zone in_zone,
                                 const tuple& reply,
                                 const ct::key& original_key) noexcept {
  nf_conn* const ct = reserve(cpu, in_net, original_key) ? table_.alloc(cpu.local) : nullptr;
  if (ct == nullptr) {
    in_net.count.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as in reserve()
    mark(cpu.local, action::refuse);
    return nullptr;
  }
  ct->hash_node(dir::original).set(original_key, dir::original);
  ct->hash_node(dir::reply).set(key_of(reply, in_zone.id_for(dir::reply), in_net), dir::reply);
  // relaxed, all of these: published by the release of use = 1.
  ct->status.store(0, std::memory_order_relaxed);
  ct->timeout.store(0, std::memory_order_relaxed);  // relaxed: see above
  ct->mark.store(0, std::memory_order_relaxed);     // relaxed: see above
  ct->id = (cpu.index + 1) << 48 | ++cpu.last_id;
  ct->net = &in_net;
  ct->master = nullptr;
  ct->help = nullptr;
  ct->zone = in_zone;
  ct->ecache.init(
      in_net.events.mask_of_new(static_cast<events_mode>(std::uint8_t{in_net.policy.events})));
  ct->proto = {};
  add_extensions(*ct, in_net.policy);
  in_net.lists[cpu.index].unconfirmed.add(*ct);
  // (2) release; pairs with the acquire in nf_conn::get_unless_zero(): a late reader that gets a
  // reference sees this life of the memory, not the last one.
  ct->use.store(1, std::memory_order_release);
  mark(cpu.local, action::alloc, *ct);
  return ct;
}

/// Inserts and counts what went wrong; a clash with a winner is the caller's.
template <ct::table Table>
insert_status conntrack<Table>::insert(cpu_state& cpu, nf_conn& ct, confirm_steps& steps) noexcept {
  const insert_status outcome = table_.insert(cpu.local, ct, steps);
  switch (outcome) {
    case insert_status::inserted:
      return outcome;
    case insert_status::chain_too_long:
      mark(cpu.local, action::chain_too_long, ct);
      ++cpu.stat->chaintoolong;
      break;
    case insert_status::clash:
      if (steps.winner() != nullptr) return outcome;
      mark(cpu.local, action::clash_drop, ct);
      ++cpu.stat->drop;
      break;
    case insert_status::refused:
      if (steps.is_confirmed_already()) return outcome;  // it lives, and is not ours to bury
      mark(cpu.local, action::confirm_dying, ct);
      break;
  }
  ++cpu.stat->insert_failed;
  ct.net->lists[cpu.index].dying.add(ct);
  return outcome;
}

/// Source: ctnetlink_new_conntrack(), ctnetlink_create_conntrack(), Linux 6.18.
template <ct::table Table>
insert_status conntrack<Table>::create(cpu_state& cpu,
                                       const tuple& original,
                                       std::uint32_t timeout_s) noexcept {
  const std::optional<tuple> reply = invert_tuple(original, l4protos_);
  if (!reply) return insert_status::refused;
  netns& in_net = net(0);
  const ct::key key = key_of(original, 0, in_net);
  // Ahead of everything: nobody makes room for what is there already, and what has expired goes.
  if (const found<nf_conn> hit = find_get(cpu, key); hit.entry != nullptr) {
    put(cpu, *hit.entry);
    return insert_status::clash;
  }
  nf_conn* const ct = alloc(cpu, in_net, zone{}, *reply, key);
  if (ct == nullptr) return insert_status::refused;
  ct->timeout.store(seconds(timeout_s), std::memory_order_relaxed);  // relaxed: as in before_link()
  // No packet has begun it, so it has no two seconds to wait: in the kernel its stream_ts is 0,
  // which 64-bit jiffies have long passed.
  if (original.dst.protonum == ipproto::udp) ct->proto.udp.stream_ts = now() - 1;
  mark(cpu.local, action::track, *ct);
  confirm_steps steps(jiffies64(), cpu.random.below(30), false);
  const insert_status outcome = table_.insert(cpu.local, *ct, steps);
  if (outcome == insert_status::inserted) {
    ++cpu.stat->insert;
    mark(cpu.local, action::deliver, *ct);
    deliver(*ct);
  } else {  // no packet is lost: drop and insert_failed are not for requests
    if (outcome == insert_status::chain_too_long) ++cpu.stat->chaintoolong;
    in_net.lists[cpu.index].dying.add(*ct);
  }
  put(cpu, *ct);
  return outcome;
}

template <ct::table Table>
found<nf_conn> conntrack<Table>::find_get(cpu_state& cpu, const ct::key& key) noexcept {
  const auto hit =
      table_.find_get(cpu.local, key, now(), [&](nf_conn& ct) noexcept { reap(cpu, ct); });
  if (hit.restarts != 0) cpu.stat->search_restart += hit.restarts;
  return hit;
}

template <ct::table Table>
void conntrack<Table>::reap(cpu_state& cpu, nf_conn& ct) noexcept {
  mark(cpu.local, action::reap, ct);
  // CONFIRMED first, timeout after it: see nf_conn::is_expired().
  if (ct.is_confirmed() && ct.is_expired(now())) kill(cpu, ct);
  put(cpu, ct);
}

template <ct::table Table>
bool conntrack<Table>::kill(cpu_state& cpu, nf_conn& ct) noexcept {
  // (3) acq_rel: the claim. acquire pairs with (1): what was linked before CONFIRMED is unlinked
  // here; release: who sees DYING sees what the claimant did before.
  if ((ct.status.fetch_or(status::dying, std::memory_order_acq_rel) & status::dying) != 0) {
    mark(cpu.local, action::claim_lost, ct);
    return false;
  }
  if (!ct.is_confirmed()) return true;  // nothing to unlink; confirm will refuse it
  mark(cpu.local, action::claim, ct);
  stamp_stop(ct, jiffies64());
  const bool is_told = announce_destroy(ct);
  mark(cpu.local, is_told ? action::tell : action::tell_refused, ct);
  table_.unlink(cpu.local, ct);
  expects_.remove_all_of(ct, *cpu.stat);
  if (!is_told) {
    await_redelivery(ct);
    mark(cpu.local, action::park, ct);
    return false;
  }
  ct.net->lists[cpu.index].dying.add(ct);
  mark(cpu.local, action::put_table, ct);
  unref(cpu, ct);  // the table's reference
  return true;
}

template <ct::table Table>
void conntrack<Table>::destroy(cpu_state& cpu, nf_conn& ct) noexcept {
  entry_list::remove(ct);
  netns& of_net = *ct.net;
  if (ct.help != nullptr) {
    // A packet on its way may have announced something after the kill.
    expects_.remove_all_of(ct, *cpu.stat);
    ct.help.reset();
  }
  if (nf_conn* const master = std::exchange(ct.master, nullptr)) unref(cpu, *master);
  table_.free(cpu.local, ct);
  // release: who sees the lower count may rely on the memory being free again.
  of_net.count.fetch_sub(1, std::memory_order_release);
  mark(cpu.local, action::uncount, std::uint64_t{of_net.id});
}

}  // namespace ct::core
