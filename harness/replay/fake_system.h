// SPDX-License-Identifier: BSD-2-Clause
/// For tests: a ct_system whose connections are the first bytes of the frames, with faults to
/// plant.
///
/// Byte 0 of a frame names a connection, byte 1 != 0 makes the packet go back; a frame of one byte
/// is INVALID. Timeouts are 30 s. Nothing of it is shared with a real system: tests of the harness
/// must not depend on one.
#pragma once

#include "spec/impl.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ct::harness::testing {

enum class fault : std::uint8_t {
  none,
  wrong_ctinfo_at_7,  ///< RELATED in place of what packet 7 is
  wrong_verdict_at_7,
  wrong_id_at_7,
  wrong_dump,     ///< shows the first entry's timeout a jiffy too short
  wrong_labels,   ///< shows a label that nobody set
  wrong_start,    ///< shows a start that nobody stamped
  lost_in_dump,   ///< leaves the first entry out
  extra_in_dump,  ///< shows one that nobody made
  wrong_count,
  wrong_statistics,
  broken_invariant,
  // Of events.
  lost_update,
  lost_destroy,
  doubled_update,
  doubled_destroy,
  update_after_destroy,
  destroy_before_new,
  altered_destroy,
  altered_event,
};

struct fake_entry {
  std::uint64_t id = 0;
  std::uint8_t flow = 0;
  std::uint64_t deadline = 0;
  bool has_reply = false;
};

class fake_system final : public ct_system {
 public:
  fake_system(fault planted, bool is_lazy) : planted_(planted), is_lazy_(is_lazy) {}

  std::unique_ptr<ct::cpu> attach() override;
  std::uint64_t jiffies64() const noexcept override { return now_; }
  std::size_t count() const noexcept override {
    return entries_.size() + (planted_ == fault::wrong_count ? 1 : 0);
  }
  void dump(ct::cpu&, const std::function<void(const conn&)>& show) override {
    bool is_first = true;
    for (const auto& [flow, entry] : entries_) {
      if (entry.deadline <= now_) continue;
      conn shown = shape(entry);
      if (is_first && planted_ == fault::wrong_dump) --shown.timeout_jiffies;
      if (is_first && planted_ == fault::wrong_labels) shown.labels[1] = 0x20;
      if (is_first && planted_ == fault::wrong_start) shown.start_ns = 4;
      if (!is_first || planted_ != fault::lost_in_dump) show(shown);
      is_first = false;
    }
    if (planted_ == fault::extra_in_dump)
      show(shape({.id = 999, .flow = 255, .deadline = now_ + hz}));
  }
  std::vector<ip_conntrack_stat> statistics() const override {
    ip_conntrack_stat counters{.invalid = invalid_};
    if (planted_ == fault::wrong_statistics) ++counters.early_drop;
    return {counters};
  }
  void listen(netns_id, listener* to, std::uint32_t) override { listener_ = to; }
  event_stat event_statistics() const override { return {}; }
  std::size_t memory_bytes() const noexcept override { return 0; }
  std::size_t buckets() const noexcept override { return 1; }
  std::string broken_invariant(ct::cpu&) override {
    return planted_ == fault::broken_invariant ? "a bucket points nowhere" : "";
  }

  void pass(skb& packet) {
    now_ = std::max(now_, packet.jiffies64);
    ++packets_;
    if (!is_lazy_) expire();
    if (packet.frame.size() < 2) {
      ++invalid_;
      packet.info = ctinfo::invalid;
    } else {
      track(packet);
    }
    if (packets_ != 7) return;
    if (planted_ == fault::wrong_ctinfo_at_7) packet.info = ctinfo::related;
    if (planted_ == fault::wrong_verdict_at_7) packet.verdict = verdict::drop;
    if (planted_ == fault::wrong_id_at_7) packet.conn_id += 100;
  }
  void advance(std::uint64_t jiffies64) { now_ = std::max(now_, jiffies64); }
  std::size_t expire() {
    return std::erase_if(entries_, [this](const auto& e) {
      if (e.second.deadline > now_) return false;
      tell(event::destroy, e.second);
      return true;
    });
  }

 private:
  void tell(event what, const fake_entry& entry) {
    if (listener_ == nullptr) return;
    const bool is_update = what == event::reply;
    const bool is_destroy = what == event::destroy;
    if (is_update && planted_ == fault::lost_update) return;
    if (is_destroy && planted_ == fault::lost_destroy) return;
    event_message m{.bits = bit(what), .entry = shape(entry)};
    if (planted_ == fault::altered_event && is_update) m.entry.timeout_jiffies -= 1;
    if (planted_ == fault::altered_destroy && is_destroy) m.entry.mark = 5;
    (void)listener_->deliver(m);
    const bool is_doubled = (is_update && planted_ == fault::doubled_update) ||
                            (is_destroy && planted_ == fault::doubled_destroy);
    if (is_doubled) (void)listener_->deliver(m);
    if (is_destroy && planted_ == fault::update_after_destroy) {
      m.bits = bit(event::assured);
      (void)listener_->deliver(m);
    }
  }
  void track(skb& packet) {
    const auto flow = std::to_integer<std::uint8_t>(packet.frame[0]);
    const bool is_back = packet.frame[1] != std::byte{0};
    fake_entry& entry = entries_[flow];
    const bool is_new = entry.id == 0 || entry.deadline <= now_;
    if (is_new && entry.id != 0) tell(event::destroy, entry);
    if (is_new) entry = {.id = ++last_id_, .flow = flow};
    const bool is_first_reply = is_back && !entry.has_reply;
    entry.has_reply = entry.has_reply || is_back;
    entry.deadline = now_ + 30ULL * hz;
    if (is_new && planted_ == fault::destroy_before_new) tell(event::destroy, entry);
    if (is_new) tell(event::new_, entry);
    if (is_first_reply) tell(event::reply, entry);
    packet.conn_id = entry.id;
    packet.info = is_back           ? ctinfo::established_reply
                  : entry.has_reply ? ctinfo::established
                                    : ctinfo::new_;
  }
  conn shape(const fake_entry& entry) const {
    conn shown;
    shown.id = entry.id;
    shown.tuples[0].src.addr = {10, 0, 0, entry.flow};
    shown.tuples[0].dst.protonum = ipproto::udp;
    shown.tuples[1] = shown.tuples[0];
    shown.status = status::confirmed | (entry.has_reply ? status::seen_reply : 0);
    shown.timeout_jiffies = static_cast<std::int32_t>(entry.deadline - now_);
    shown.use = 1;
    return shown;
  }

  fault planted_;
  listener* listener_ = nullptr;
  bool is_lazy_;  ///< leaves expired entries to gc_worker
  std::uint64_t now_ = initial_jiffies;
  std::map<std::uint8_t, fake_entry> entries_;
  std::uint64_t last_id_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t invalid_ = 0;
};

class fake_cpu final : public ct::cpu {
 public:
  explicit fake_cpu(fake_system& system) : system_(system) {}

  void in(std::span<skb>) noexcept override {}
  void confirm(std::span<skb>) noexcept override {}
  void free_skb(std::span<skb>) noexcept override {}
  void pass(std::span<skb> packets) noexcept override {
    for (skb& packet : packets) system_.pass(packet);
  }
  void find(std::span<const tuple>, std::span<lookup_answer>) noexcept override {}
  std::size_t create(std::span<const tuple>, std::uint32_t) noexcept override { return 0; }
  std::size_t kill_if(const std::function<bool(const conn&)>&) override { return 0; }
  bool alter_reply(skb&, const tuple&) noexcept override { return false; }
  std::vector<netns_holder> exit_netns(netns_id) override { return {}; }
  std::size_t kill(std::span<const tuple>) noexcept override { return 0; }
  void advance(std::uint64_t jiffies64) noexcept override { system_.advance(jiffies64); }
  gc_report gc_worker() noexcept override {
    return {.buckets = 1, .entries = 0, .reaped = system_.expire(), .next_run = hz};
  }
  redelivery_report redeliver(netns_id) noexcept override { return {}; }
  resize_status resize(std::size_t) noexcept override { return resize_status::not_supported; }
  void quiescent() noexcept override {}

 private:
  fake_system& system_;
};

inline std::unique_ptr<ct::cpu> fake_system::attach() { return std::make_unique<fake_cpu>(*this); }

template <fault Planted = fault::none, bool IsLazy = false>
impl fake(std::string_view name) {
  return {.name = name,
          .summary = "a fake for tests",
          .promises = claims{letter::a1, letter::c1},
          .make = [](const system_options&) -> std::unique_ptr<ct_system> {
            return std::make_unique<fake_system>(Planted, IsLazy);
          }};
}

/// Takes part in timing only, and gets everything wrong.
inline impl fake_noop() {
  impl one = fake<fault::wrong_ctinfo_at_7>("noop");
  one.promises = {};
  return one;
}

}  // namespace ct::harness::testing
