// SPDX-License-Identifier: BSD-2-Clause
/// Random small histories of a table that keeps the contract, and what is left of them when an
/// answer is changed: mostly forbidden, then.
///
/// A few threads run over a table of steps (met, judged, stored; claimed, unlinked, unlinked),
/// which a dice interleaves; a reaper is one of them. Stamps advance with two of three events.
#pragma once

#include "harness/check/history.h"
#include "spec/random.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace ct::check {

struct history_shape {
  std::size_t operations = 8;
  std::size_t threads = 3;
  std::uint32_t flows = 2;
  bool has_time = false;
  bool has_nat = true;
  bool has_created = true;
  bool has_walks = true;
  bool has_halves = false;  ///< a confirm makes one tuple visible before the other
};

class random_history {
 public:
  random_history(const history_shape& shape, random_source& dice) : shape_(shape), dice_(dice) {
    threads_.resize(shape.threads);
  }

  std::vector<operation> make() {
    for (;;) {
      const std::size_t t = chance(shape_.threads + 1);
      if (chance(3) != 0) ++stamp_;
      if (t == shape_.threads) {
        reap();
        continue;
      }
      thread& on = threads_[t];
      if (on.now) {
        step(on);
      } else if (begun_ < shape_.operations) {
        begin(on, t);
      } else if (std::ranges::none_of(threads_,
                                      [](const thread& x) { return x.now.has_value(); })) {
        break;
      }
    }
    std::ranges::stable_sort(history_, {}, &operation::call);
    return history_;
  }

  /// One answer is another now, or one interval shorter.
  static void spoil(std::vector<operation>& history, random_source& dice);

 private:
  struct conn {
    std::uint64_t id = 0;
    std::uint32_t keys[2] = {0, 0};
    std::uint32_t deadline = 0;
    unsigned links = 0;
    bool is_claimed = false;
    bool is_reaped = false;
    bool is_half = false;
  };
  struct thread {
    std::optional<operation> now;
    unsigned phase = 0;
    std::size_t at = 0;
    std::uint64_t holds = 0;  // unconfirmed
    std::uint32_t holds_key = 0;
  };
  std::size_t chance(std::size_t of) { return dice_.below(static_cast<std::uint32_t>(of)); }
  std::size_t linked(std::uint32_t key) const {
    for (std::size_t i = 0; i < conns_.size(); ++i) {
      const conn& c = conns_[i];
      if (((c.links & 1U) != 0 && c.keys[0] == key) || ((c.links & 2U) != 0 && c.keys[1] == key)) {
        return i;
      }
    }
    return conns_.size();
  }
  void begin(thread& on, std::size_t number);
  void step(thread& on);
  void lookup(thread& on);
  void judge_found(thread& on);
  void confirm(thread& on);
  void kill(thread& on);
  void flush(thread& on);
  void create(thread& on);
  void reap();
  std::uint32_t new_deadline(std::uint32_t timeout) const {
    return timeout == 0 ? std::numeric_limits<std::uint32_t>::max() : clock_ + timeout;
  }
  void unlink(conn& c) { c.links = c.links == 3 ? 2 : 0; }
  void end(thread& on, answer a) {
    on.now->answer = a;
    on.now->ret = stamp_;
    on.now->now_hi = clock_;
    history_.push_back(*on.now);
    on.now.reset();
  }

  history_shape shape_;
  random_source& dice_;
  std::vector<operation> history_;
  std::vector<thread> threads_;
  std::vector<conn> conns_;
  std::vector<std::size_t> walked_;
  std::uint64_t stamp_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint32_t clock_ = 1000;
  std::size_t begun_ = 0;
};

inline void random_history::begin(thread& on, std::size_t number) {
  operation op;
  op.call = ++stamp_;
  op.thread = static_cast<std::uint16_t>(number);
  op.now_lo = clock_;
  op.key = static_cast<std::uint32_t>(chance(2 * shape_.flows));
  op.timeout = shape_.has_time ? static_cast<std::uint32_t>(3 + chance(3)) : 0;
  ++begun_;
  on.phase = 0;
  const std::size_t what = chance(20);
  if (on.holds != 0 && chance(4) != 0) {
    op.verb = verb::confirm;
    op.id = on.holds;
    op.key = on.holds_key;
    op.other = op.key ^ 1U;
    if (shape_.has_nat && chance(8) == 0) {
      op.other = static_cast<std::uint32_t>(2 * shape_.flows + chance(2));
    }
    on.holds = 0;
  } else if (what < 6) {
    op.verb = verb::find;
  } else if (what < 12) {
    op.verb = verb::in;
  } else if (what < 16) {
    op.verb = verb::kill;
  } else if (what < 17 && shape_.has_walks) {
    op.verb = verb::flush;
  } else if (what < 18 && shape_.has_created) {
    op.verb = verb::create;
  } else {
    op.verb = shape_.has_time ? verb::advance : verb::find;
  }
  on.now = op;
}

inline void random_history::step(thread& on) {
  switch (on.now->verb) {
    case verb::find:
    case verb::in:
      return lookup(on);
    case verb::confirm:
      return confirm(on);
    case verb::kill:
      return kill(on);
    case verb::flush:
      return flush(on);
    case verb::create:
      return create(on);
    default:
      clock_ += static_cast<std::uint32_t>(1 + chance(3));
      return end(on, answer::none);
  }
}

inline void random_history::lookup(thread& on) {
  operation& op = *on.now;
  const bool is_in = op.verb == verb::in;
  if (on.phase == 0) {
    on.at = linked(op.key);
    on.phase = on.at == conns_.size() ? 2 : 1;
  } else if (on.phase == 1) {
    judge_found(on);
  } else if (on.phase == 2) {
    if (!is_in) return end(on, answer::missed);
    op.id = ++last_id_;
    on.holds = op.id;
    on.holds_key = op.key;
    end(on, answer::made);
  } else if (on.phase == 3) {
    if (op.timeout != 0) conns_[on.at].deadline = new_deadline(op.timeout);
    end(on, answer::found);
  }
}

inline void random_history::judge_found(thread& on) {
  operation& op = *on.now;
  const conn& c = conns_[on.at];
  if (c.deadline <= clock_) {
    on.phase = 2;
    return;
  }
  op.id = c.id;
  op.is_reply = c.keys[1] == op.key;
  if (op.verb == verb::in) {
    on.phase = 3;
  } else {
    end(on, answer::found);
  }
}

inline void random_history::confirm(thread& on) {
  operation& op = *on.now;
  if (on.phase == 1) {
    conns_[on.at].links = 3;
    conns_[on.at].is_half = false;
    return end(on, answer::inserted);
  }
  const std::size_t first = linked(op.key);
  const std::size_t second = linked(op.other);
  conn fresh{.id = op.id,
             .keys = {op.key, op.other},
             .deadline = new_deadline(op.timeout),
             .links = 3};
  if (first == conns_.size() && second == conns_.size()) {
    if (shape_.has_halves && chance(2) == 0) {
      fresh.links = 1;
      fresh.is_half = true;
      // Nobody else may take the other key meanwhile: in a small table, that nobody does.
      on.at = conns_.size();
      on.phase = 1;
      conns_.push_back(fresh);
      return;
    }
    conns_.push_back(fresh);
    return end(on, answer::inserted);
  }
  const conn& w = conns_[first == conns_.size() ? second : first];
  const bool is_same = (w.keys[0] == op.key && w.keys[1] == op.other) ||
                       (w.keys[1] == op.key && w.keys[0] == op.other);
  if (is_same && !w.is_half && w.id != 0 && chance(3) != 0) {
    op.number = w.id;
    return end(on, answer::merged);
  }
  if (!is_same && second == conns_.size() && chance(2) == 0) {
    fresh.links = 2;
    conns_.push_back(fresh);
    return end(on, answer::inserted);
  }
  end(on, answer::clashed);
}

inline void random_history::kill(thread& on) {
  operation& op = *on.now;
  if (on.phase == 0) {
    on.at = linked(op.key);
    if (on.at == conns_.size()) return end(on, answer::lost);
    on.phase = 1;
    return;
  }
  conn& c = conns_[on.at];
  if (on.phase == 1) {
    if (c.deadline <= clock_) return end(on, answer::lost);
    on.phase = 2;
  } else if (on.phase == 2) {
    if (c.is_claimed || c.is_half) return c.is_half ? void() : end(on, answer::lost);
    c.is_claimed = true;
    on.phase = 3;
  } else {
    unlink(c);
    if (c.links == 0) end(on, answer::won);
  }
}

inline void random_history::flush(thread& on) {
  operation& op = *on.now;
  if (on.phase == 0) {
    if (!walked_.empty()) return;  // one at a time
    walked_ = {0};
    for (std::size_t i = 0; i < conns_.size(); ++i) {
      if ((conns_[i].links & 2U) != 0 && !conns_[i].is_half) walked_.push_back(i);
    }
    on.phase = 1;
    return;
  }
  if (walked_.size() == 1) {
    walked_.clear();
    return end(on, answer::none);
  }
  conn& c = conns_[walked_.back()];
  if (on.phase == 1) {
    if (c.is_claimed) {
      walked_.pop_back();
    } else {
      c.is_claimed = true;
      on.phase = 2;
    }
    return;
  }
  unlink(c);
  if (c.links != 0) return;
  ++op.number;
  on.phase = 1;
  walked_.pop_back();
}

inline void random_history::create(thread& on) {
  operation& op = *on.now;
  const bool is_free = linked(op.key) == conns_.size() && linked(op.key ^ 1U) == conns_.size();
  if (!is_free) return end(on, answer::clashed);
  conns_.push_back({.id = ++last_id_,
                    .keys = {op.key, op.key ^ 1U},
                    .deadline = new_deadline(op.timeout),
                    .links = 3});
  end(on, answer::inserted);
}

inline void random_history::reap() {
  for (conn& c : conns_) {
    if (c.links == 0) continue;
    if (c.is_reaped) {
      if (chance(2) == 0) unlink(c);
    } else if (!c.is_claimed && !c.is_half && c.deadline <= clock_ && chance(3) == 0) {
      c.is_claimed = c.is_reaped = true;
    }
  }
}

inline void random_history::spoil(std::vector<operation>& history, random_source& dice) {
  const auto chance = [&](std::size_t of) { return dice.below(static_cast<std::uint32_t>(of)); };
  operation& op = history[chance(history.size())];
  const std::uint64_t some_id = history[chance(history.size())].id;
  switch (op.answer) {
    case answer::found:
      if (chance(2) == 0 && op.verb == verb::find) {
        op.answer = answer::missed;
        op.id = 0;
      } else if (some_id != 0) {
        op.id = some_id;
      } else {
        op.is_reply = !op.is_reply;
      }
      return;
    case answer::missed:
      if (some_id == 0) return;
      op.answer = answer::found;
      op.id = some_id;
      return;
    case answer::inserted:
      if (op.verb == verb::create || chance(2) == 0) op.answer = answer::clashed;
      return;
    case answer::clashed:
    case answer::merged:
      op.answer = answer::inserted;
      op.number = 0;
      return;
    case answer::won:
      op.answer = answer::lost;
      return;
    case answer::lost:
      op.answer = answer::won;
      return;
    default:
      if (op.call < op.ret) --op.ret;
      return;
  }
}

}  // namespace ct::check
