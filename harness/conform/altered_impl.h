// SPDX-License-Identifier: BSD-2-Clause
/// For tests: locked_map with one planted fault, so that what must be found is known.
#pragma once

#include "spec/ct_system.h"
#include "spec/impl.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace ct::harness::conform::testing {

enum class fault : std::uint8_t {
  none,
  reply_is_new,   ///< the first packet that goes back is NEW
  drops_fourth,   ///< the fourth packet of an entry is dropped
  short_timeout,  ///< entries in ESTABLISHED show 10 s less
  lost_assured,   ///< ASSURED is not shown
  uncounted,      ///< invalid packets are not counted
  untold,         ///< updates are not told
  wrong_chunk,    ///< SCTP in SHUTDOWN_RECD shows SHUTDOWN_SENT
  wrong_call,     ///< the tuple of a PPTP packet shows another call id
};

inline const impl& plain_impl() {
  return *std::ranges::find(implementations(), "locked_map", &impl::name);
}

template <fault Planted>
class altered_cpu final : public cpu {
 public:
  explicit altered_cpu(std::unique_ptr<cpu> inner) : inner_(std::move(inner)) {}

  void in(std::span<skb> packets) noexcept override { inner_->in(packets); }
  void confirm(std::span<skb> packets) noexcept override { inner_->confirm(packets); }
  void free_skb(std::span<skb> packets) noexcept override { inner_->free_skb(packets); }
  void pass(std::span<skb> packets) noexcept override {
    inner_->pass(packets);
    for (skb& s : packets) {
      if (Planted == fault::reply_is_new && s.info == ctinfo::established_reply) {
        s.info = ctinfo::new_;
      }
      if (Planted == fault::drops_fourth && s.conn_id != 0 && ++packets_of_[s.conn_id] == 4) {
        s.verdict = verdict::drop;
      }
    }
  }
  void find(std::span<const tuple> t, std::span<lookup_answer> a) noexcept override {
    inner_->find(t, a);
  }
  std::size_t create(std::span<const tuple> t, std::uint32_t s) noexcept override {
    return inner_->create(t, s);
  }
  std::size_t kill(std::span<const tuple> t) noexcept override { return inner_->kill(t); }
  std::optional<conn> get(const tuple& t, std::uint16_t zone_id) noexcept override {
    auto found = inner_->get(t, zone_id);
    if (found) alter(*found);
    return found;
  }
  std::size_t kill_if(const std::function<bool(const conn&)>& chosen) override {
    return inner_->kill_if(chosen);
  }
  bool alter_reply(skb& s, const tuple& t) noexcept override { return inner_->alter_reply(s, t); }
  std::vector<netns_holder> exit_netns(netns_id id) override { return inner_->exit_netns(id); }
  void advance(std::uint64_t jiffies64) noexcept override { inner_->advance(jiffies64); }
  gc_report gc_worker() noexcept override { return inner_->gc_worker(); }
  redelivery_report redeliver(netns_id id) noexcept override { return inner_->redeliver(id); }
  resize_status resize(std::size_t n) noexcept override { return inner_->resize(n); }
  void quiescent() noexcept override { inner_->quiescent(); }

  static void alter(conn& c) {
    if (Planted == fault::short_timeout && c.tcp == tcp_state::established) {
      c.timeout_jiffies -= static_cast<std::int32_t>(seconds(10));
    }
    if (Planted == fault::wrong_chunk && c.sctp == sctp_state::shutdown_recd) {
      c.sctp = sctp_state::shutdown_sent;
    }
    if (Planted == fault::wrong_call && c.tuples[0].dst.protonum == ipproto::gre &&
        c.tuples[0].dst.id != 0) {
      ++c.tuples[0].dst.id;
    }
    if (Planted == fault::lost_assured) c.status &= ~status::assured;
  }
  cpu& inner() { return *inner_; }

 private:
  std::unique_ptr<cpu> inner_;
  std::map<std::uint64_t, int> packets_of_;  // [conn_id]
};

template <fault Planted>
class altered_system final : public ct_system, private listener {
 public:
  explicit altered_system(const system_options& options) : inner_(plain_impl().make(options)) {}

  std::unique_ptr<cpu> attach() override {
    return std::make_unique<altered_cpu<Planted>>(inner_->attach());
  }
  std::uint64_t jiffies64() const noexcept override { return inner_->jiffies64(); }
  std::size_t count() const noexcept override { return inner_->count(); }
  std::size_t buckets() const noexcept override { return inner_->buckets(); }
  void dump(cpu& on, const std::function<void(const conn&)>& show) override {
    inner_->dump(static_cast<altered_cpu<Planted>&>(on).inner(), [&](const conn& c) {
      conn shown = c;
      altered_cpu<Planted>::alter(shown);
      show(shown);
    });
  }
  std::vector<ip_conntrack_stat> statistics() const override {
    auto rows = inner_->statistics();
    if (Planted == fault::uncounted) {
      for (ip_conntrack_stat& row : rows) row.invalid = 0;
    }
    return rows;
  }
  void listen(netns_id net, listener* to, std::uint32_t mask) override {
    to_ = to;
    inner_->listen(net, to == nullptr ? nullptr : this, mask);
  }
  event_stat event_statistics() const override { return inner_->event_statistics(); }
  std::size_t memory_bytes() const noexcept override { return inner_->memory_bytes(); }
  std::vector<sysctl> sysctls(netns_id net) override { return inner_->sysctls(net); }
  std::string set_sysctl(netns_id net, std::string_view name, std::string_view value) override {
    return inner_->set_sysctl(net, name, value);
  }
  std::string broken_invariant(cpu&) override { return {}; }

 private:
  bool deliver(const event_message& message) noexcept override {
    if (Planted == fault::untold && message.kind() == event_kind::update) return true;
    return to_->deliver(message);
  }

  std::unique_ptr<ct_system> inner_;
  listener* to_ = nullptr;
};

template <fault Planted>
impl altered_impl() {
  impl one = plain_impl();
  one.name = "altered";
  one.make = [](const system_options& options) -> std::unique_ptr<ct_system> {
    return std::make_unique<altered_system<Planted>>(options);
  };
  return one;
}

}  // namespace ct::harness::conform::testing
