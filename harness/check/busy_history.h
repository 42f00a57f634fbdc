// SPDX-License-Identifier: BSD-2-Clause
/// Long histories for tests and timing: threads over a table of steps, one step of a random thread
/// at each stamp. 60 % lookups, 30 % packets (each new one confirmed and put), 10 % kills.
#pragma once

#include "harness/check/history.h"
#include "spec/random.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ct::check {

struct busy_load {
  std::size_t operations;
  std::size_t threads;
  std::uint32_t flows;
};

class busy_history {
 public:
  explicit busy_history(const busy_load& l)
      : load_(l), dice_(7), at_key_(std::size_t{2} * l.flows, -1), threads_(l.threads) {}

  std::vector<operation> run() {
    const auto is_busy = [](const thread& t) { return t.is_busy; };
    while (history_.size() < load_.operations || std::ranges::any_of(threads_, is_busy)) {
      ++stamp_;
      thread& t = threads_[dice_.below(static_cast<std::uint32_t>(threads_.size()))];
      if (t.is_busy) {
        step(t);
      } else if (history_.size() < load_.operations) {
        begin(t);
      }
    }
    std::ranges::sort(history_, {}, &operation::call);
    return std::move(history_);
  }

 private:
  struct conn {
    std::uint64_t id;
    std::uint32_t key;
    bool is_claimed;
  };
  struct thread {
    operation op;
    bool is_busy = false;
    unsigned phase = 0;
    int met = -1;
    std::uint64_t holds = 0;
    std::uint32_t key = 0;
    bool is_unconfirmed = false;
  };

  void begin(thread& t) {
    t.op = {};
    t.op.call = stamp_;
    t.op.now_lo = t.op.now_hi = clock();
    t.is_busy = true;
    t.phase = 0;
    t.op.id = t.holds;
    t.op.key = t.key;
    if (t.is_unconfirmed) {
      t.op.verb = verb::confirm;
      t.op.other = t.key ^ 1U;
      t.op.timeout = 1000;
      return;
    }
    if (t.holds != 0) {
      t.op.verb = verb::put;
      return;
    }
    t.op.key = dice_.below(2 * load_.flows);
    const std::uint32_t what = dice_.below(10);
    t.op.verb = what < 6 ? verb::find : what < 9 ? verb::in : verb::kill;
    t.op.timeout = t.op.verb == verb::in ? 1000 : 0;
  }
  void end(thread& t, answer a) {
    t.op.answer = a;
    t.op.ret = stamp_;
    t.op.now_hi = clock();
    t.is_busy = false;
    history_.push_back(t.op);
  }
  void step(thread& t) {
    operation& op = t.op;
    if (op.verb == verb::put) {
      t.holds = 0;
      return end(t, answer::none);
    }
    if (op.verb == verb::confirm) return confirm(t);
    if (t.phase == 0) {
      t.met = at_key_[op.key];
      ++t.phase;
    } else if (op.verb == verb::kill) {
      kill(t);
    } else {
      lookup(t);
    }
  }
  void lookup(thread& t) {
    operation& op = t.op;
    if (t.met < 0 && op.verb == verb::find) return end(t, answer::missed);
    op.id = t.met < 0 ? ++last_id_ : conns_[static_cast<std::size_t>(t.met)].id;
    op.is_reply = t.met >= 0 && conns_[static_cast<std::size_t>(t.met)].key != op.key;
    if (op.verb == verb::in) {
      t.holds = op.id;
      t.key = op.key;
      t.is_unconfirmed = t.met < 0;
    }
    end(t, t.met < 0 ? answer::made : answer::found);
  }
  void confirm(thread& t) {
    operation& op = t.op;
    t.is_unconfirmed = false;
    const int there = std::max(at_key_[op.key], at_key_[op.other]);
    if (there >= 0) {
      op.number = t.holds = conns_[static_cast<std::size_t>(there)].id;
      return end(t, answer::merged);
    }
    at_key_[op.key] = at_key_[op.other] = static_cast<int>(conns_.size());
    conns_.push_back({.id = op.id, .key = op.key, .is_claimed = false});
    end(t, answer::inserted);
  }
  void kill(thread& t) {
    if (t.met < 0) return end(t, answer::lost);
    conn& c = conns_[static_cast<std::size_t>(t.met)];
    if (t.phase == 1) {
      if (c.is_claimed) return end(t, answer::lost);
      c.is_claimed = true;
    } else if (t.phase == 2) {
      at_key_[c.key] = -1;
    } else {
      at_key_[c.key ^ 1U] = -1;
      return end(t, answer::won);
    }
    ++t.phase;
  }
  std::uint32_t clock() const { return 1000 + static_cast<std::uint32_t>(stamp_ / 100000); }

  busy_load load_;
  random_source dice_;
  std::vector<int> at_key_;  // [key] index into conns_; -1: none
  std::vector<thread> threads_;
  std::vector<conn> conns_;
  std::vector<operation> history_;
  std::uint64_t stamp_ = 0;
  std::uint64_t last_id_ = 0;
};

}  // namespace ct::check
