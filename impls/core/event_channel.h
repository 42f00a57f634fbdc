// SPDX-License-Identifier: BSD-2-Clause
/// The events of a network namespace: its listener, the deliveries, and the destroy events that
/// wait.
///
/// A message of an entry is made and told under the entry's own lock (ecache::telling), which makes
/// the order of its messages the order of its events: whoever kills an entry has claimed DYING
/// before he takes that lock, and a delivery looks for DYING after it has taken it. So no message
/// follows DESTROY, and DESTROY brings along whatever was not told before it, NEW too. The kernel
/// takes no lock here: there a NEW that is on its way may be overtaken by its DESTROY.
///
/// A listener comes and goes while packets pass: `state_` counts the deliveries that are inside,
/// and says whether there is a listener at all. Who detaches waits until the count is 0.
///
/// Lock order: ecache::telling, then nf_conn::lock (to copy the protocol's state).
/// Limits: one listener a netns; who wants more, lets it pass them on. No port ids: the kernel
/// remembers which process asked for a kill whose event was refused.
/// Source: nf_conntrack_ecache.c, Linux 6.18.
#pragma once

#include "impls/core/ecache.h"
#include "impls/core/entry_list.h"
#include "impls/core/nf_conn.h"
#include "impls/core/nf_conn_view.h"
#include "impls/sync/spinlock.h"
#include "spec/events.h"
#include "spec/jiffies.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <thread>

namespace ct::core {

class event_channel {
 public:
  /// First redelivery after a refusal; the next ones while the listener goes on refusing; and how
  /// long one run may take. The kernel's, 10 ms rounded up to whole jiffies.
  static constexpr std::uint32_t first_delay = hz;
  static constexpr std::uint32_t retry_delay = (10 * hz + 999) / 1000;
  static constexpr std::uint32_t budget = (10 * hz + 999) / 1000;
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  /// How many netns of a system have a listener. An entry has events if anybody listens at its
  /// birth, in whichever netns: in Linux a socket may hear them all.
  using listener_count = std::atomic<std::uint32_t>;

  event_channel(netns_id net, listener_count& listening) : net_(net), listening_(listening) {}

  /// Puts `to` (nullptr: nobody) in place of the listener. No delivery to the former one is under
  /// way when this returns.
  void listen(listener* to, std::uint32_t mask) noexcept {
    const std::lock_guard guard(listen_lock_);
    // relaxed, both: a listener that comes in this moment may miss an entry.
    if (to != nullptr) listening_.fetch_add(1, std::memory_order_relaxed);
    if (listener_ != nullptr) listening_.fetch_sub(1, std::memory_order_relaxed);  // relaxed: ditto
    // (1) acq_rel: closes; who enters from now on turns back.
    state_.fetch_and(~open, std::memory_order_acq_rel);
    // (2) acquire; pairs with (5): what the last delivery did is done.
    while (state_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
    listener_ = to;
    mask_ = mask;
    // (3) release; pairs with (4): who sees it open sees its listener.
    if (to != nullptr) state_.fetch_or(open, std::memory_order_release);
  }

  /// The events of an entry that is made now; 0: it gets no event cache.
  std::uint16_t mask_of_new(events_mode mode) const noexcept {
    const bool is_wanted =
        mode == events_mode::always ||
        // relaxed: as in listen().
        (mode == events_mode::if_listened && listening_.load(std::memory_order_relaxed) != 0);
    return is_wanted ? std::uint16_t{all_events} : std::uint16_t{0};
  }

  /// Tells what waits in the entry's cache, and `bits`. Not confirmed or dying: nothing, whoever
  /// kills it tells.
  void deliver(nf_conn& ct, std::uint32_t bits, std::uint32_t now) noexcept {
    const std::lock_guard guard(ct.ecache.telling);
    // DYING, relaxed: if its claimant took the lock before us, we see it; if not, he waits for us.
    if (!ct.is_confirmed() || ct.has(status::dying)) return;
    bits |= ct.ecache.take();
    if (bits != 0 && !tell(ct, bits, now)) ct.ecache.missed(bits);
  }

  /// Tells that `ct` is destroyed; its DYING is the caller's. False: refused; `park` it once it is
  /// unlinked.
  [[nodiscard]] bool destroy(nf_conn& ct, std::uint32_t now) noexcept {
    if (ct.ecache.mask() == 0 || !ct.is_confirmed()) return true;
    const std::lock_guard guard(ct.ecache.telling);
    const std::uint32_t bits = bit(event::destroy) | ct.ecache.take();
    if (tell(ct, bits, now)) return true;
    ct.ecache.missed(bits);
    return false;
  }

  /// Keeps an entry, with the table's reference, until its destroy event is told.
  void park(nf_conn& ct, std::uint64_t now) noexcept {
    undelivered_.add(ct);
    const std::lock_guard guard(due_lock_);
    // relaxed, both: changed under due_lock_ only; read elsewhere as a hint.
    if (due_.load(std::memory_order_relaxed) == never) {
      due_.store(now + first_delay, std::memory_order_relaxed);  // relaxed: see above
    }
  }
  /// A destroy event went through: those that wait need not wait longer.
  void kick(std::uint64_t now) noexcept {
    const std::lock_guard guard(due_lock_);
    // relaxed, both: as in park().
    if (due_.load(std::memory_order_relaxed) != never) {
      due_.store(now, std::memory_order_relaxed);  // relaxed: see above
    }
  }
  /// When the redelivery worker wants to run; `never` if nothing waits.
  std::uint64_t due() const noexcept {
    return due_.load(std::memory_order_relaxed);  // relaxed: a hint, looked at again later
  }
  /// Moves the due time, as a worker does at its beginning (never) and at its end. What is parked
  /// in between asks for a run of its own.
  void set_due(std::uint64_t at) noexcept {
    const std::lock_guard guard(due_lock_);
    due_.store(at, std::memory_order_relaxed);  // relaxed: as in park()
  }

  entry_list& undelivered() noexcept { return undelivered_; }
  const entry_list& undelivered() const noexcept { return undelivered_; }
  void add_to(event_stat& sum) const noexcept {
    sum.delivered += delivered_.load(std::memory_order_relaxed);  // relaxed: a statistic
    sum.refused += refused_.load(std::memory_order_relaxed);      // relaxed: a statistic
  }

 private:
  static constexpr std::uint64_t open = 1;        // there is a listener
  static constexpr std::uint64_t one_inside = 2;  // each delivery that is inside

  /// A stay inside: the listener cannot go meanwhile.
  class visit {
   public:
    explicit visit(event_channel& in)
        : in_(in),
          // (4) acquire; pairs with (3).
          is_open_((in.state_.fetch_add(one_inside, std::memory_order_acquire) & open) != 0) {}
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;
    ~visit() {
      // (5) release; pairs with (2).
      in_.state_.fetch_sub(one_inside, std::memory_order_release);
    }
    bool is_open() const { return is_open_; }

   private:
    event_channel& in_;
    const bool is_open_;
  };

  /// True: taken, or nobody wants it.
  bool tell(const nf_conn& ct, std::uint32_t bits, std::uint32_t now) noexcept {
    if ((bits & ct.ecache.mask()) == 0) return true;
    const visit here(*this);
    if (!here.is_open() || (bits & mask_) == 0) return true;
    const bool is_taken = listener_->deliver({.bits = bits, .entry = view_of(ct, net_, now)});
    // relaxed: a statistic.
    (is_taken ? delivered_ : refused_).fetch_add(1, std::memory_order_relaxed);
    return is_taken;
  }

  // Immutable.
  const netns_id net_;
  // Atomic, shared by the netns of a system.
  listener_count& listening_;
  // Guarded by listen_lock_, and read while `state_` is open and counts the reader.
  std::mutex listen_lock_;
  listener* listener_ = nullptr;
  std::uint32_t mask_ = 0;
  // Atomic.
  alignas(64) std::atomic<std::uint64_t> state_{0};  // open | deliveries inside
  std::atomic<std::uint64_t> delivered_{0};
  std::atomic<std::uint64_t> refused_{0};
  // Guarded by due_lock_ against writers.
  sync::spinlock due_lock_;
  std::atomic<std::uint64_t> due_{never};
  // Has its own lock. Entries that are out of the table, with the table's reference.
  entry_list undelivered_;
};

}  // namespace ct::core
