// SPDX-License-Identifier: BSD-2-Clause
/// The checks of the table suite, judged: a sound table passes all of them, and each planted fault
/// is found by the check that is there for it, under the letter that it breaks.
///
/// The table is the simplest that has places for faults: a vector of nodes under one lock. Where a
/// fault is a race, it yields in its window. A race is found with a probability only: each of them
/// was found in 200 of 200 runs on two cores, so that a check misses one with p < 0.02 (95 %
/// confidence).
#include "impls/core/table_checks.h"
#include "impls/core/table_resize_checks.h"
#include "impls/core/table_scan_checks.h"
#include "impls/core/table_thread_checks.h"
#include "impls/sync/slab.h"
#include "impls/sync/spinlock.h"
#include "spec/table.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace ct::core::checks {
namespace {

enum class fault {
  none,
  // Seen by one thread.
  forgets_reference,
  keeps_reply_linked,
  unlinks_neighbour,
  ignores_zone,
  ignores_netns,
  returns_expired,
  reaps_a_jiffy_early,
  reaps_unreferenced,
  finds_unconfirmed,
  ignores_refusal,
  forgets_clash_on_reply,
  forgets_crossing_clash,
  names_reply_winner,
  leaves_original_after_clash,
  links_both_for_one,
  ignores_clash_on_reply_of_one,
  refuses_one,
  unlinks_both_for_one,
  answers_original_of_one_flow,
  counts_one_node_too_few,
  counts_one_node_too_many,
  frees_at_unlink,
  never_reuses,
  scan_skips_one,
  scan_shows_twice,
  ignores_stop,
  forgets_taken_at_stop,
  takes_one_only,
  resize_loses_one,
  resize_doubles_one,
  resize_keeps_markers,
  resize_says_same_size,
  // Seen by several threads.
  skips_recheck,
  searches_before_locking,
  links_in_two_steps,
  unlinks_in_two_steps,
  resizes_beside_writers,
  resizes_beside_readers,
};

template <fault Fault>
class faulty {
 public:
  using entry = nf_conn;
  using slab = sync::slab<entry, sync::reuse::type_safe>;

  static constexpr std::string_view summary = "a vector under a lock, with a fault";
  static constexpr claims promises = {letter::a1,
                                      letter::a2,
                                      letter::a3,
                                      letter::b1,
                                      letter::b2,
                                      letter::b3,
                                      letter::b4,
                                      letter::c1,
                                      letter::c2,
                                      letter::d1,
                                      letter::d2,
                                      letter::d3,
                                      letter::d4,
                                      letter::e1,
                                      letter::e2,
                                      letter::f1,
                                      letter::f2};

  struct local {
    explicit local(faulty& t) : magazine(t.slab_) {}
    slab::magazine magazine;
  };

  explicit faulty(const table_options& options) { mark_chains(options.buckets); }

  template <class Reap>
  found<entry> find_get(local&, const key& k, std::uint32_t now, Reap&& reap) noexcept {
    std::unique_lock guard(lock_);
    tuplehash* const node = search(k, Fault == fault::ignores_zone, Fault == fault::ignores_netns);
    // A stale marker leads astray without end; three times are enough to be noticed.
    if (node == nullptr) return {.restarts = is_marked_as(k.hash) ? 0U : 3U};
    dir d = node->dir();
    entry& e = entry_of(*node, d);
    if (!e.is_confirmed() && Fault != fault::finds_unconfirmed) return {};
    if (Fault == fault::skips_recheck) {
      guard.unlock();
      std::this_thread::yield();
    }
    if (Fault == fault::skips_recheck) {
      if (!e.get_unless_zero()) return {};
    } else if (Fault != fault::forgets_reference) {
      e.get();
    }
    if (guard.owns_lock()) guard.unlock();
    const std::uint32_t deadline_now = Fault == fault::reaps_a_jiffy_early ? now + 1 : now;
    if (e.is_expired(deadline_now) && Fault != fault::returns_expired) {
      if (Fault == fault::reaps_unreferenced && e.put()) e.get();
      reap(e);
      return {};
    }
    if (Fault == fault::answers_original_of_one_flow && e.hash_node(!d).matches(k))
      d = dir::original;
    return {&e, d};
  }
  void prefetch(local&, std::span<const std::uint32_t>) noexcept {}

  entry* alloc(local& l) noexcept { return slab_.alloc(l.magazine); }

  template <class Steps>
  insert_status insert(local&, entry& e, Steps& steps) noexcept {
    std::unique_lock guard(lock_);
    if (!steps.may_insert(e) && Fault != fault::ignores_refusal) return insert_status::refused;
    const insert_status status = search_both(e, steps);
    if (status != insert_status::inserted) {
      if (Fault == fault::leaves_original_after_clash) nodes_.push_back(&e.tuplehash[0]);
      return status;
    }
    if (Fault == fault::searches_before_locking) step_aside(guard);
    steps.before_link(e);
    const bool links_original = is_linked_by(e, dir::original);
    if (links_original || Fault == fault::links_both_for_one) nodes_.push_back(&e.tuplehash[0]);
    if (Fault == fault::links_in_two_steps) {
      e.status.fetch_or(status::confirmed, std::memory_order_release);  // release: as after_link
      step_aside(guard);
    }
    nodes_.push_back(&e.tuplehash[1]);
    steps.after_link(e);
    return insert_status::inserted;
  }

  void unlink(local& l, entry& e) noexcept {
    std::unique_lock guard(lock_);
    if (Fault == fault::unlinks_neighbour && nodes_.size() > 2) {
      const auto at = std::ranges::find(nodes_, &e.tuplehash[0]);
      nodes_.erase(at == nodes_.begin() ? nodes_.end() - 1 : at - 1);
    }
    std::erase(nodes_, &e.tuplehash[0]);
    if (Fault == fault::unlinks_both_for_one) {
      // As a map would: by key, whoever is there.
      const key k = e.hash_node(dir::original).key();
      std::erase_if(nodes_, [&k](const tuplehash* node) { return node->matches(k); });
    }
    if (Fault == fault::unlinks_in_two_steps) step_aside(guard);
    if (Fault != fault::keeps_reply_linked) std::erase(nodes_, &e.tuplehash[1]);
    if (Fault == fault::frees_at_unlink) slab_.free(l.magazine, e);
  }

  void free(local& l, entry& e) noexcept {
    if (Fault != fault::never_reuses) slab_.free(l.magazine, e);
  }

  template <class Want, class Take>
  bool scan(local&, std::size_t bucket, Want&& want, Take&& take) noexcept {
    if (bucket != 0) return true;  // all nodes are shown in the first one
    std::vector<tuplehash*> taken;
    const bool is_finished = look(want, taken);
    if (Fault == fault::forgets_taken_at_stop && !is_finished) taken.clear();
    for (tuplehash* node : taken) take(entry_of(*node, node->dir()), node->dir());
    return is_finished;
  }
  std::size_t bucket_count() const noexcept {
    return bucket_count_.load(std::memory_order_relaxed);  // relaxed: a number for itself
  }
  resize_status resize(local&, std::size_t buckets) noexcept {
    if (buckets > buckets_max) return resize_status::no_memory;
    std::unique_lock guard(lock_);
    if (buckets == bucket_count()) return resize_status::same_size;
    if (Fault == fault::resize_loses_one && !nodes_.empty()) nodes_.pop_back();
    if (Fault == fault::resize_doubles_one && !nodes_.empty()) nodes_.push_back(nodes_[0]);
    if (Fault == fault::resizes_beside_writers) {
      std::vector<tuplehash*> moved = nodes_;
      step_aside(guard);
      // What was linked meanwhile is lost.
      std::erase_if(moved, [&](tuplehash* node) { return !std::ranges::count(nodes_, node); });
      nodes_.swap(moved);
    }
    if (Fault == fault::resizes_beside_readers) {
      std::vector<tuplehash*> moved;
      moved.swap(nodes_);
      step_aside(guard);
      nodes_.insert(nodes_.end(), moved.begin(), moved.end());
    }
    mark_chains(buckets);
    return Fault == fault::resize_says_same_size ? resize_status::same_size
                                                 : resize_status::resized;
  }
  std::size_t bucket_of(std::uint32_t) const noexcept { return 0; }
  void quiescent(local&) noexcept {}
  std::size_t memory_bytes() const noexcept { return slab_.memory_bytes(); }
  bool is_valid() const { return true; }  // no help for the checks

 private:
  /// Each chain ends in a marker with its number, all of them in one: the chain's count.
  void mark_chains(std::size_t buckets) {
    bucket_count_.store(buckets, std::memory_order_relaxed);  // relaxed: as bucket_count()
    if (Fault != fault::resize_keeps_markers || marker_ == 0) marker_ = buckets;
  }
  bool is_marked_as(std::uint32_t hash) const {
    return hash * std::uint64_t{marker_} >> 32 == hash * std::uint64_t{bucket_count()} >> 32;
  }

  static void step_aside(std::unique_lock<sync::spinlock>& guard) {
    guard.unlock();
    std::this_thread::yield();
    guard.lock();
  }

  tuplehash* search(key k, bool is_any_zone, bool is_any_net) {
    // From the newest: what chains whose head is pushed do.
    for (std::size_t i = nodes_.size(); i-- != 0;) {
      const key other = nodes_[i]->key();
      if (is_any_zone) k.zone = other.zone;
      if (is_any_net) k.net = other.net;
      if (k == other) return nodes_[i];
    }
    return nullptr;
  }

  template <class Steps>
  insert_status search_both(entry& e, Steps& steps) {
    std::vector<dir> order = {dir::original, dir::reply};
    if (Fault == fault::names_reply_winner) std::swap(order[0], order[1]);
    if (Fault == fault::forgets_clash_on_reply) order = {dir::original};
    for (const dir d : order) {
      const key k = e.hash_node(d).key();
      std::size_t passed = 0;
      for (std::size_t i = nodes_.size(); i-- != 0;) {
        tuplehash& node = *nodes_[i];
        const bool is_same_way = Fault != fault::forgets_crossing_clash || node.dir() == d;
        if (node.matches(k) && is_same_way) {
          const clash_answer answer = steps.clash(entry_of(node, node.dir()), node.dir());
          const bool goes_on = answer == clash_answer::link_reply && Fault != fault::refuses_one;
          if (d == dir::original && goes_on) break;
          if (goes_on && Fault == fault::ignores_clash_on_reply_of_one) break;
          return insert_status::clash;
        }
        // One bucket for every hash.
        if (node.hash() != k.hash) continue;
        const std::size_t correction = Fault == fault::counts_one_node_too_many ? 1 : 0;
        const std::size_t grace = Fault == fault::counts_one_node_too_few ? 1 : 0;
        if (passed++ + correction > steps.chain_limit() + grace)
          return insert_status::chain_too_long;
      }
    }
    return insert_status::inserted;
  }

  template <class Want>
  bool look(Want&& want, std::vector<tuplehash*>& taken) {
    const std::lock_guard guard(lock_);
    const std::size_t first = Fault == fault::scan_skips_one ? 1 : 0;
    for (std::size_t i = first; i < nodes_.size(); ++i) {
      tuplehash& node = *nodes_[i];
      entry& e = entry_of(node, node.dir());
      if (Fault == fault::scan_shows_twice) want(e, node.dir());
      switch (want(e, node.dir())) {
        case scan_verdict::next:
          break;
        case scan_verdict::stop:
          if (Fault != fault::ignores_stop) return false;
          break;
        case scan_verdict::take:
          if (Fault == fault::takes_one_only && !taken.empty()) break;
          e.get();
          taken.push_back(&node);
          break;
      }
    }
    return true;
  }

  sync::spinlock lock_;
  // Guarded by lock_.
  std::vector<tuplehash*> nodes_;
  std::size_t marker_ = 0;
  std::atomic<std::size_t> bucket_count_{0};
  slab slab_;
};

using sound = faulty<fault::none>;

/// Is `found` about the letter?
void check_names(const finding& found, std::string_view letter) {
  INFO("found: " << (found.empty() ? "nothing" : found) << "; expected: " << letter);
  CHECK(found.starts_with(letter));
}

TEST_CASE("a sound table passes every check") {
  CHECK(found_under_both_tuples<sound>().empty());
  CHECK(zones_and_netns_are_separate<sound>().empty());
  CHECK(expired_goes_to_reap<sound>().empty());
  CHECK(unconfirmed_is_not_found<sound>().empty());
  CHECK(refused_leaves_nothing<sound>().empty());
  CHECK(clash_leaves_nothing_and_names_the_winner<sound>().empty());
  CHECK(reply_only_entry_comes_and_goes<sound>().empty());
  CHECK(both_tuples_in_one_bucket<sound>().empty());
  CHECK(chain_limit_is_the_kernels<sound>().empty());
  CHECK(unlink_removes_both_and_only_those<sound>().empty());
  CHECK(referenced_memory_is_not_reused<sound>().empty());
  CHECK(freed_memory_is_reused<sound>().empty());
  CHECK(scan_shows_each_once<sound>().empty());
  CHECK(scan_stops<sound>().empty());
  CHECK(take_that_leaves_entries_linked<sound>().empty());
  CHECK(take_that_unlinks<sound>().empty());
  CHECK(a_pass_removes_what_expired<sound>().empty());
  CHECK(churn<sound>().empty());
  CHECK(storm<sound>().empty());
  CHECK(both_tuples_come_and_go_together<sound>().empty());
  CHECK(resize_keeps_every_entry<sound>().empty());
  CHECK(resize_between_two_takes<sound>().empty());
  CHECK(churn_while_resizing<sound>().empty());
}

TEST_CASE("a lookup that is wrong about what it finds is found out") {
  check_names(found_under_both_tuples<faulty<fault::forgets_reference>>(), "A.3");
  check_names(zones_and_netns_are_separate<faulty<fault::ignores_zone>>(), "A.2");
  check_names(zones_and_netns_are_separate<faulty<fault::ignores_netns>>(), "A.2");
  check_names(unconfirmed_is_not_found<faulty<fault::finds_unconfirmed>>(), "A.2");
  check_names(expired_goes_to_reap<faulty<fault::returns_expired>>(), "E.1");
  check_names(expired_goes_to_reap<faulty<fault::reaps_a_jiffy_early>>(), "E.1");
  check_names(expired_goes_to_reap<faulty<fault::reaps_unreferenced>>(), "A.3");
  check_names(both_tuples_in_one_bucket<faulty<fault::answers_original_of_one_flow>>(), "A.1");
}

TEST_CASE("an insert that links what it must not, or forgets to look, is found out") {
  check_names(refused_leaves_nothing<faulty<fault::ignores_refusal>>(), "B.3");
  check_names(clash_leaves_nothing_and_names_the_winner<faulty<fault::forgets_clash_on_reply>>(),
              "C.2");
  check_names(clash_leaves_nothing_and_names_the_winner<faulty<fault::forgets_crossing_clash>>(),
              "C.2");
  check_names(clash_leaves_nothing_and_names_the_winner<faulty<fault::names_reply_winner>>(),
              "C.2");
  check_names(
      clash_leaves_nothing_and_names_the_winner<faulty<fault::leaves_original_after_clash>>(),
      "C.2");
  check_names(reply_only_entry_comes_and_goes<faulty<fault::links_both_for_one>>(), "C.1");
  check_names(reply_only_entry_comes_and_goes<faulty<fault::ignores_clash_on_reply_of_one>>(),
              "C.2");
  check_names(reply_only_entry_comes_and_goes<faulty<fault::refuses_one>>(), "B.1");
  check_names(reply_only_entry_comes_and_goes<faulty<fault::unlinks_both_for_one>>(), "D.2");
  check_names(chain_limit_is_the_kernels<faulty<fault::counts_one_node_too_few>>(), "B.4");
  check_names(chain_limit_is_the_kernels<faulty<fault::counts_one_node_too_many>>(), "B.4");
}

TEST_CASE(
    "an unlink that takes too little or too much, and memory that comes back too early or never, "
    "are found out") {
  check_names(found_under_both_tuples<faulty<fault::keeps_reply_linked>>(), "D.2");
  check_names(unlink_removes_both_and_only_those<faulty<fault::keeps_reply_linked>>(), "D.2");
  check_names(unlink_removes_both_and_only_those<faulty<fault::unlinks_neighbour>>(), "A.1");
  check_names(referenced_memory_is_not_reused<faulty<fault::frees_at_unlink>>(), "D.4");
  check_names(freed_memory_is_reused<faulty<fault::never_reuses>>(), "D.4");
}

TEST_CASE("a scan that skips, repeats, does not stop or loses what was taken is found out") {
  check_names(scan_shows_each_once<faulty<fault::scan_skips_one>>(), "E.2");
  check_names(scan_shows_each_once<faulty<fault::scan_shows_twice>>(), "E.2");
  check_names(scan_stops<faulty<fault::ignores_stop>>(), "E.2");
  check_names(scan_stops<faulty<fault::forgets_taken_at_stop>>(), "E.2");
  check_names(take_that_leaves_entries_linked<faulty<fault::takes_one_only>>(), "E.2");
  check_names(take_that_unlinks<faulty<fault::takes_one_only>>(), "E.2");
  check_names(a_pass_removes_what_expired<faulty<fault::scan_skips_one>>(), "E.2");
}

TEST_CASE("four threads find a lookup that does not look again after it took its reference") {
  check_names(churn<faulty<fault::skips_recheck>>(), "A.2");
}

TEST_CASE("four threads find an insert that searches, lets go and links") {
  CHECK_FALSE(churn<faulty<fault::searches_before_locking>>().empty());
  check_names(storm<faulty<fault::searches_before_locking>>(), "C.2");
}

TEST_CASE("four threads find tuples that do not come or do not go together") {
  check_names(both_tuples_come_and_go_together<faulty<fault::links_in_two_steps>>(), "B.2");
  check_names(both_tuples_come_and_go_together<faulty<fault::unlinks_in_two_steps>>(), "D.3");
}

TEST_CASE("a resize that loses, doubles, keeps old end markers or lies is found out") {
  check_names(resize_keeps_every_entry<faulty<fault::resize_loses_one>>(),
              "F.1 a tuplehash was lost after a resize to 128");
  check_names(resize_keeps_every_entry<faulty<fault::resize_doubles_one>>(),
              "F.1 a tuplehash was doubled after a resize to 128");
  check_names(resize_keeps_every_entry<faulty<fault::resize_keeps_markers>>(),
              "F.1 a lookup of an absent key begins again after a resize to 128");
  check_names(resize_keeps_every_entry<faulty<fault::resize_says_same_size>>(),
              "F.1 a resize says");
  check_names(resize_between_two_takes<faulty<fault::resize_loses_one>>(), "F.1");
}

TEST_CASE("threads find a resize that lets writers or readers in while it moves") {
  CHECK_FALSE(churn_while_resizing<faulty<fault::resizes_beside_writers>>().empty());
  // Whichever comes first: a lookup that misses (F.2), or the rival that it lets in (C.1).
  CHECK_FALSE(churn_while_resizing<faulty<fault::resizes_beside_readers>>().empty());
}

}  // namespace
}  // namespace ct::core::checks
