// SPDX-License-Identifier: BSD-2-Clause
/// nf_conn: a tracked connection, as it lies in memory.
///
/// Three groups of cache lines. Line 0 and line 1 are its two tuplehashes: chain pointer, hash,
/// zone, netns and tuple, so that a chain walk decides from one line whether an entry is the one it
/// looks for. From line 2 on: references, status, timeout, then what only holders of a reference
/// touch.
///
/// Life (all tables): use is 0 in free memory; `init` writes every field and then publishes use = 1
/// (the packet's reference); confirm adds the table's; the last put hands the memory back. In
/// tables with type-safe memory a late reader may look at an entry while all this happens: what
/// such a reader reads is atomic, it takes its reference only where use is not 0, and then looks
/// again (table essay of impls/rcu).
///
/// Difference to the kernel: the hash of each tuple is kept beside it (4 bytes), where the kernel
/// keeps the original's only until confirm and computes both again at every kill. Source: struct
/// nf_conn, struct nf_conntrack_tuple_hash, nf_conntrack_alloc(), Linux 6.18.
#pragma once

#include "impls/core/ecache.h"
#include "impls/core/proto/dccp_data.h"
#include "impls/core/proto/sctp_data.h"
#include "impls/core/proto/tcp_data.h"
#include "impls/sync/spinlock.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"
#include "spec/table.h"
#include "spec/tuple.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace ct::core {

class entry_list;
struct netns;
struct timeouts;
struct nf_conn;
struct nf_conn_help;
/// Frees what only helper.h knows the whole of.
struct free_help {
  void operator()(nf_conn_help* help) const noexcept;
};

/// One direction of an entry: what a table links.
struct alignas(64) tuplehash {
  /// The table's own: chain pointers, or whatever it needs to find the node again.
  std::atomic<std::uintptr_t> next{0};
  std::atomic<std::uintptr_t> prev{0};
  /// hash | zone << 32 | netns << 48: everything of a key but the tuple.
  std::atomic<std::uint64_t> scope{0};
  std::array<std::atomic<std::uint64_t>, 5> words{};

  // relaxed, all of these: a tuplehash is written while its entry is private, and published by the
  // release that makes it findable (a link, or use = 1). A type-safe reader that is late sees old
  // or new words, and finds out by looking again after it took its reference.
  std::uint32_t hash() const {
    return static_cast<std::uint32_t>(scope.load(std::memory_order_relaxed));  // relaxed: see above
  }
  ct::dir dir() const {
    return static_cast<ct::dir>(words[4].load(std::memory_order_relaxed) >>
                                56);  // relaxed: see above
  }
  bool matches(const key& k) const {
    // relaxed: see above
    if (scope.load(std::memory_order_relaxed) != scope_of(k)) return false;
    std::uint64_t difference =
        (words[4].load(std::memory_order_relaxed) ^ k.words[4]) & ~direction_bits;
    for (std::size_t i = 0; i < 4; ++i) {
      difference |= words[i].load(std::memory_order_relaxed) ^ k.words[i];  // relaxed: see above
    }
    return difference == 0;
  }
  ct::tuple tuple() const {
    tuple_words copy{};
    for (std::size_t i = 0; i < 5; ++i) {
      copy[i] = words[i].load(std::memory_order_relaxed);  // relaxed: see above
    }
    return std::bit_cast<ct::tuple>(copy);
  }
  /// The key that finds this node.
  ct::key key() const {
    ct::key k;
    for (std::size_t i = 0; i < 5; ++i) {
      k.words[i] = words[i].load(std::memory_order_relaxed);  // relaxed: see above
    }
    k.words[4] &= ~direction_bits;
    const std::uint64_t s = scope.load(std::memory_order_relaxed);  // relaxed: see above
    k.hash = static_cast<std::uint32_t>(s);
    k.zone = static_cast<std::uint16_t>(s >> 32);
    k.net = static_cast<std::uint16_t>(s >> 48);
    return k;
  }
  void set(const ct::key& k, ct::dir d) {
    for (std::size_t i = 0; i < 4; ++i) {
      words[i].store(k.words[i], std::memory_order_relaxed);  // relaxed: see above
    }
    // relaxed: see above
    words[4].store(k.words[4] | std::uint64_t{static_cast<std::uint8_t>(d)} << 56,
                   std::memory_order_relaxed);
    scope.store(scope_of(k), std::memory_order_relaxed);  // relaxed: see above
  }

 private:
  static std::uint64_t scope_of(const ct::key& k) {
    return std::uint64_t{k.net} << 48 | std::uint64_t{k.zone} << 32 | k.hash;
  }
};
static_assert(sizeof(tuplehash) == 64, "a chain walk reads one cache line a node");

/// Packet and byte counters of a direction (nf_conntrack_acct).
struct conn_counter {
  std::atomic<std::uint64_t> packets{0};
  std::atomic<std::uint64_t> bytes{0};
};

/// What an entry has beyond what all have (extensions.h): bits of nf_conn::extensions.
namespace ext {
inline constexpr std::uint8_t acct = 1U << 0;
inline constexpr std::uint8_t timestamp = 1U << 1;
inline constexpr std::uint8_t labels = 1U << 2;
inline constexpr std::uint8_t timeout = 1U << 3;
}  // namespace ext

struct nf_conn {
  std::array<core::tuplehash, 2> tuplehash;  // [dir]; first: entry_of() depends on it

  // Atomic, read by anybody who finds the entry.
  std::atomic<std::uint32_t> use{0};     // references; 0: free memory
  std::atomic<std::uint32_t> status{0};  // ct::status bits
  std::atomic<std::uint32_t> timeout{
      0};  // jiffies; relative until confirmed, absolute from then on
  std::atomic<std::uint32_t> mark{0};

  // Immutable from init to the last put; read by holders of a reference.
  std::uint64_t id = 0;
  netns* net = nullptr;
  nf_conn* master = nullptr;  // referenced
  ct::zone zone{};
  std::uint8_t extensions = 0;  // ext:: bits

  core::ecache ecache;  // synchronises itself

  mutable sync::spinlock lock;  // guards proto

  // The unconfirmed or dying list it is on. Written by whoever moves the entry through its life:
  // the packet that made it, the kill that won, the last put; never by two at once. The links are
  // the list's own.
  entry_list* list = nullptr;
  nf_conn* list_next = nullptr;
  nf_conn* list_prev = nullptr;

  // Guarded by lock.
  union proto_data {
    tcp_data tcp;
    struct {
      std::uint32_t stream_ts;  // jiffies from which a replied flow is a stream
    } udp;
    sctp_data sctp;
    struct {
      std::uint32_t timeout;  // unreplied; both are its own, from its first packet on
      std::uint32_t stream_timeout;
    } gre;
    dccp_data dccp;
  } proto{};

  std::array<conn_counter, 2> counters;  // [dir]; with ext::acct

  // Rarely used, each with its extension; without it, what an earlier life left.
  const timeouts* own_timeouts = nullptr;              // immutable
  std::atomic<std::uint64_t> start_ns{0};              // system's clock
  std::atomic<std::uint64_t> stop_ns{0};               // written by the kill that won
  std::array<std::atomic<std::uint32_t>, 4> labels{};  // each word stands for itself

  // Written while unconfirmed, freed by the last put, or with the system; nullptr: no helper, as
  // most entries.
  std::unique_ptr<nf_conn_help, free_help> help;

  // relaxed: bits are only ever set and carry no other data, except CONFIRMED and DYING, which the
  // core sets with their own orders.
  bool has(std::uint32_t bit) const { return (status.load(std::memory_order_relaxed) & bit) != 0; }
  /// True: it was not set before, and this call set it.
  bool set(std::uint32_t bit) {
    // relaxed: as has().
    return !has(bit) && (status.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
  }

  /// Several bits in one step.
  void set_all(std::uint32_t bits) {
    status.fetch_or(bits, std::memory_order_relaxed);  // relaxed: as has()
  }
  bool has_extension(std::uint8_t bit) const { return (extensions & bit) != 0; }

  const core::tuplehash& hash_node(ct::dir d) const { return tuplehash[index(d)]; }
  core::tuplehash& hash_node(ct::dir d) { return tuplehash[index(d)]; }
  ct::tuple tuple(ct::dir d) const { return tuplehash[index(d)].tuple(); }

  /// Reference from none: only where somebody else's reference keeps the entry alive.
  void get() {
    // relaxed: the caller is ordered after the reference that he stands on.
    use.fetch_add(1, std::memory_order_relaxed);
  }
  /// A reference on an entry that may be free memory by now. False: it is.
  [[nodiscard]] bool get_unless_zero() {
    std::uint32_t old = use.load(std::memory_order_relaxed);  // relaxed: the exchange below decides
    while (old != 0) {
      // acquire: pairs with the release of init(): tuples, zone and status are those of this life
      // of the memory. Kernel: smp_acquire__after_ctrl_dep() since 5.19.
      if (use.compare_exchange_weak(old,
                                    old + 1,
                                    std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  /// Gives a reference back. True: it was the last, the entry must be destroyed by the caller.
  [[nodiscard]] bool put() {
    // release: what this holder did happens before the memory is reused; acquire: for the last one.
    return use.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  /// Has the timeout of a confirmed entry been reached?
  bool is_expired(std::uint32_t now) const {
    // relaxed: a timeout stands for itself; whether it is absolute, CONFIRMED (read before,
    // acquire) tells.
    return is_reached(timeout.load(std::memory_order_relaxed), now);
  }
  /// Found by lookups: CONFIRMED, with everything that was written before it.
  bool is_confirmed() const {
    // acquire: pairs with the release that sets CONFIRMED in confirm: the timeout read next is
    // absolute.
    return (status.load(std::memory_order_acquire) & status::confirmed) != 0;
  }
};

/// Is the tuplehash of that direction one that the table links? A reply-only entry has but one.
inline bool is_linked_by(const nf_conn& ct, dir d) {
  return d == dir::reply || !ct.has(status::nat_clash);
}

/// The entry that a node belongs to.
inline nf_conn& entry_of(tuplehash& node, dir d) {
  return *reinterpret_cast<nf_conn*>(&node - index(d));
}

}  // namespace ct::core
