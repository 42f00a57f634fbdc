// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of conntrack: the life of an entry, from alloc to destroy.
#pragma once

#include "impls/core/conntrack.h"

namespace ct::core {

/// The kernel's decisions inside an insertion; the table calls them with both buckets held.
/// Source: __nf_conntrack_confirm(), Linux 6.18.
template <ct::table Table>
class conntrack<Table>::confirm_steps {
 public:
  confirm_steps(std::uint64_t jiffies64, std::uint32_t below_30)
      : jiffies64_(jiffies64), chain_limit_(50 + below_30) {}

  bool may_insert(nf_conn& ct) noexcept {
    entry_list::remove(ct);  // no longer unconfirmed, whatever comes of it
    return !ct.has(status::dying) && !ct.has(status::confirmed);
  }
  std::size_t chain_limit() const noexcept { return chain_limit_; }
  void clash(nf_conn&, dir) noexcept {}
  void before_link(nf_conn& ct) noexcept {
    // relaxed, both: published by the release in after_link(); until then the entry is found by
    // nobody.
    ct.timeout.store(
        ct.timeout.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(jiffies64_),
        std::memory_order_relaxed);
    stamp_start(ct, jiffies64_);
    ct.get();
  }
  void after_link(nf_conn& ct) noexcept {
    // (1) release; pairs with (3) and the acquire in nf_conn::is_confirmed(): who sees CONFIRMED
    // sees an absolute timeout and, by either tuple, a linked entry.
    ct.status.fetch_or(status::confirmed, std::memory_order_release);
  }

 private:
  const std::uint64_t jiffies64_;
  const std::size_t chain_limit_;
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
  auto made = std::make_unique<netns>(id, mix, defaults_);
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

template <ct::table Table>
nf_conn* conntrack<Table>::alloc(cpu_state& cpu,
                                 netns& in_net,
                                 zone in_zone,
                                 const tuple& reply,
                                 const ct::key& original_key) noexcept {
  // Reserve, then test, as the kernel does: of two that race for the last place both may be
  // refused. relaxed: a limit, not an order.
  const std::size_t reserved = in_net.count.fetch_add(1, std::memory_order_relaxed) + 1;
  const std::size_t max = global_.max_entries;
  nf_conn* const ct = max != 0 && reserved > max ? nullptr : table_.alloc(cpu.local);
  if (ct == nullptr) {
    in_net.count.fetch_sub(1, std::memory_order_relaxed);  // relaxed: as above
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
  ct->zone = in_zone;
  ct->proto = {};
  add_extensions(*ct, in_net.policy);
  in_net.lists[cpu.index].unconfirmed.add(*ct);
  // (2) release; pairs with the acquire in nf_conn::get_unless_zero(): a late reader that gets a
  // reference sees this life of the memory, not the last one.
  ct->use.store(1, std::memory_order_release);
  return ct;
}

template <ct::table Table>
insert_status conntrack<Table>::insert(cpu_state& cpu, nf_conn& ct) noexcept {
  confirm_steps steps(jiffies64(), cpu.random.below(30));
  const insert_status outcome = table_.insert(cpu.local, ct, steps);
  switch (outcome) {
    case insert_status::inserted:
      return outcome;
    case insert_status::chain_too_long:
      ++cpu.stat->chaintoolong;
      break;
    case insert_status::clash:
      ++cpu.stat->drop;
      break;
    case insert_status::refused:
      break;
  }
  ++cpu.stat->insert_failed;
  ct.net->lists[cpu.index].dying.add(ct);
  return outcome;
}

template <ct::table Table>
insert_status conntrack<Table>::create(cpu_state& cpu,
                                       const tuple& original,
                                       std::uint32_t timeout_s) noexcept {
  const std::optional<tuple> reply = invert_tuple(original);
  if (!reply) return insert_status::refused;
  netns& in_net = net(0);
  nf_conn* const ct = alloc(cpu, in_net, zone{}, *reply, key_of(original, 0, in_net));
  if (ct == nullptr) return insert_status::refused;
  ct->timeout.store(seconds(timeout_s), std::memory_order_relaxed);  // relaxed: as in before_link()
  const insert_status outcome = insert(cpu, *ct);
  if (outcome == insert_status::inserted) ++cpu.stat->insert;
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
  // CONFIRMED first, timeout after it: see nf_conn::is_expired().
  if (ct.is_confirmed() && ct.is_expired(now())) kill(cpu, ct);
  put(cpu, ct);
}

template <ct::table Table>
bool conntrack<Table>::kill(cpu_state& cpu, nf_conn& ct) noexcept {
  // (3) acq_rel: the claim. acquire pairs with (1): what was linked before CONFIRMED is unlinked
  // here; release: who sees DYING sees what the claimant did before.
  if ((ct.status.fetch_or(status::dying, std::memory_order_acq_rel) & status::dying) != 0) {
    return false;
  }
  stamp_stop(ct, jiffies64());
  table_.unlink(cpu.local, ct);
  ct.net->lists[cpu.index].dying.add(ct);
  put(cpu, ct);  // the table's reference
  return true;
}

template <ct::table Table>
void conntrack<Table>::destroy(cpu_state& cpu, nf_conn& ct) noexcept {
  entry_list::remove(ct);
  netns& of_net = *ct.net;
  if (nf_conn* const master = std::exchange(ct.master, nullptr)) put(cpu, *master);
  table_.free(cpu.local, ct);
  // release: who sees the lower count may rely on the memory being free again.
  of_net.count.fetch_sub(1, std::memory_order_release);
}

}  // namespace ct::core
