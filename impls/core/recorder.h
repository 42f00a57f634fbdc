// SPDX-License-Identifier: BSD-2-Clause
/// An observer that puts what it sees into the words of the contract machine (spec/trace.h).
///
/// It names entries and flows by the smallest free numbers, so that a long run of few connections
/// needs few, and knows of each CPU how far the machine's CPU is: that tells whose put a put is,
/// and what is said of a packet when it turns out that nothing more comes of it (GiveUp, Drop).
/// What the machine does not know is left out: references of those who only look (a dump, gc_worker
/// at what it leaves alone), and a child's on its master.
///
/// Guarantees: each step is told once, in the order in which it was made; what cannot be said stops
/// the recording with one line. Limits: one thread at a time, however many CPUs it drives; a CPU
/// carries one packet at a time; a key has its inverse in the same zone; an entry is made after a
/// lookup of it. A listener refuses between two steps (Stall, TellRefused, Recover).
#pragma once

#include "impls/core/observer.h"
#include "impls/core/proto/l4proto.h"
#include "spec/trace.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <unordered_map>
#include <vector>

namespace ct::core {

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
    false;                      // of a new entry: NAT, which the machine has first, comes after it
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

}  // namespace ct::core
