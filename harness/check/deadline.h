// SPDX-License-Identifier: BSD-2-Clause
/// When an entry may expire: every value that its timeout may have at this moment.
///
/// A confirm and each packet after it store `clock + timeout`, at some moment of their interval and
/// with a clock that is known to a window. Of stores that overlap any may be the last one; a store
/// that had ended when another began is over when that one has ended. So the timeout is one of a
/// handful of windows, usually of one.
///
/// Limits: two values that were never there at once are taken for possible in any order; that
/// allows more, never less.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace ct::check {

/// Places of the operations that are under way in a partition.
class place_set {
 public:
  static constexpr std::size_t size = 128;
  bool has(std::size_t i) const { return (words_[i >> 6] >> (i & 63U) & 1U) != 0; }
  void add(std::size_t i) { words_[i >> 6] |= bit(i); }
  void remove(std::size_t i) { words_[i >> 6] &= ~bit(i); }
  bool is_empty() const { return (words_[0] | words_[1]) == 0; }
  bool contains(const place_set& o) const {
    return (o.words_[0] & ~words_[0]) == 0 && (o.words_[1] & ~words_[1]) == 0;
  }
  place_set without(const place_set& o) const {
    place_set left;
    for (std::size_t i = 0; i < words_.size(); ++i) left.words_[i] = words_[i] & ~o.words_[i];
    return left;
  }
  std::uint64_t word(std::size_t i) const { return words_[i]; }
  /// The lowest one that is not in it; `size`: all are.
  std::size_t lowest_free() const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      if (~words_[i] != 0) return i * 64 + static_cast<std::size_t>(__builtin_ctzll(~words_[i]));
    }
    return size;
  }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      for (std::uint64_t left = words_[i]; left != 0; left &= left - 1) {
        visit(i * 64 + static_cast<std::size_t>(__builtin_ctzll(left)));
      }
    }
  }
  friend bool operator==(const place_set&, const place_set&) = default;

 private:
  static std::uint64_t bit(std::size_t i) { return std::uint64_t{1} << (i & 63U); }
  std::array<std::uint64_t, size / 64> words_{};
};

/// A window of the clock, in jiffies that do not wrap.
struct clock_window {
  std::int64_t lo = 0;
  std::int64_t hi = 0;
};

class deadline {
 public:
  static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

  /// The operation at `place` may store one of these values from now on.
  void begin(std::size_t place, clock_window value) {
    active_.push_back({.value = value, .place = place});
  }
  /// It has stored by now.
  void end(std::size_t place, std::uint64_t call, std::uint64_t ret) {
    const auto at =
        std::ranges::find_if(active_, [&](const active& a) { return a.place == place; });
    if (at == active_.end()) return;
    const clock_window value = at->value;
    *at = active_.back();
    active_.pop_back();
    std::erase_if(ended_, [&](const ended& e) { return e.ret < call; });
    add(value, ret);
  }
  /// It will not.
  void forget(std::size_t place) {
    std::erase_if(active_, [&](const active& a) { return a.place == place; });
  }
  /// What another entry's timeout may be, this one's may be too.
  void absorb(const deadline& other, std::uint64_t ret) {
    for (const ended& e : other.ended_) add(e.value, e.ret);
    for (const active& a : other.active_) add(a.value, ret);
  }
  void rename_places(const std::array<std::uint8_t, place_set::size>& to) {
    for (active& a : active_) a.place = to[a.place];
  }

  /// Of the stores whose operations have got as far as `done`; `never` if there are none.
  std::int64_t earliest(const place_set& done) const {
    std::int64_t lo = never;
    for (const ended& e : ended_) lo = std::min(lo, e.value.lo);
    for (const active& a : active_) {
      if (done.has(a.place)) lo = std::min(lo, a.value.lo);
    }
    return lo;
  }
  std::int64_t latest(const place_set& done) const {
    bool is_known = false;
    std::int64_t hi = std::numeric_limits<std::int64_t>::min();
    for (const ended& e : ended_) {
      hi = std::max(hi, e.value.hi);
      is_known = true;
    }
    for (const active& a : active_) {
      if (!done.has(a.place)) continue;
      hi = std::max(hi, a.value.hi);
      is_known = true;
    }
    return is_known ? hi : never;
  }
  /// Whoever may have stored.
  std::int64_t earliest() const {
    std::int64_t lo = never;
    for (const ended& e : ended_) lo = std::min(lo, e.value.lo);
    for (const active& a : active_) lo = std::min(lo, a.value.lo);
    return lo;
  }
  bool is_being_stored() const { return !active_.empty(); }

 private:
  struct ended {
    clock_window value;
    std::uint64_t ret;  // of the last operation that stored one of these
  };
  struct active {
    clock_window value;
    std::size_t place;
  };
  void add(clock_window value, std::uint64_t ret) {
    for (ended& e : ended_) {
      if (e.value.lo != value.lo || e.value.hi != value.hi) continue;
      e.ret = std::max(e.ret, ret);
      return;
    }
    ended_.push_back({.value = value, .ret = ret});
  }
  std::vector<ended> ended_;
  std::vector<active> active_;
};

}  // namespace ct::check
