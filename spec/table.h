// SPDX-License-Identifier: BSD-2-Clause
/// The table: what stores connections, finds them by either tuple, and decides how readers and
/// writers meet.
///
/// A table owns the memory of its entries. The core (impls/core) owns their meaning: it calls these
/// verbs and hands in what must happen at the decisive moments (`steps`, `reap`, `want`/`take`), so
/// that a table knows locks, chains and reclamation, and nothing of protocols, timeouts or events.
///
/// | verb | promises | letters |
/// |---|---|---|
/// | `alloc` | memory for an entry, use == 0; an entry that a late reader still looks at is possible only in tables whose memory is type-safe | A.3 D.4 |
/// | `find_get` | the linked entry of a key, referenced; an expired one is handed to `reap` instead | A.* E.1 |
/// | `prefetch` | nothing: a hint that find_get of these hashes follows; one dependent line after the other, each for the whole batch | |
/// | `insert` | with both buckets held: may_insert, search under both tuples, before_link, link, after_link. Both tuplehashes or none; but the reply alone where `clash` asks for it | B.* C.* |
/// | `unlink` | neither tuple finds the entry any more | D.2 D.3 |
/// | `scan` | every tuplehash that stays linked during the scan of its bucket is shown; a bucket that the table has not (a resize shrank it) is empty | E.2 |
/// | `resize` | another number of buckets, with the same entries in it, while all other verbs run; what nobody uses any more is freed, or kept for the next one, when it returns | F.1 F.2 |
/// | `free` | the memory of an entry whose use is 0 again | D.4 |
///
/// Not promised: that an entry found is not dying (DYING is no part of the key); that lookups under
/// both tuples agree while a kill runs (unless D.3); an order among the entries of a scan; that a
/// scan is a snapshot; while a resize runs, that a lookup finds what is there (unless F.2: then A.1
/// holds throughout), that a lookup does not wait (G.1 is about the other verbs), that a pass of
/// scans shows everything.
///
/// Every verb is noexcept and takes the `local` of the calling thread, which `attach` made: what a
/// table keeps for a CPU (its registration as a reader, its magazine of free entries). Source: the
/// hash table part of net/netfilter/nf_conntrack_core.c, Linux 6.18.
#pragma once

#include "spec/guarantees.h"
#include "spec/tuple.h"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace ct {

/// What is searched: a tuple (direction bits zero) in a zone of a netns, and its hash.
struct key {
  tuple_words words{};
  std::uint32_t hash = 0;
  std::uint16_t zone = 0;
  std::uint16_t net = 0;

  friend constexpr bool operator==(const key& a, const key& b) {
    return a.words == b.words && a.zone == b.zone && a.net == b.net;
  }
};

/// What find_get found: an entry with a reference that the caller must put, or nullptr.
template <class Entry>
struct found {
  Entry* entry = nullptr;
  ct::dir dir = dir::original;  ///< which of its tuples was asked for
  std::uint32_t restarts = 0;   ///< how often the search had to begin again (search_restart)
};

/// What an insert does about a clash.
enum class clash_answer : std::uint8_t {
  refuse,      ///< nothing is linked
  link_reply,  ///< of the original tuple: if the reply tuple is free, that one alone is linked
};

enum class insert_status : std::uint8_t {
  inserted,
  refused,         ///< may_insert said no
  clash,           ///< a linked entry answers to one of the tuples already
  chain_too_long,  ///< a bucket holds more than chain_limit entries
};

/// What a scan does with a tuplehash that it is shown.
enum class scan_verdict : std::uint8_t {
  next,  ///< go on
  take,  ///< reference the entry and hand it to `take`
  stop,  ///< leave this bucket; the scan answers false
};

/// What a resize came to.
enum class resize_status : std::uint8_t {
  resized,
  same_size,      ///< as many buckets were there already
  not_supported,  ///< the table grows by itself, or has no buckets
  no_memory,      ///< for an array of that size, or more than `buckets_max`; nothing has changed
};

/// What the kernel allows: INT_MAX bytes of 8-byte heads (nf_ct_alloc_hashtable(), Linux 6.18).
inline constexpr std::size_t buckets_max = std::numeric_limits<std::int32_t>::max() / 8;

struct table_options {
  std::size_t buckets = 65536;  ///< wanted; a table may round up, or have no buckets
};

/// What the core does during an insert; every step runs with both buckets held, in this order.
template <class Entry>
struct insert_steps_archetype {
  /// False refuses the entry (it is dying, or confirmed already).
  bool may_insert(Entry&);
  /// Nodes that may be passed in each of the two searches.
  std::size_t chain_limit() const;
  /// The linked entry that stands in the way; it cannot be unlinked before this returns. For the
  /// original tuple first; after an answer `link_reply` the reply tuple is searched, which may
  /// clash as well: that is final.
  clash_answer clash(Entry& winner, dir winner_dir);
  /// Last moment at which the entry is private: timeout becomes absolute, the table's reference is
  /// taken. An entry of which only the reply tuple is linked has NAT_CLASH from here on, and unlink
  /// leaves its original tuplehash alone.
  void before_link(Entry&);
  /// Both tuplehashes are linked: the entry becomes findable by CONFIRMED.
  void after_link(Entry&);
};

template <class Entry>
struct reap_archetype {
  /// An expired entry, referenced (the callee puts it), no lock held.
  void operator()(Entry&);
};
template <class Entry>
struct want_archetype {
  /// Looks at an entry in place. It is not referenced: only its atomic fields may be read.
  scan_verdict operator()(Entry&, dir);
};
template <class Entry>
struct take_archetype {
  /// A wanted entry, referenced (the callee puts it), no lock held.
  void operator()(Entry&, dir);
};

/// A class that stores entries of type T::entry; see the head of this file.
template <class T>
concept table = requires(T t,
                         const T ct,
                         typename T::local& local,
                         typename T::entry& e,
                         const key& k,
                         std::uint32_t now,
                         std::size_t bucket,
                         insert_steps_archetype<typename T::entry>& steps,
                         reap_archetype<typename T::entry> reap,
                         want_archetype<typename T::entry> want,
                         take_archetype<typename T::entry> take) {
  requires std::constructible_from<T, const table_options&>;
  requires std::constructible_from<typename T::local, T&>;
  { T::summary } -> std::convertible_to<std::string_view>;
  { T::promises } -> std::convertible_to<claims>;

  { t.find_get(local, k, now, reap) }
  noexcept->std::same_as<found<typename T::entry>>;
  { t.prefetch(local, std::span<const std::uint32_t>{}) }
  noexcept->std::same_as<void>;
  { t.alloc(local) }
  noexcept->std::same_as<typename T::entry*>;
  { t.insert(local, e, steps) }
  noexcept->std::same_as<insert_status>;
  { t.unlink(local, e) }
  noexcept->std::same_as<void>;
  { t.free(local, e) }
  noexcept->std::same_as<void>;

  { t.scan(local, bucket, want, take) }
  noexcept->std::same_as<bool>;
  { ct.bucket_count() }
  noexcept->std::same_as<std::size_t>;
  /// The bucket of a scan in which what has this hash is shown.
  { ct.bucket_of(now) }
  noexcept->std::same_as<std::size_t>;

  /// Not within a callback of another verb. 0 counts as 1; a table may round up. A lookup meanwhile
  /// may wait, or miss (F.2). Waits for readers, with no lock held.
  { t.resize(local, bucket) }
  noexcept->std::same_as<resize_status>;

  /// The calling thread holds no unreferenced entry, and does not until its next verb; long waits
  /// happen between two of these calls.
  { t.quiescent(local) }
  noexcept->std::same_as<void>;
  /// Bytes of table and entries, free ones included.
  { ct.memory_bytes() }
  noexcept->std::same_as<std::size_t>;
  /// At rest: every invariant of the table's type comment. The core checks the entries.
  { ct.is_valid() } -> std::same_as<bool>;
};

}  // namespace ct
