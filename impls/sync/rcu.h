// SPDX-License-Identifier: BSD-2-Clause
/// liburcu's flavours behind one shape, so that a table is written once and instantiated for each.
///
/// | flavour | a reader pays | a grace period costs | a thread must |
/// |---|---|---|---|
/// | memb | two stores, no barrier (sys_membarrier) | one system call | register |
/// | mb | two stores and two full barriers | no system call | register |
/// | qsbr | a look whether the thread is online | waits for every thread that is | register, announce quiescent states |
/// | bp | as memb, and a look whether the thread is known | as memb | nothing |
///
/// qsbr: a thread is *online*, and waited for, from its first read section on until it says that it
/// is quiescent; from then on it is *offline*, for as long as it likes. So a thread that sleeps, or
/// waits for the very one that waits for readers, cannot hold up a grace period, as an idle CPU
/// cannot in the kernel. Announcing a quiescent state alone would be cheaper by two barriers, but a
/// thread that then has nothing to do must not forget to go offline.
///
/// The read side is inlined (_LGPL_SOURCE, allowed to code under compatible licences): otherwise
/// the calls into the library would be what is measured. Source: liburcu 0.13, urcu(3); Desnoyers
/// et al., "User-Level Implementations of Read-Copy Update", 2012.
#pragma once

// Under ThreadSanitizer the calls are made: it takes the volatile accesses of the inlined read side
// for races with grace periods, and does not see those of the library.
#if defined(__SANITIZE_THREAD__)
#define CT_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CT_THREAD_SANITIZER 1
#endif
#endif
#if !defined(_LGPL_SOURCE) && !defined(CT_THREAD_SANITIZER)
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-mb.h>
#include <urcu/urcu-memb.h>
#include <urcu/urcu-qsbr.h>
#ifdef __SANITIZE_ADDRESS__
// The reader records of bp lie at 32 bytes where their type asks for 128 (liburcu 0.13); inlined,
// UndefinedBehaviorSanitizer, which the preset asan has too, would report that of us.
#undef _LGPL_SOURCE
#endif
#include <urcu/urcu-bp.h>

namespace ct::sync::rcu {

struct memb {
  static void register_thread() { urcu_memb_register_thread(); }
  static void unregister_thread() { urcu_memb_unregister_thread(); }
  static void read_lock() { urcu_memb_read_lock(); }
  static void read_unlock() { urcu_memb_read_unlock(); }
  static void quiescent() {}
  static void synchronize() { urcu_memb_synchronize_rcu(); }
};

struct mb {
  static void register_thread() { urcu_mb_register_thread(); }
  static void unregister_thread() { urcu_mb_unregister_thread(); }
  static void read_lock() { urcu_mb_read_lock(); }
  static void read_unlock() { urcu_mb_read_unlock(); }
  static void quiescent() {}
  static void synchronize() { urcu_mb_synchronize_rcu(); }
};

struct qsbr {
  static void register_thread() {
    urcu_qsbr_register_thread();
    urcu_qsbr_thread_offline();
  }
  static void unregister_thread() { urcu_qsbr_unregister_thread(); }
  static void read_lock() {
    if (urcu_qsbr_read_ongoing() == 0) [[unlikely]] {
      urcu_qsbr_thread_online();
    }
    urcu_qsbr_read_lock();
  }
  static void read_unlock() { urcu_qsbr_read_unlock(); }
  static void quiescent() {
    if (urcu_qsbr_read_ongoing() != 0) urcu_qsbr_thread_offline();
  }
  static void synchronize() { urcu_qsbr_synchronize_rcu(); }
};

struct bp {
  static void register_thread() {}
  static void unregister_thread() {}
  static void read_lock() { urcu_bp_read_lock(); }
  static void read_unlock() { urcu_bp_read_unlock(); }
  static void quiescent() {}
  static void synchronize() { urcu_bp_synchronize_rcu(); }
};

/// Registers the calling thread as a reader, once however many of these it holds, for as long as
/// one lives.
template <class Flavour>
class reader {
 public:
  reader() {
    if (depth_++ == 0) Flavour::register_thread();
  }
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;
  ~reader() {
    if (--depth_ == 0) Flavour::unregister_thread();
  }

 private:
  static inline thread_local unsigned depth_ = 0;
};

/// A read-side critical section.
template <class Flavour>
class read_section {
 public:
  read_section() { Flavour::read_lock(); }
  read_section(const read_section&) = delete;
  read_section& operator=(const read_section&) = delete;
  ~read_section() { Flavour::read_unlock(); }
};

}  // namespace ct::sync::rcu
