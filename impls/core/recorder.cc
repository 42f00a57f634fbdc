// SPDX-License-Identifier: BSD-2-Clause
/// From marks to steps.
#include "impls/core/recorder.h"

#include "impls/core/netns.h"
#include "spec/jiffies.h"

#include <atomic>
#include <bit>
#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ct::core {
namespace {

/// Numbers from 1 on, the smallest free one first.
class small_numbers {
 public:
  std::uint32_t take() {
    if (free_.empty()) return ++last_;
    const std::uint32_t smallest = free_.top();
    free_.pop();
    return smallest;
  }
  void give_back(std::uint32_t number) { free_.push(number); }

 private:
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> free_;
  std::uint32_t last_ = 0;
};

/// Names keys, as long as somebody needs their flow.
class flow_names {
 public:
  explicit flow_names(const l4proto_list& l4protos) : l4protos_(l4protos) {}

  /// The name of a key, whose flow is needed once more from now on.
  trace_key need(const ct::key& k);
  void release(const trace_key& named);
  std::uint32_t netns_number(std::uint64_t id);

 private:
  struct key_hash {
    std::size_t operator()(const ct::key& k) const;
  };
  struct flow {
    ct::key original;
    ct::key reply;
    std::size_t users = 0;
  };
  ct::key inverse(const ct::key& k) const;

  const l4proto_list& l4protos_;
  std::unordered_map<ct::key, trace_key, key_hash> names_;
  std::unordered_map<std::uint32_t, flow> flows_;           // [number]
  std::unordered_map<std::uint64_t, std::uint32_t> netns_;  // [id]: its number
  small_numbers numbers_;
};

class recorder final : public observer {
 public:
  recorder(trace_sink& to, const l4proto_list& l4protos, std::uint64_t jiffies64)
      : to_(to), flows_(l4protos), now_(jiffies64) {}

  std::size_t attach() noexcept override;
  void detach(std::size_t cpu) noexcept override;
  void on(std::size_t cpu, action what, const subject& about) noexcept override;

 private:
  /// How far the machine's CPU is, as coarsely as that matters here.
  enum class stage : std::uint8_t {
    idle,
    lookup,
    missed,  // nothing was found; GiveUp, if nothing comes of it
    make,    // a place is reserved, or wanted
    track,
    confirm,  // tracked; Drop, if nothing comes of it
    work,     // the entry at hand is inserted, delivered or killed
    release,
    walk,
    resize,
  };
  struct cpu_row {
    std::uint32_t number = 0;
    bool is_attached = false;
    stage at = stage::idle;
    stage then = stage::idle;  // once the entry at hand is put
    const nf_conn* ct = nullptr;
    trace_key want{};  // flow 0: none
    /// Track of a new entry, until the next step: NAT, which the machine has first, comes after it.
    std::optional<trace_step> untold{};
    std::uint64_t exit_of = 0;  // 1 + id of the netns that the walk visits; 0: all
  };
  struct entry_row {
    std::uint32_t number = 0;
    trace_key original{};
    trace_key reply{};  // flow 0: the inverse of original
  };

  void on_system(action what, const subject& about);
  bool on_lookup(cpu_row& row, action what, const subject& about);
  bool on_packet(cpu_row& row, action what, const subject& about);
  bool on_kill(cpu_row& row, action what, const subject& about);
  void on_walk(cpu_row& row, action what, const subject& about);

  void settle(cpu_row& row, action next);
  void look_up(cpu_row& row, const key& k);
  void reserve(cpu_row& row, const key& k);
  void alloc(cpu_row& row, const nf_conn& ct);
  void alter_reply(cpu_row& row, const nf_conn& ct);
  void track(cpu_row& row);
  void put(cpu_row& row);
  void become_idle(cpu_row& row, stage at);
  void free(const nf_conn& ct);

  /// A step of this CPU, which is there afterwards.
  void go(cpu_row& row, action what, stage to);
  /// It takes that entry.
  void take(cpu_row& row, action what, const nf_conn& ct, stage to);
  void expect(const cpu_row& row, stage at, const char* what);
  std::uint32_t left(const nf_conn& ct) const;
  std::uint32_t number_of(const nf_conn& ct);
  void tell(const trace_step& step);
  void stop(const char* why);

  trace_sink& to_;
  flow_names flows_;
  std::uint64_t now_;
  std::vector<cpu_row> cpus_;
  std::unordered_map<const nf_conn*, entry_row> entries_;
  small_numbers numbers_;
  bool is_stopped_ = false;
};

std::size_t flow_names::key_hash::operator()(const ct::key& k) const {
  constexpr std::uint64_t odd = 0x9e37'79b9'7f4a'7c15;
  std::uint64_t mixed = std::uint64_t{k.net} << 16 | k.zone;
  for (const std::uint64_t word : k.words) mixed = std::rotl((mixed ^ word) * odd, 29);
  return mixed;
}

/// What has no inverse is its own.
ct::key flow_names::inverse(const ct::key& k) const {
  const std::optional<tuple> reply = invert_tuple(std::bit_cast<tuple>(k.words), l4protos_);
  ct::key inverted = k;
  if (reply) inverted.words = words(*reply);
  inverted.words[4] &= ~direction_bits;
  return inverted;
}

trace_key flow_names::need(const ct::key& k) {
  const auto known = names_.find(k);
  if (known != names_.end()) {
    ++flows_.at(known->second.flow).users;
    return known->second;
  }
  const trace_key named{.netns = netns_number(k.net), .flow = numbers_.take()};
  trace_key other = named;
  other.is_reply = true;
  const flow made{.original = k, .reply = inverse(k), .users = 1};
  names_.emplace(made.original, named);
  names_.emplace(made.reply, other);  // nothing, if it is its own inverse
  flows_.emplace(named.flow, made);
  return named;
}

void flow_names::release(const trace_key& named) {
  const auto at = flows_.find(named.flow);
  if (at == flows_.end() || --at->second.users != 0) return;
  names_.erase(at->second.original);
  names_.erase(at->second.reply);
  flows_.erase(at);
  numbers_.give_back(named.flow);
}

std::uint32_t flow_names::netns_number(std::uint64_t id) {
  return netns_.try_emplace(id, static_cast<std::uint32_t>(netns_.size() + 1)).first->second;
}

std::size_t recorder::attach() noexcept {
  std::size_t cpu = 0;
  while (cpu < cpus_.size() && cpus_[cpu].is_attached) ++cpu;
  if (cpu == cpus_.size()) cpus_.emplace_back();
  cpus_[cpu] = {.number = static_cast<std::uint32_t>(cpu + 1), .is_attached = true};
  return cpu;
}

void recorder::detach(std::size_t cpu) noexcept {
  settle(cpus_[cpu], action::packet);
  cpus_[cpu].is_attached = false;
}

void recorder::on(std::size_t cpu, action what, const subject& about) noexcept {
  if (is_stopped_) return;
  if (what == action::free || what == action::uncount || what == action::tick ||
      what == action::redeliver) {
    return on_system(what, about);
  }
  cpu_row& row = cpus_[cpu];
  settle(row, what);
  if (on_lookup(row, what, about) || on_packet(row, what, about) || on_kill(row, what, about)) {
    return;
  }
  on_walk(row, what, about);
}

/// What no CPU does.
void recorder::on_system(action what, const subject& about) {
  switch (what) {
    case action::free:
      return free(*about.ct);
    case action::uncount:
      return tell({.action = what, .key = {.netns = flows_.netns_number(about.number)}});
    case action::tick:
      if (about.number <= now_) return;
      tell({.action = what, .number = static_cast<std::uint32_t>(about.number - now_)});
      now_ = about.number;
      return;
    default:
      return tell({.action = what, .entry = number_of(*about.ct)});
  }
}

bool recorder::on_lookup(cpu_row& row, action what, const subject& about) {
  switch (what) {
    case action::packet:
      look_up(row, *about.wanted);
      return true;
    case action::find_get:
      take(row, what, *about.ct, stage::track);
      return true;
    case action::find_expired:
      take(row, what, *about.ct, stage::work);
      row.then = stage::missed;
      return true;
    case action::find_miss:
      // Not after an expired one: that was the miss.
      if (row.at == stage::lookup) go(row, what, stage::missed);
      return true;
    case action::reserve:
      reserve(row, *about.wanted);
      return true;
    case action::early_drop:
      take(row, what, *about.ct, stage::work);
      row.then = stage::make;
      return true;
    case action::refuse:
      go(row, what, stage::idle);
      become_idle(row, stage::idle);
      return true;
    case action::alloc:
      alloc(row, *about.ct);
      return true;
    default:
      return false;
  }
}

/// What happens to the entry at hand while it lives.
bool recorder::on_packet(cpu_row& row, action what, const subject& about) {
  switch (what) {
    case action::track:
      if (row.at == stage::track) track(row);
      return true;
    case action::alter_reply:
      alter_reply(row, *about.ct);
      return true;
    case action::confirm:
    case action::insert_original:
    case action::insert_reply:
    case action::publish:
      go(row, what, stage::work);
      return true;
    case action::link_reply:
      row.at = stage::work;
      tell({.action = what, .cpu = row.number, .number = left(*about.ct)});
      return true;
    case action::confirm_dying:
    case action::clash_drop:
    case action::chain_too_long:
      go(row, what, stage::release);
      return true;
    case action::merge:
      take(row, what, *about.ct, stage::work);
      return true;
    case action::deliver:
      // Of what was killed nothing more is told.
      if (row.at != stage::release) go(row, what, stage::release);
      return true;
    case action::put:
      if (about.ct == row.ct) put(row);
      return true;
    default:
      return false;
  }
}

bool recorder::on_kill(cpu_row& row, action what, const subject& about) {
  switch (what) {
    case action::kill:
      if (about.ct->is_confirmed()) {
        go(row, what, stage::work);
      } else {
        go(row, action::kill_unconfirmed, stage::confirm);
      }
      return true;
    case action::reap:
    case action::claim:
    case action::tell:
    case action::unlink_original:
    case action::unlink_reply:
      if (about.ct == row.ct) go(row, what, stage::work);
      return true;
    case action::tell_refused:
      tell({.action = action::stall});
      go(row, what, stage::work);
      tell({.action = action::recover});
      return true;
    case action::claim_lost:
    case action::spare:
      if (about.ct == row.ct && row.at == stage::work) go(row, what, stage::release);
      return true;
    case action::put_table:
    case action::park:
      go(row, what, stage::release);
      return true;
    default:
      return false;
  }
}

/// gc_worker, walks, resizes.
void recorder::on_walk(cpu_row& row, action what, const subject& about) {
  switch (what) {
    case action::gc_visit:
    case action::gc_drop:
      expect(row, stage::idle, "gc_worker runs on a CPU that carries a packet");
      // It comes by each tuplehash: what went with the first is dying at the second.
      if (about.ct->has(status::dying)) return;
      return take(row, what, *about.ct, stage::work);
    case action::flush_begin:
    case action::exit_begin:
      expect(row, stage::idle, "a walk begins on a CPU that carries a packet");
      row.at = stage::walk;
      row.exit_of = what == action::exit_begin ? about.number + 1 : 0;
      if (row.exit_of == 0) return tell({.action = what, .cpu = row.number});
      [[fallthrough]];
    case action::exit_end:
      return tell(
          {.action = what, .cpu = row.number, .key = {.netns = flows_.netns_number(about.number)}});
    case action::walk_visit:
      // The table's walk comes by other netns too, and leaves them alone.
      if (row.exit_of != 0 && row.exit_of != std::uint64_t{about.ct->net->id} + 1) return;
      take(row, what, *about.ct, stage::work);
      row.then = stage::walk;
      return;
    case action::resize_begin:
      expect(row, stage::idle, "a resize begins on a CPU that carries a packet");
      return go(row, what, stage::resize);
    default:  // walk_end, resize_end
      return go(row, what, stage::idle);
  }
}

/// Says what has become of this CPU's packet, as far as its next step shows it.
void recorder::settle(cpu_row& row, action next) {
  if (row.untold && next != action::alter_reply) tell(*std::exchange(row.untold, {}));
  if (row.at == stage::missed && next != action::reserve && next != action::find_miss) {
    go(row, action::give_up, stage::idle);
    become_idle(row, stage::idle);
  }
}

void recorder::look_up(cpu_row& row, const key& k) {
  expect(row, stage::idle, "a CPU that carries a packet looks for another");
  if (is_stopped_) return;
  row.want = flows_.need(k);
  row.at = stage::lookup;
  tell({.action = action::packet, .cpu = row.number, .key = row.want});
}

void recorder::reserve(cpu_row& row, const key& k) {
  expect(row, stage::missed, "an entry is made that was not looked for");
  if (is_stopped_) return;
  const trace_key wanted = flows_.need(k);
  flows_.release(wanted);
  if (wanted != row.want)
    return stop("a zone of one direction: the entry is made under another key");
  go(row, action::reserve, stage::make);
}

void recorder::alloc(cpu_row& row, const nf_conn& ct) {
  const trace_key original = flows_.need(ct.hash_node(dir::original).key());
  entries_[&ct] = {.number = numbers_.take(), .original = original};
  trace_key expected = original;
  expected.is_reply = !expected.is_reply;
  const trace_key reply = flows_.need(ct.hash_node(dir::reply).key());
  flows_.release(reply);
  const bool is_palindrome = ct.hash_node(dir::reply).key() == ct.hash_node(dir::original).key();
  if (reply != expected && !is_palindrome) {
    return stop("a zone of one direction: the reply has another key than the inverse");
  }
  take(row, action::alloc, ct, stage::track);
}

void recorder::alter_reply(cpu_row& row, const nf_conn& ct) {
  if (&ct != row.ct || !row.untold) return stop("the reply tuple is altered too late");
  entry_row& of = entries_.at(&ct);
  const trace_key reply = flows_.need(ct.hash_node(dir::reply).key());
  const bool is_altered = of.reply.flow != 0;
  const bool is_inverse = reply.flow == of.original.flow && reply.is_reply != of.original.is_reply;
  if (!is_altered && is_inverse) return flows_.release(reply);
  if (is_altered || reply == of.original) {
    return stop("the reply tuple is altered twice, or to the original");
  }
  of.reply = reply;
  tell({.action = action::alter_reply, .cpu = row.number, .key = reply});
}

/// With the timeout that the tracker has left: relative before confirm, what remains of it after.
void recorder::track(cpu_row& row) {
  row.at = stage::confirm;
  const trace_step step = {.action = action::track,
                           .cpu = row.number,
                           .number = left(*row.ct),
                           .flag = row.ct->has(status::assured)};
  if (row.ct->is_confirmed()) return tell(step);
  row.untold = step;
}

void recorder::put(cpu_row& row) {
  if (row.at == stage::track || row.at == stage::confirm) go(row, action::drop, stage::release);
  go(row, action::put, row.then);
  row.ct = nullptr;
  become_idle(row, std::exchange(row.then, stage::idle));
}

/// Nothing is looked for any more, unless it is gone on with.
void recorder::become_idle(cpu_row& row, stage at) {
  row.at = at;
  if (at != stage::idle && at != stage::walk) return;
  if (row.want.flow != 0) flows_.release(row.want);
  row.want = {};
}

void recorder::free(const nf_conn& ct) {
  const std::uint32_t number = number_of(ct);
  if (is_stopped_) return;
  tell({.action = action::free, .entry = number});
  const entry_row row = entries_.at(&ct);
  entries_.erase(&ct);
  numbers_.give_back(number);
  flows_.release(row.original);
  if (row.reply.flow != 0) flows_.release(row.reply);
}

void recorder::go(cpu_row& row, action what, stage to) {
  row.at = to;
  tell({.action = what, .cpu = row.number});
}

void recorder::take(cpu_row& row, action what, const nf_conn& ct, stage to) {
  row.at = to;
  row.ct = &ct;
  tell({.action = what, .cpu = row.number, .entry = number_of(ct)});
}

void recorder::expect(const cpu_row& row, stage at, const char* what) {
  if (row.at != at) stop(what);
}

std::uint32_t recorder::left(const nf_conn& ct) const {
  // relaxed: one thread.
  const std::uint32_t timeout = ct.timeout.load(std::memory_order_relaxed);
  if (!ct.is_confirmed() && !ct.has(status::nat_clash)) return timeout;
  const std::int32_t remaining = jiffies_between(static_cast<std::uint32_t>(now_), timeout);
  return remaining > 0 ? static_cast<std::uint32_t>(remaining) : 0;
}

std::uint32_t recorder::number_of(const nf_conn& ct) {
  const auto at = entries_.find(&ct);
  if (at != entries_.end()) return at->second.number;
  stop("an entry turns up that was never made");
  return 0;
}

void recorder::tell(const trace_step& step) {
  if (!is_stopped_) to_.take(step);
}

void recorder::stop(const char* why) {
  if (!std::exchange(is_stopped_, true)) to_.stop(why);
}

}  // namespace

std::unique_ptr<observer> make_recorder(trace_sink& to,
                                        const l4proto_list& l4protos,
                                        std::uint64_t jiffies64) {
  return std::make_unique<recorder>(to, l4protos, jiffies64);
}

}  // namespace ct::core
