// SPDX-License-Identifier: BSD-2-Clause
/// The core: what a connection-tracking system means, written once, over any table.
///
/// A packet's way. `in` decodes it, finds its entry under its tuple (either direction; zone and
/// netns are part of the key) or makes a new one, unconfirmed; lets the protocol's tracker judge;
/// and tells the packet what it is to its connection (ctinfo). The packet holds a reference from
/// then on. `confirm` puts a new entry into the table; `put` gives the packet's reference back; the
/// last put destroys.
///
/// The life of an entry:
///
///     alloc -> unconfirmed list -> confirm -> table -> kill -> dying list -> last put -> memory
///                     |                                                          ^
///                     +---------------- dropped: last put -----------------------+
///
/// use counts: the table 1, each packet 1, each child 1 on its master. DYING is claimed once, by an
/// atomic or; who claims it unlinks and gives the table's reference back.
///
/// Order inside confirm, with both buckets held: off the unconfirmed list, refused if dying, both
/// searches, timeout made absolute, the table's reference, both links, CONFIRMED last. CONFIRMED
/// last is what makes the insertion atomic for lookups (B.2), and keeps a relative timeout from
/// being read as an absolute one.
///
/// Difference to the kernel: a lookup reaps the expired entry that it asked for, not its neighbours
/// in the chain (their expiry is in another cache line; gc_worker gets them). Source:
/// nf_conntrack_in(), resolve_normal_ct(), init_conntrack(), __nf_conntrack_confirm(),
/// nf_ct_delete(), nf_conntrack_free(), gc_worker(), Linux 6.18; unconfirmed and dying lists:
/// Linux 5.10.
#pragma once

#include "impls/core/checksum.h"
#include "impls/core/defrag.h"
#include "impls/core/entry_list.h"
#include "impls/core/expect.h"
#include "impls/core/extensions.h"
#include "impls/core/gc.h"
#include "impls/core/hash.h"
#include "impls/core/helper.h"
#include "impls/core/netns.h"
#include "impls/core/nf_conn.h"
#include "impls/core/observer.h"
#include "impls/core/packet.h"
#include "impls/core/proto/icmp_error.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/statistics.h"
#include "impls/core/sysctl.h"
#include "spec/ct_system.h"
#include "spec/random.h"
#include "spec/table.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::core {

/// A packet, read ahead of its turn: everything that can be known of it without looking at the
/// table.
struct parsed_packet {
  decode_status status = decode_status::not_ip;
  std::optional<verdict> fragment;  ///< it is one, and goes no further: stolen, or dropped
  packet pkt;
  icmp_message icmp;  ///< ICMP and ICMPv6 only
  bool has_tuple = false;
  ct::key key;  ///< of the tuple, in the packet's zone and netns
};

template <ct::table Table>
class conntrack {
 public:
  /// What the core keeps for a CPU, beside what the table does.
  struct cpu_state {
    cpu_state(conntrack& owner, std::size_t number)
        : index(number), random(owner.options_.seed + number + 1), local(owner.table_) {}

    const std::size_t index;
    random_source random;       // of chain limits
    std::uint64_t last_id = 0;  // of the entries allocated here
    cpu_statistics* stat = nullptr;
    typename Table::local local;
  };

  explicit conntrack(const system_options& options)
      : options_(as_at_boot(options)),
        table_(table_options{.buckets = options_.buckets}),
        hash_(options.hash, options.seed),
        helpers_(attachments_of(options)),
        expects_(options_.buckets, global_.expect_max, options.seed) {
    set_defaults();
    net(0);
  }

  conntrack(const conntrack&) = delete;
  conntrack& operator=(const conntrack&) = delete;
  ~conntrack() {
    for (auto& slot : nets_) delete slot.load(std::memory_order_relaxed);  // relaxed: at rest
  }

  // Packets.
  /// Fragments are collected here; the one that completes its packet is read as that packet.
  void parse(skb& s, parsed_packet& out) noexcept;
  void in(cpu_state& cpu, const parsed_packet& parsed, skb& s) noexcept;
  void confirm(cpu_state& cpu, skb& s) noexcept;
  void free_skb(cpu_state& cpu, skb& s) noexcept {
    if (s.nfct != nullptr) put(cpu, *static_cast<nf_conn*>(std::exchange(s.nfct, nullptr)));
    s.whole.reset();
  }

  // Entries.
  found<nf_conn> find_get(cpu_state& cpu, const ct::key& key) noexcept;
  insert_status create(cpu_state& cpu, const tuple& original, std::uint32_t timeout_s) noexcept;
  /// False: somebody else claimed it; or its destroy event was refused, and it waits unlinked.
  bool kill(cpu_state& cpu, nf_conn& ct) noexcept;
  /// A packet, or a request, wants it gone. As kill().
  bool kill_found(cpu_state& cpu, nf_conn& ct) noexcept {
    mark(cpu.local, action::kill, ct);
    return kill(cpu, ct);
  }
  /// Kills every entry in the table of which `chosen(entry)` says so; returns how many. Misses none
  /// that was in the table when it began: no resize runs meanwhile.
  template <class Chosen>
  std::size_t kill_if(cpu_state& cpu,
                      Chosen&& chosen,
                      action begins = action::flush_begin,
                      netns_id in_net = 0) noexcept;
  bool alter_reply(skb& s, const tuple& reply) noexcept;
  std::vector<netns_holder> exit_netns(cpu_state& cpu, netns_id id);
  void put(cpu_state& cpu, nf_conn& ct) noexcept {
    mark(cpu.local, action::put, ct);
    unref(cpu, ct);
  }
  ct::key key_of(const tuple& t, std::uint16_t zone_id, netns& in_net) const noexcept;
  update_status update(cpu_state& cpu, const tuple& t, const conn_update& change) noexcept;

  // Events.
  /// Tells `bits` and what waits in the entry's event cache.
  void deliver(nf_conn& ct, std::uint32_t bits = 0) noexcept {
    if (bits != 0 || ct.ecache.has_pending()) ct.net->events.deliver(ct, bits, now());
  }
  redelivery_report redeliver(cpu_state& cpu, netns& in_net) noexcept {
    const std::lock_guard guard(redelivery_lock_);
    return run_redelivery(cpu, in_net);
  }
  event_stat event_statistics() const noexcept;
  /// Waits for walks that must miss nothing, and they for it.
  resize_status resize(typename Table::local& local, std::size_t buckets) noexcept {
    table_.quiescent(local);  // the lock may be held by one who waits for readers
    const std::lock_guard guard(walk_lock_);
    return table_.resize(local, buckets);
  }

  // Time.
  std::uint64_t jiffies64() const noexcept {
    return clock_.load(std::memory_order_relaxed);  // relaxed: time orders nothing.
  }
  std::uint32_t now() const noexcept { return static_cast<std::uint32_t>(jiffies64()); }
  void advance(cpu_state& cpu, std::uint64_t jiffies64) noexcept;
  gc_report gc_worker(cpu_state& cpu) noexcept {
    const std::lock_guard guard(gc_lock_);
    return run_gc(cpu);
  }

  // Policy.
  sysctl_target sysctls_of(netns& in_net) noexcept;
  const l4proto_list& l4protos() const noexcept { return l4protos_; }
  [[nodiscard]] std::string set_sysctl(netns& in_net,
                                       std::string_view name,
                                       std::string_view value);

  // Looking in from outside.
  netns& net(netns_id id);
  template <class Visit>
  void for_each_netns(Visit&& visit) const {
    // relaxed: it was raised ahead of every netns that this thread knows of.
    const std::size_t end = nets_end_.load(std::memory_order_relaxed);
    for (std::size_t id = 0; id < end; ++id) {
      // acquire: pairs with the exchange in net().
      if (const netns* const n = nets_[id].load(std::memory_order_acquire)) visit(*n);
    }
  }
  /// Calls `visit(entry)` for each confirmed tuplehash of that direction, with a reference held
  /// meanwhile.
  template <class Visit>
  void for_each(cpu_state& cpu, dir wanted, Visit&& visit) noexcept;
  Table& table() noexcept { return table_; }
  const Table& table() const noexcept { return table_; }
  tuple_hash hasher() const noexcept { return hash_; }
  defragmenter& defrag() noexcept { return defrag_; }
  expect_table& expects() noexcept { return expects_; }
  const expect_table& expects() const noexcept { return expects_; }

 private:
  class context;
  class confirm_steps;

  nf_conn* alloc(cpu_state& cpu,
                 netns& in_net,
                 zone in_zone,
                 const tuple& reply,
                 const ct::key& original_key) noexcept;
  nf_conn* init_conntrack(cpu_state& cpu, const parsed_packet& parsed, skb& s) noexcept;
  bool reserve(cpu_state& cpu, netns& in_net, const ct::key& for_key) noexcept;
  bool early_drop(cpu_state& cpu, const netns& in_net, std::uint32_t hash) noexcept;
  insert_status insert(cpu_state& cpu, nf_conn& ct, confirm_steps& steps) noexcept;
  void merge(cpu_state& cpu, skb& s, nf_conn& winner) noexcept;
  nf_conn* resolve(cpu_state& cpu, const parsed_packet& parsed, skb& s) noexcept;
  void in_icmp_error(cpu_state& cpu, const parsed_packet& parsed, skb& s) noexcept;
  /// A reference that the observer knows of, or that is none of a packet's or request's.
  void unref(cpu_state& cpu, nf_conn& ct) noexcept {
    if (ct.put()) destroy(cpu, ct);
  }
  bool defragment(skb& s, parsed_packet& out) noexcept;
  static void invalid(counter& counted_as, skb& s, const char* reason) noexcept;
  void destroy(cpu_state& cpu, nf_conn& ct) noexcept;
  void set_defaults();
  static system_options as_at_boot(system_options options);
  static void apply_rules(const skb& s) noexcept;
  void attach_helper(nf_conn& ct) noexcept;
  bool run_helper(cpu_state& cpu, nf_conn& ct, skb& s) noexcept;
  void fulfil_expectation(cpu_state& cpu, nf_conn& ct) noexcept;
  /// Takes over a reference: kills the entry if it has expired, puts it in any case.
  void reap(cpu_state& cpu, nf_conn& ct) noexcept;
  gc_report run_gc(cpu_state& cpu) noexcept;
  bool may_drop_early(const nf_conn& ct) const noexcept;
  /// Tells that `ct` is destroyed; DYING was claimed, it is linked still. False: refused.
  bool announce_destroy(nf_conn& ct) noexcept;
  /// Keeps an entry whose destroy event was refused, and the table's reference with it.
  void await_redelivery(nf_conn& ct) noexcept;
  redelivery_report run_redelivery(cpu_state& cpu, netns& in_net) noexcept;
  template <class MoveClock>
  void run_due_redelivery(cpu_state& cpu, std::uint64_t jiffies64, MoveClock&& move_clock) noexcept;
  /// The netns exits: nobody listens any more, and what waited is told to nobody.
  void silence(cpu_state& cpu, netns& leaving) noexcept;
  template <class MoveClock>
  void run_due_gc(cpu_state& cpu, std::uint64_t jiffies64, MoveClock&& move_clock) noexcept;

  // Immutable.
  const system_options options_;
  const l4proto_list& l4protos_ = options_.dccp ? dccp_l4protos : default_l4protos;
  // The table and the hash synchronise themselves.
  Table table_;
  const tuple_hash hash_;
  policy defaults_;  // of a netns that is made; written by the constructor alone
  global_policy global_;
  const std::vector<helper_attachment> helpers_;
  expect_table expects_;  // synchronises itself, as the two above
  defragmenter defrag_;   // likewise
  // Atomic.
  std::atomic<std::uint64_t> clock_{initial_jiffies};
  std::array<std::atomic<netns*>, netns_max>
      nets_{};                            // [id], made on first use, kept until the end
  std::atomic<std::size_t> nets_end_{0};  // no netns has a number from here on
  event_channel::listener_count listening_{0};
  std::atomic<std::uint64_t> gc_due_{initial_jiffies + hz};
  std::atomic<bool> early_drop_wanted_{false};  // no room was made near a bucket: gc_worker may
  // Guarded by gc_lock_: one gc_worker at a time, as the kernel's work item.
  std::mutex gc_lock_;
  gc_schedule gc_;
  // One redelivery worker at a time; taken inside gc_lock_.
  std::mutex redelivery_lock_;
  // Held by a resize, and by a walk that must miss nothing; outermost of all locks. Not taken
  // within a callback.
  std::mutex walk_lock_;
  // Atomic: entries whose destroy event waits, in all netns.
  std::atomic<std::size_t> destroy_waiting_{0};
};

}  // namespace ct::core

#include "impls/core/conntrack_events.h"
#include "impls/core/conntrack_expect.h"
#include "impls/core/conntrack_gc.h"
#include "impls/core/conntrack_life.h"
#include "impls/core/conntrack_packet.h"
#include "impls/core/conntrack_policy.h"
