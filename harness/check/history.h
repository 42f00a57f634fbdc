// SPDX-License-Identifier: BSD-2-Clause
/// What the threads of a run saw, operation by operation: the calls of a ct system with the
/// interval in which each happened, and what it answered.
///
/// A run writes one, the checker judges it: is there an order of the operations' steps, each within
/// its interval, that gives these answers? Values only; no tuple, no packet: a key is a number.
///
/// Keys: a run has flows 0, 1, ...; flow f has the keys 2f (its original tuple) and 2f + 1 (the
/// inverse of that). A flow belongs to one zone of one netns, so two flows may have equal tuples.
/// An entry that the packet with key k made has the original key k and, unless NAT gave it another,
/// the reply key k ^ 1.
///
/// Ids: every entry has one of its own from alloc to free, never used again, and answers show it.
///
/// Stamps: of one clock for all threads, in its ticks. An operation took effect at moments that are
/// not before `call` and not after `ret`; both ends count. Two operations whose intervals share a
/// moment may have happened in either order. Of one thread each begins when the last has ended.
///
/// Time is the virtual clock of the system: an operation read it somewhere in [now_lo, now_hi].
#pragma once

#include <cstdint>

namespace ct::check {

/// What was called. Beside each: what `key`, `other` and `id` mean, and which answers it has.
enum class verb : std::uint8_t {
  /// cpu::find of `key`. found: `id`, in the direction that is_reply says; missed.
  find,
  /// cpu::in of a packet with tuple `key`. found: an entry was there, and has a new timeout; `id`
  /// is referenced from then on. made: no entry was there, `id` is new, unconfirmed and referenced.
  /// refused: no entry was there and none was made: the table is full, or the netns exits. invalid:
  /// an entry may have been there or not; the packet holds none.
  in,
  /// cpu::confirm of a packet whose entry `id` was made with original key `key` and has the reply
  /// key `other`. inserted; merged: an entry of the same flow, `number`, holds the place, and the
  /// packet has that now; clashed: another entry has one of its keys, or its chain was too long, or
  /// it was killed before: the packet is dropped, and the entry with it.
  confirm,
  /// cpu::free_skb of a packet that holds `id`: the reference goes; an unconfirmed entry with it.
  put,
  /// ct_system::entry_of a packet that holds an entry: `id` and `key`, its original key, as the
  /// memory says now.
  look,
  /// cpu::create of `key`. inserted: as confirm; the call does not tell its id: `id` is what the
  /// listener was told meanwhile, or 0. clashed: not, because there is an entry, or no place.
  create,
  /// cpu::kill of `key`. won: the entry that was found there is unlinked now. lost: none was there,
  /// or another kill had claimed it, or its destroy event was refused.
  kill,
  /// cpu::kill_if of everything; `number` kills were won. Of what was in the table when it was
  /// called nothing is when it returns.
  flush,
  /// ct_system::dump. Its entries follow in the same thread as `shown`, with its stamps.
  dump,
  /// An entry that the dump before showed: `id`, original key `key`, reply key `other`.
  shown,
  /// A whole pass of gc_worker; `number` entries were removed.
  gc,
  /// cpu::advance: the clock went from now_lo to now_hi.
  advance,
  /// cpu::resize.
  resize,
  /// cpu::exit_netns of netns `key`, one pass; `number` entries are left.
  exit,
  /// nf_conntrack_count, all netns: `number`.
  count,
};

enum class answer : std::uint8_t {
  none,  ///< the verb has no other
  found,
  missed,
  made,
  refused,
  invalid,
  inserted,
  merged,
  clashed,
  won,
  lost,
};

/// One call. 64 bytes.
struct operation {
  std::uint64_t call = 0;
  std::uint64_t ret = 0;
  std::uint64_t id = 0;
  std::uint64_t number = 0;  ///< confirm, merged: id of the other; flush, gc, exit, count: how many
  std::uint32_t now_lo = 0;  ///< jiffies
  std::uint32_t now_hi = 0;
  std::uint32_t timeout = 0;  ///< jiffies that it gave the entry; 0: none
  std::uint32_t key = 0;
  std::uint32_t other = 0;
  std::uint16_t thread = 0;
  check::verb verb = check::verb::find;
  check::answer answer = check::answer::none;
  bool is_reply = false;
};
static_assert(sizeof(operation) == 64);

}  // namespace ct::check
