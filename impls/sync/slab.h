// SPDX-License-Identifier: BSD-2-Clause
/// A slab: memory for objects of one type, with a magazine of free ones for every CPU.
///
/// An object is constructed once, when its page is made, and destroyed with the slab; alloc and
/// free hand out and take back the constructed object. That makes the memory **type-stable**:
/// whoever still looks at a freed object sees an object of the same type, perhaps in its next life.
/// Two kinds:
///
/// - `reuse::type_safe` promises that to late readers (SLAB_TYPESAFE_BY_RCU in the kernel). What
///   they may read must be atomic; they take a reference only where the count is not 0, and look
///   again after it.
/// - `reuse::exclusive` promises nothing: a freed object may not be touched, and AddressSanitizer
///   says so.
///
/// alloc and free work on the CPU's magazine without any lock; a full or empty magazine is
/// exchanged at the depot, under a lock, once in `magazine_objects` operations. Reuse is
/// last-in-first-out: the hottest line, and for type-safe readers the most hostile order. Limit:
/// pages are given back with the slab, not before; the peak stays mapped. Source: Bonwick and
/// Adams, "Magazines and Vmem", USENIX 2001; mm/slab_common.c, Linux 6.18.
#pragma once

#include "impls/sync/pages.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define CT_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CT_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef CT_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace ct::sync {

enum class reuse { type_safe, exclusive };

template <class T, reuse Reuse>
class slab {
 public:
  static constexpr std::size_t magazine_objects = 64;

  /// The free objects of one CPU; gives them back to the slab at its end.
  class magazine {
   public:
    explicit magazine(slab& owner) : owner_(owner) {}
    magazine(const magazine&) = delete;
    magazine& operator=(const magazine&) = delete;
    ~magazine() { owner_.deposit(objects_.data(), count_); }

   private:
    friend slab;
    slab& owner_;
    std::size_t count_ = 0;
    std::array<T*, 2 * magazine_objects> objects_{};
  };

  slab() = default;
  slab(const slab&) = delete;
  slab& operator=(const slab&) = delete;
  ~slab() {
    for (const chunk& c : chunks_) {
      unpoison(c.first, c.count);
      std::destroy_n(c.first, c.count);
    }
  }

  /// An object in the state in which it was freed, or as constructed; nullptr without memory.
  T* alloc(magazine& m) noexcept {
    if (m.count_ == 0 && !refill(m)) return nullptr;
    T* const object = m.objects_[--m.count_];
    unpoison(object, 1);
    return object;
  }

  void free(magazine& m, T& object) noexcept {
    poison(&object, 1);
    if (m.count_ == m.objects_.size()) {
      m.count_ -= magazine_objects;
      deposit(m.objects_.data() + m.count_, magazine_objects);
    }
    m.objects_[m.count_++] = &object;
  }

  std::size_t memory_bytes() const noexcept {
    // relaxed: a statistic; nothing is ordered by it.
    return memory_bytes_.load(std::memory_order_relaxed);
  }

 private:
  struct chunk {
    pages memory;
    T* first;
    std::size_t count;
  };

  // The first chunk is small, so that a thousand small systems are cheap; each next one doubles up
  // to 2 MiB.
  static constexpr std::size_t first_chunk_bytes = std::size_t{64} << 10;
  static_assert(first_chunk_bytes / sizeof(T) >= magazine_objects);

  bool refill(magazine& m) noexcept {
    const std::lock_guard guard(lock_);
    if (depot_.empty() && !grow()) return false;
    m.count_ = std::min(magazine_objects, depot_.size());
    std::copy_n(depot_.end() - static_cast<std::ptrdiff_t>(m.count_), m.count_, m.objects_.begin());
    depot_.resize(depot_.size() - m.count_);
    return true;
  }

  void deposit(T* const* objects, std::size_t count) noexcept {
    const std::lock_guard guard(lock_);
    depot_.insert(depot_.end(),
                  objects,
                  objects + count);  // within the capacity that grow() reserved
  }

  bool grow() noexcept try {
    const std::size_t bytes =
        std::min(first_chunk_bytes << std::min<std::size_t>(chunks_.size(), 5), pages::huge_bytes);
    chunks_.reserve(chunks_.size() + 1);
    pages memory(bytes);
    const std::size_t count = bytes / sizeof(T);
    // Every object may come back at once: deposit() never allocates.
    if (depot_.capacity() < objects_total_ + count) depot_.reserve(2 * (objects_total_ + count));
    T* const first = reinterpret_cast<T*>(memory.bytes().data());
    std::uninitialized_default_construct_n(first, count);
    chunks_.push_back({std::move(memory), first, count});
    for (std::size_t i = count; i-- != 0;) depot_.push_back(first + i);
    poison(first, count);
    objects_total_ += count;
    // relaxed: as memory_bytes().
    memory_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }

  static void poison([[maybe_unused]] T* at, [[maybe_unused]] std::size_t count) {
#ifdef CT_ADDRESS_SANITIZER
    if constexpr (Reuse == reuse::exclusive) ASAN_POISON_MEMORY_REGION(at, count * sizeof(T));
#endif
  }
  static void unpoison([[maybe_unused]] T* at, [[maybe_unused]] std::size_t count) {
#ifdef CT_ADDRESS_SANITIZER
    if constexpr (Reuse == reuse::exclusive) ASAN_UNPOISON_MEMORY_REGION(at, count * sizeof(T));
#endif
  }

  mutable std::mutex lock_;
  // Guarded by lock_.
  std::vector<T*> depot_;
  std::vector<chunk> chunks_;
  std::size_t objects_total_ = 0;
  // Atomic.
  std::atomic<std::size_t> memory_bytes_{0};
};

}  // namespace ct::sync
