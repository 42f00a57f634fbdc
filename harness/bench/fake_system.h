// SPDX-License-Identifier: BSD-2-Clause
/// A connection table for the tests of the benchmarks: one map under one mutex, and one planted
/// fault.
///
/// Its packet path is a toy: a TCP or UDP flow is known by the bytes of its addresses and ports in
/// a frame that workloads/traffic.h made; the second packet of a flow finds the entry of the first.
#pragma once

#include "spec/ct_system.h"
#include "spec/impl.h"
#include "workloads/flows.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ct::bench {

enum class fault {
  none,
  forgetful_lookup,  ///< every 20th lookup finds nothing
  other_entry,       ///< every 20th hit names another entry
  wrong_direction,   ///< replies are answered as originals
  phantom,           ///< every 20th miss hits
  leak,              ///< every 100th kill does not give the entry back
  lazy_create,       ///< every 100th create does nothing
  stuck_gc,          ///< gc_worker leaves one entry
  hasty_gc,          ///< gc_worker reaps a live entry
  moody_packets,     ///< every 5000th packet is INVALID
  other_opinion,     ///< UDP is never tracked
  broken_at_rest,    ///< an invariant does not hold
};

class fake_system : public ct_system {
 public:
  fake_system(fault planted, bool stores) : planted_(planted), stores_(stores) {}

  std::unique_ptr<cpu> attach() override;
  std::uint64_t jiffies64() const noexcept override {
    const std::lock_guard lock(mutex_);
    return jiffies64_;
  }
  std::size_t count() const noexcept override {
    const std::lock_guard lock(mutex_);
    return entries_.size() + leaked_;
  }
  void dump(cpu&, const std::function<void(const conn&)>& show) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, e] : entries_) {
      conn line;
      line.id = id;
      line.tuples = {e.original, workloads::reply_of(e.original)};
      show(line);
    }
  }
  std::vector<ip_conntrack_stat> statistics() const override { return {}; }
  void listen(netns_id, listener*, std::uint32_t) override {}
  event_stat event_statistics() const override { return {}; }
  std::size_t memory_bytes() const noexcept override { return 0; }
  std::size_t buckets() const noexcept override { return 1; }
  std::string broken_invariant(cpu&) override {
    return planted_ == fault::broken_at_rest ? "the planted invariant" : "";
  }

 private:
  friend class fake_cpu;
  struct entry {
    tuple original{};
    std::uint64_t expires = 0;
  };

  static tuple key_of(tuple t) {
    t.dst.dir = dir::original;
    return t;
  }
  bool every(std::uint64_t n) { return ++calls_ % n == 0; }
  lookup_answer find(const tuple& asked);
  bool create(const tuple& original, std::uint64_t timeout_jiffies);
  bool kill(const tuple& asked);
  void remove(std::uint64_t id);
  void pass(skb& packet);
  gc_report collect();

  fault planted_;
  bool stores_;
  mutable std::mutex mutex_;  ///< guards everything
  std::uint64_t jiffies64_ = initial_jiffies;
  std::uint64_t next_id_ = 1;
  std::uint64_t calls_ = 0;
  std::size_t leaked_ = 0;
  std::map<std::uint64_t, entry> entries_;
  std::map<tuple, lookup_answer> by_tuple_;
};

class fake_cpu : public cpu {
 public:
  explicit fake_cpu(fake_system& of) : of_(of) {}

  void in(std::span<skb>) noexcept override {}
  void confirm(std::span<skb>) noexcept override {}
  void free_skb(std::span<skb>) noexcept override {}
  void pass(std::span<skb> packets) noexcept override {
    const std::lock_guard lock(of_.mutex_);
    for (skb& packet : packets) of_.pass(packet);
  }
  void find(std::span<const tuple> tuples, std::span<lookup_answer> answers) noexcept override {
    const std::lock_guard lock(of_.mutex_);
    for (std::size_t i = 0; i < tuples.size(); ++i) answers[i] = of_.find(tuples[i]);
  }
  std::size_t create(std::span<const tuple> originals, std::uint32_t timeout_s) noexcept override {
    const std::lock_guard lock(of_.mutex_);
    std::size_t created = 0;
    for (const tuple& t : originals) created += of_.create(t, seconds(timeout_s)) ? 1 : 0;
    return created;
  }
  std::size_t kill_if(const std::function<bool(const conn&)>&) override { return 0; }
  bool alter_reply(skb&, const tuple&) noexcept override { return false; }
  std::vector<netns_holder> exit_netns(netns_id) override { return {}; }
  std::size_t kill(std::span<const tuple> tuples) noexcept override {
    const std::lock_guard lock(of_.mutex_);
    std::size_t killed = 0;
    for (const tuple& t : tuples) killed += of_.kill(t) ? 1 : 0;
    return killed;
  }
  void advance(std::uint64_t jiffies64) noexcept override {
    const std::lock_guard lock(of_.mutex_);
    of_.jiffies64_ = std::max(of_.jiffies64_, jiffies64);
  }
  gc_report gc_worker() noexcept override {
    const std::lock_guard lock(of_.mutex_);
    return of_.collect();
  }
  redelivery_report redeliver(netns_id) noexcept override { return {}; }
  resize_status resize(std::size_t) noexcept override { return resize_status::not_supported; }
  void quiescent() noexcept override {}

 private:
  fake_system& of_;
};

inline std::unique_ptr<cpu> fake_system::attach() { return std::make_unique<fake_cpu>(*this); }

inline lookup_answer fake_system::find(const tuple& asked) {
  const auto found = by_tuple_.find(key_of(asked));
  if (found == by_tuple_.end()) {
    if (planted_ == fault::phantom && every(20)) return {.conn_id = 1};
    return {};
  }
  lookup_answer answer = found->second;
  if (planted_ == fault::forgetful_lookup && every(20)) return {};
  if (planted_ == fault::other_entry && every(20)) answer.conn_id += 1;
  if (planted_ == fault::wrong_direction) answer.dir = dir::original;
  return answer;
}

inline bool fake_system::create(const tuple& original, std::uint64_t timeout_jiffies) {
  if (!stores_) return true;
  if (planted_ == fault::lazy_create && every(100)) return false;
  const std::uint64_t id = next_id_++;
  if (!by_tuple_.try_emplace(key_of(original), lookup_answer{id, dir::original}).second)
    return false;
  by_tuple_.try_emplace(key_of(workloads::reply_of(original)), lookup_answer{id, dir::reply});
  entries_[id] = {original, jiffies64_ + timeout_jiffies};
  return true;
}

inline void fake_system::remove(std::uint64_t id) {
  const auto at = entries_.find(id);
  by_tuple_.erase(key_of(at->second.original));
  by_tuple_.erase(key_of(workloads::reply_of(at->second.original)));
  entries_.erase(at);
}

inline bool fake_system::kill(const tuple& asked) {
  if (!stores_) return true;
  const auto found = by_tuple_.find(key_of(asked));
  if (found == by_tuple_.end()) return false;
  remove(found->second.conn_id);
  if (planted_ == fault::leak && every(100)) ++leaked_;
  return true;
}

inline gc_report fake_system::collect() {
  gc_report out{.buckets = 1, .entries = 2 * entries_.size()};
  std::vector<std::uint64_t> expired;
  for (const auto& [id, e] : entries_) {
    if (e.expires <= jiffies64_) expired.push_back(id);
  }
  if (planted_ == fault::stuck_gc && !expired.empty()) expired.pop_back();
  if (planted_ == fault::hasty_gc && expired.empty() && !entries_.empty()) {
    expired.push_back(entries_.begin()->first);
  }
  for (const std::uint64_t id : expired) remove(id);
  out.reaped = expired.size();
  return out;
}

/// Enough for frames of workloads::append_frame: Ethernet, a 20- or 40-byte header, ports.
inline void fake_system::pass(skb& packet) {
  packet.info = ctinfo::invalid;
  packet.conn_id = 0;
  if (!stores_ || (planted_ == fault::moody_packets && every(5000))) return;
  const auto at = [&](std::size_t i) { return std::to_integer<std::uint8_t>(packet.frame[i]); };
  const bool is_ipv6 = at(12) == 0x86;
  const std::size_t addresses = 14 + (is_ipv6 ? 8 : 12);
  const std::size_t bytes = is_ipv6 ? 16 : 4;
  tuple t;
  t.src.l3num = is_ipv6 ? l3num::ipv6 : l3num::ipv4;
  for (std::size_t i = 0; i < bytes; ++i) {
    t.src.addr[i] = at(addresses + i);
    t.dst.addr[i] = at(addresses + bytes + i);
  }
  const std::size_t ports = addresses + 2 * bytes;
  t.src.id = static_cast<std::uint16_t>(at(ports) << 8 | at(ports + 1));
  t.dst.id = static_cast<std::uint16_t>(at(ports + 2) << 8 | at(ports + 3));
  t.dst.protonum = at(is_ipv6 ? 20 : 23);
  if (planted_ == fault::other_opinion && t.dst.protonum == ipproto::udp) return;
  packet.info = by_tuple_.contains(t) ? ctinfo::established : ctinfo::new_;
  if (packet.info == ctinfo::new_) create(t, seconds(600));
  packet.conn_id = find(t).conn_id;
}

/// An implementation whose every system has this fault; `stores` false: timing only.
template <fault Planted, bool Stores = true>
impl fake_impl(std::string_view name) {
  return {.name = name,
          .summary = "a map under a mutex",
          .promises = Stores ? claims{letter::a1} : claims{},
          .make = [](const system_options&) -> std::unique_ptr<ct_system> {
            return std::make_unique<fake_system>(Planted, Stores);
          }};
}

}  // namespace ct::bench
