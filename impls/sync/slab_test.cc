// SPDX-License-Identifier: BSD-2-Clause
/// The slab: what it hands out, and what it never does.
#include "impls/sync/slab.h"

#include "impls/sync/spinlock.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <set>
#include <thread>
#include <vector>

namespace ct::sync {
namespace {

struct object {
  object() { value.store(7, std::memory_order_relaxed); }  // relaxed: private until published
  std::atomic<int> value;
  std::array<char, 188> room{};
};

TEST_CASE("live objects never share memory, and freed ones are handed out again, the last first") {
  slab<object, reuse::type_safe> pool;
  slab<object, reuse::type_safe>::magazine cpu(pool);
  std::set<object*> live;
  for (int i = 0; i < 10000; ++i) {
    object* const o = pool.alloc(cpu);
    REQUIRE(o != nullptr);
    REQUIRE(live.insert(o).second);
  }
  object* const last = *live.begin();
  pool.free(cpu, *last);
  CHECK(pool.alloc(cpu) == last);
  const std::size_t peak = pool.memory_bytes();
  CHECK(peak >= 10000 * sizeof(object));
  for (int round = 0; round < 3; ++round) {
    for (object* const o : live) pool.free(cpu, *o);
    live.clear();
    for (int i = 0; i < 10000; ++i) REQUIRE(live.insert(pool.alloc(cpu)).second);
    CHECK(pool.memory_bytes() == peak);
  }
}

TEST_CASE("an object is constructed once: what its last life wrote is still there") {
  slab<object, reuse::type_safe> pool;
  slab<object, reuse::type_safe>::magazine cpu(pool);
  object* const o = pool.alloc(cpu);
  CHECK(o->value.load(std::memory_order_relaxed) == 7);  // relaxed: one thread
  o->value.store(8, std::memory_order_relaxed);          // relaxed: one thread
  pool.free(cpu, *o);
  CHECK(o->value.load(std::memory_order_relaxed) ==
        8);  // relaxed: type-safe memory may be looked at
  CHECK(pool.alloc(cpu) == o);
}

TEST_CASE("a magazine's free objects go back when its CPU goes, and other CPUs get them") {
  slab<object, reuse::exclusive> pool;
  std::size_t peak = 0;
  for (int round = 0; round < 50; ++round) {
    slab<object, reuse::exclusive>::magazine cpu(pool);
    std::vector<object*> some;
    for (int i = 0; i < 300; ++i) some.push_back(pool.alloc(cpu));
    for (object* const o : some) pool.free(cpu, *o);
    if (round == 0) peak = pool.memory_bytes();
  }
  CHECK(pool.memory_bytes() == peak);
}

TEST_CASE("objects freed on one thread and allocated on another are never live twice") {
  slab<object, reuse::type_safe> pool;
  std::vector<std::thread> threads;
  spinlock lock;
  std::vector<object*> exchange;  // guarded by lock
  std::atomic<int> doubles{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      slab<object, reuse::type_safe>::magazine cpu(pool);
      for (int i = 0; i < 20000; ++i) {
        object* mine = pool.alloc(cpu);
        // relaxed: the object belongs to one thread at a time, or the test fails.
        if (mine->value.exchange(1, std::memory_order_relaxed) == 1) ++doubles;
        object* other = nullptr;
        {
          const std::lock_guard guard(lock);
          exchange.push_back(mine);
          if (exchange.size() > 100) {
            other = exchange[static_cast<std::size_t>(i) % exchange.size()];
            exchange[static_cast<std::size_t>(i) % exchange.size()] = exchange.back();
            exchange.pop_back();
          }
        }
        if (other != nullptr) {
          other->value.store(0, std::memory_order_relaxed);  // relaxed: see above
          pool.free(cpu, *other);
        }
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(doubles == 0);
}

}  // namespace
}  // namespace ct::sync
