// SPDX-License-Identifier: BSD-2-Clause
/// The lists that an entry is on outside the table: unconfirmed, and dying; one of each per netns
/// and CPU.
///
/// Doubly linked through the entry itself; one spinlock a list, taken inside bucket locks, never
/// around them. Source: nf_ct_add_to_unconfirmed_list(), nf_ct_add_to_dying_list(), Linux 5.10
/// (today's kernel has only the list of entries whose destroy event is undelivered).
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/sync/spinlock.h"

#include <cstddef>
#include <mutex>
#include <span>

namespace ct::core {

class alignas(64) entry_list {
 public:
  /// Puts `ct`, which is on no list, at the head of this one.
  void add(nf_conn& ct) noexcept {
    const std::lock_guard guard(lock_);
    ct.list = this;
    ct.list_prev = nullptr;
    ct.list_next = head_;
    if (head_ != nullptr) head_->list_prev = &ct;
    head_ = &ct;
    ++size_;
  }

  /// Takes `ct` off the list it is on, if any.
  static void remove(nf_conn& ct) noexcept {
    if (ct.list != nullptr) ct.list->unlink(ct);
  }

  /// Shows every entry while the list is locked: none of them can be freed meanwhile.
  template <class Visit>
  void for_each(Visit&& visit) const {
    const std::lock_guard guard(lock_);
    for (const nf_conn* ct = head_; ct != nullptr; ct = ct->list_next) visit(*ct);
  }

  /// Takes up to `out.size()` entries off the list, newest first; returns how many.
  std::size_t pop(std::span<nf_conn*> out) noexcept {
    const std::lock_guard guard(lock_);
    std::size_t count = 0;
    for (; count < out.size() && head_ != nullptr; ++count) {
      out[count] = head_;
      unlink_held(*head_);
    }
    return count;
  }

  std::size_t size() const noexcept {
    const std::lock_guard guard(lock_);
    return size_;
  }

 private:
  void unlink(nf_conn& ct) noexcept {
    const std::lock_guard guard(lock_);
    unlink_held(ct);
  }
  void unlink_held(nf_conn& ct) noexcept {
    (ct.list_prev != nullptr ? ct.list_prev->list_next : head_) = ct.list_next;
    if (ct.list_next != nullptr) ct.list_next->list_prev = ct.list_prev;
    ct.list = nullptr;
    --size_;
  }

  mutable sync::spinlock lock_;
  // Guarded by lock_.
  nf_conn* head_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ct::core
