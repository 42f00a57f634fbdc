// SPDX-License-Identifier: BSD-2-Clause
/// A small ct system for tests of the flood, with one planted fault each; shares nothing with a
/// real one.
///
/// It knows TCP over IPv4 in Ethernet, and of that the steps of a flood's connection alone: ACK of
/// a replied one makes it ASSURED, FIN closing. Entries live for two minutes. Early drop takes the
/// first that is not ASSURED in the order of the map.
#pragma once

#include "spec/impl.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ct::harness::testing {

enum class full_fault : std::uint8_t {
  none,
  drops_assured,  ///< early drop takes whatever comes first
  drops_closing,  ///< one that is closing before any other: allowed
  drops_always,   ///< early drop even when it is switched off
  exceeds_max,    ///< lets one more in
  keeps_one,      ///< never lets go of the last entry
  broken_at_rest,
  forgets_to_count_drops,
  counts_early_drops,  ///< seven that did not happen
  wrong_before_full,   ///< packet 100 is RELATED
  other_victims,       ///< early drop from the other end of the map
  full_too_soon,       ///< refuses at half the limit
};

class fake_full_table final : public ct_system {
 public:
  fake_full_table(full_fault planted, const system_options& options)
      : planted_(planted),
        max_(planted == full_fault::full_too_soon ? options.max_entries / 2 : options.max_entries),
        early_drop_(options.early_drop || planted == full_fault::drops_always) {
    if (planted == full_fault::counts_early_drops) stat_.early_drop = 7;
  }

  std::unique_ptr<ct::cpu> attach() override;
  std::uint64_t jiffies64() const noexcept override { return now_; }
  std::size_t count() const noexcept override { return entries_.size(); }
  std::size_t buckets() const noexcept override { return 1; }
  void dump(ct::cpu&, const std::function<void(const conn&)>&) override {}
  std::vector<ip_conntrack_stat> statistics() const override { return {stat_}; }
  void listen(netns_id, listener*, std::uint32_t) override {}
  event_stat event_statistics() const override { return {}; }
  std::size_t memory_bytes() const noexcept override { return 0; }
  std::string broken_invariant(ct::cpu&) override {
    return planted_ == full_fault::broken_at_rest ? "a bucket points nowhere" : "";
  }

  void pass(skb& s) {
    now_ = std::max(now_, s.jiffies64);
    const std::string flow = bytes_of(s, 26, 4) + bytes_of(s, 34, 2);
    const std::string back = bytes_of(s, 30, 4) + bytes_of(s, 36, 2);
    const unsigned flags = std::to_integer<unsigned>(s.frame[14 + 20 + 13]);
    s.verdict = verdict::accept;
    s.conn_id = 0;
    s.info = ctinfo::invalid;
    if (const auto known = entries_.find(flow); known != entries_.end()) {
      entry& e = known->second;
      s.info = e.is_replied ? ctinfo::established : ctinfo::new_;
      e.is_assured = e.is_assured || (e.is_replied && (flags & 0x10) != 0);
      accept(s, e, flags);
    } else if (const auto replied = entries_.find(back); replied != entries_.end()) {
      s.info = ctinfo::established_reply;
      replied->second.is_replied = true;
      accept(s, replied->second, flags);
    } else if (flags == 0x02) {
      make(s, flow);
    }
    if (++packets_ == 100 && planted_ == full_fault::wrong_before_full) s.info = ctinfo::related;
  }
  void advance(std::uint64_t jiffies64) {
    now_ = std::max(now_, jiffies64);
    std::erase_if(entries_, [&](const auto& one) {
      if (planted_ == full_fault::keeps_one && one.second.id == 1) return false;
      return one.second.deadline <= now_;
    });
  }

 private:
  struct entry {
    std::uint64_t id = 0;
    std::uint64_t deadline = 0;
    bool is_replied = false;
    bool is_assured = false;
    bool is_closing = false;
  };

  static std::string bytes_of(const skb& s, std::size_t at, std::size_t count) {
    std::string out;
    for (const std::byte b : s.frame.subspan(at, count)) out += static_cast<char>(b);
    return out;
  }
  void accept(skb& s, entry& e, unsigned flags) {
    s.conn_id = e.id;
    e.deadline = now_ + seconds(120);
    e.is_closing = e.is_closing || (flags & 0x01) != 0;
  }
  void make(skb& s, const std::string& flow) {
    const std::size_t limit = max_ + (planted_ == full_fault::exceeds_max ? 1 : 0);
    if (entries_.size() >= limit && !(early_drop_ && make_room())) {
      s.verdict = verdict::drop;
      if (planted_ != full_fault::forgets_to_count_drops) ++stat_.drop;
      return;
    }
    entry& e = entries_[flow];
    e.id = ++last_id_;
    s.info = ctinfo::new_;
    accept(s, e, 0);
  }
  bool may_go(const entry& e) const {
    if (planted_ == full_fault::keeps_one && e.id == 1) return false;
    return !e.is_assured || planted_ == full_fault::drops_assured;
  }
  bool make_room() {
    auto victim = entries_.end();
    const auto take_if = [&](auto&& is_wanted) {
      for (auto at = entries_.begin(); at != entries_.end(); ++at) {
        if (!is_wanted(at->second)) continue;
        victim = at;
        if (planted_ != full_fault::other_victims) return;
      }
    };
    if (planted_ == full_fault::drops_closing) take_if([](const entry& e) { return e.is_closing; });
    if (planted_ == full_fault::drops_assured) {
      take_if([](const entry& e) { return e.is_assured && !e.is_closing; });
    }
    if (victim == entries_.end()) take_if([&](const entry& e) { return may_go(e); });
    if (victim == entries_.end()) return false;
    entries_.erase(victim);
    if (early_drop_ && planted_ != full_fault::drops_always) ++stat_.early_drop;
    return true;
  }

  full_fault planted_;
  std::size_t max_;
  bool early_drop_;
  std::map<std::string, entry> entries_;  // [client's address and port]
  ip_conntrack_stat stat_;
  std::uint64_t now_ = initial_jiffies;
  std::uint64_t last_id_ = 0;
  std::uint64_t packets_ = 0;
};

class fake_full_cpu final : public ct::cpu {
 public:
  explicit fake_full_cpu(fake_full_table& system) : system_(system) {}

  void in(std::span<skb>) noexcept override {}
  void confirm(std::span<skb>) noexcept override {}
  void free_skb(std::span<skb>) noexcept override {}
  void pass(std::span<skb> packets) noexcept override {
    for (skb& s : packets) system_.pass(s);
  }
  void find(std::span<const tuple>, std::span<lookup_answer>) noexcept override {}
  std::size_t create(std::span<const tuple>, std::uint32_t) noexcept override { return 0; }
  std::size_t kill(std::span<const tuple>) noexcept override { return 0; }
  std::size_t kill_if(const std::function<bool(const conn&)>&) override { return 0; }
  bool alter_reply(skb&, const tuple&) noexcept override { return false; }
  std::vector<netns_holder> exit_netns(netns_id) override { return {}; }
  void advance(std::uint64_t jiffies64) noexcept override { system_.advance(jiffies64); }
  gc_report gc_worker() noexcept override { return {.next_run = hz}; }
  redelivery_report redeliver(netns_id) noexcept override { return {}; }
  resize_status resize(std::size_t) noexcept override { return resize_status::not_supported; }
  void quiescent() noexcept override {}

 private:
  fake_full_table& system_;
};

inline std::unique_ptr<ct::cpu> fake_full_table::attach() {
  return std::make_unique<fake_full_cpu>(*this);
}

template <full_fault Planted = full_fault::none>
impl fake_full(std::string_view name) {
  return {.name = name,
          .summary = "a fake for tests",
          .promises = claims{letter::a1},
          .make = [](const system_options& options) -> std::unique_ptr<ct_system> {
            return std::make_unique<fake_full_table>(Planted, options);
          }};
}

}  // namespace ct::harness::testing
