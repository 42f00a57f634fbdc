// SPDX-License-Identifier: BSD-2-Clause
/// What one thread does, written down as it does it: operations with their stamps, in chunks.
///
///     recorder r(clock, sink, thread);
///     r.rest(now());                       // before the first, and after every pause
///     const found = cpu.find(...);
///     r.end({.verb = verb::find, ...}, now());
///
/// There is one read of the clock an operation: it begins where the one before it ended, unless
/// the thread has rested meanwhile. That is earlier than the call, which an interval may be.
///
/// Nothing is shared: a chunk is the thread's own until it is full; then the sink has it, and gives
/// another one. Limit: what the thread does between two operations belongs to the second one's
/// interval, about 20 ns.
#pragma once

#include "harness/check/history.h"
#include "harness/check/stamp.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace ct::check {

struct chunk {
  static constexpr std::size_t capacity = 4096;  // 256 KiB

  std::array<operation, capacity> operations;
  std::size_t count = 0;
};

/// Where full chunks go. Called by recording threads.
class chunk_sink {
 public:
  virtual ~chunk_sink() = default;
  /// Takes a full one and gives an empty one.
  virtual std::unique_ptr<chunk> trade(std::unique_ptr<chunk> full) = 0;
};

/// Keeps the chunks of one thread, until they are taken.
class memory_sink final : public chunk_sink {
 public:
  /// Room for that many operations is made, and touched, now.
  explicit memory_sink(std::size_t operations) {
    for (std::size_t i = 0; i <= operations / chunk::capacity; ++i) {
      empty_.push_back(std::make_unique<chunk>());
    }
  }

  std::unique_ptr<chunk> trade(std::unique_ptr<chunk> full) override {
    full_.push_back(std::move(full));
    if (empty_.empty()) return std::make_unique<chunk>();
    std::unique_ptr<chunk> next = std::move(empty_.back());
    empty_.pop_back();
    return next;
  }

  /// All of them, in order; their room is used again.
  std::vector<operation> take() {
    std::vector<operation> all;
    for (auto& one : full_) {
      all.insert(all.end(), one->operations.begin(), one->operations.begin() + one->count);
      empty_.push_back(std::move(one));
    }
    full_.clear();
    return all;
  }

 private:
  std::vector<std::unique_ptr<chunk>> empty_;
  std::vector<std::unique_ptr<chunk>> full_;
};

class recorder {
 public:
  recorder(const stamp_clock& clock, chunk_sink& sink, std::uint16_t thread)
      : clock_(clock), sink_(sink), thread_(thread), chunk_(std::make_unique<chunk>()) {}
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;
  /// Hands over what there is.
  void flush() {
    if (chunk_->count != 0) hand_over();
  }

  /// The next operation begins now, and not where the last one ended.
  void rest(std::uint32_t now) noexcept {
    last_stamp_ = clock_.now();
    last_now_ = now;
  }
  /// The operation has ended: everything of it is given but stamps, times and thread.
  void end(operation done, std::uint32_t now) {
    done.call = last_stamp_;
    done.ret = last_stamp_ = clock_.now();
    done.now_lo = last_now_;
    done.now_hi = last_now_ = now;
    push(done);
  }
  /// As `end`, of what belongs to the operation before: it has its stamps and times.
  void add(operation part) {
    part.call = last_.call;
    part.ret = last_.ret;
    part.now_lo = last_.now_lo;
    part.now_hi = last_.now_hi;
    push(part);
  }

 private:
  struct interval {
    std::uint64_t call = 0;
    std::uint64_t ret = 0;
    std::uint32_t now_lo = 0;
    std::uint32_t now_hi = 0;
  };

  void push(operation& done) {
    done.thread = thread_;
    last_ = {done.call, done.ret, done.now_lo, done.now_hi};
    chunk_->operations[chunk_->count++] = done;
    if (chunk_->count == chunk::capacity) hand_over();
  }
  void hand_over() {
    chunk_ = sink_.trade(std::move(chunk_));
    chunk_->count = 0;
  }

  const stamp_clock clock_;
  chunk_sink& sink_;
  const std::uint16_t thread_;
  std::unique_ptr<chunk> chunk_;
  std::uint64_t last_stamp_ = 0;
  std::uint32_t last_now_ = 0;
  interval last_;
};

}  // namespace ct::check
