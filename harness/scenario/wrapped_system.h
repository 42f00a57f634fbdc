// SPDX-License-Identifier: BSD-2-Clause
/// A ct system behind a wrapper: every call is forwarded, and there is a hook wherever something
/// can be spoilt. For tests that ask whether a check notices.
#pragma once

#include "spec/impl.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::harness {

/// What is done wrong; nothing by default.
struct hooks {
  std::function<void(system_options&)> options{};
  std::function<void(skb&)> before_in{};
  std::function<void(ct_system&, skb&)> after_in{};
  std::function<void(ct_system&, skb&, std::uint64_t id_before)> after_confirm{};
  std::function<void(ct::cpu&, skb&)> before_free{};
  std::function<void(lookup_answer&)> found{};
  std::function<std::size_t(std::size_t killed, std::size_t asked)> killed{};
  std::function<bool(bool is_chosen, const conn&)> flushes{};
  std::function<std::uint64_t(std::uint64_t now, std::uint64_t to)> clock{};
  std::function<void(ct::cpu&)> after_wait{};
  std::function<void(ct::cpu&)> after_resize{};
  std::function<void(ct::cpu&)> before_exit{};
  std::function<void(std::vector<netns_holder>&)> holders{};
  std::function<void(std::uint32_t& timeout_s)> create{};
  std::function<update_status(update_status)> updated{};
  std::function<void(conn&)> shown{};
  std::function<void(std::vector<conn>&)> listed{};
  std::function<void(std::vector<expect>&)> expected{};
  std::function<void(ip_conntrack_stat&)> counted{};
  std::function<bool(listener&, const event_message&)> told{};
  bool hears_everything = false;
  bool forgets_to_alter = false;
  bool forgets_to_redeliver = false;
  bool forgets_gc = false;
  bool sets_every_netns = false;
  bool keeps_sysctls = false;
  bool kills_nothing = false;                        ///< and says that it did
  bool finds_expired = false;                        ///< until gc comes
  std::function<std::size_t(std::size_t)> amount{};  ///< of entries, by count()
};

/// For hooks::told.
inline bool tell_destroy_twice(listener& to, const event_message& m) {
  if (m.kind() == event_kind::destroy) (void)to.deliver(m);
  return to.deliver(m);
}
template <event_kind Lost>
bool lose(listener& to, const event_message& m) {
  return m.kind() == Lost || to.deliver(m);
}
inline bool lose_refused(listener& to, const event_message& m) {
  (void)to.deliver(m);
  return true;
}

template <class Hook, class... Arguments>
void call(const Hook& hook, Arguments&&... arguments) {
  if (hook) hook(std::forward<Arguments>(arguments)...);
}

class wrapped_listener final : public listener {
 public:
  wrapped_listener(const hooks& with, listener& to) : hooks_(with), to_(to) {}
  bool deliver(const event_message& message) noexcept override {
    return hooks_.told ? hooks_.told(to_, message) : to_.deliver(message);
  }

 private:
  const hooks& hooks_;
  listener& to_;
};

class wrapped_cpu final : public ct::cpu {
 public:
  wrapped_cpu(const hooks& with, ct_system& system)
      : hooks_(with), system_(system), inner_(system.attach()) {}
  ct::cpu& inner() { return *inner_; }

  void in(std::span<skb> packets) noexcept override {
    for (skb& s : packets) {
      call(hooks_.before_in, s);
      inner_->in({&s, 1});
      call(hooks_.after_in, system_, s);
    }
  }
  void confirm(std::span<skb> packets) noexcept override {
    for (skb& s : packets) {
      const std::uint64_t id = s.conn_id;
      inner_->confirm({&s, 1});
      call(hooks_.after_confirm, system_, s, id);
    }
  }
  void free_skb(std::span<skb> packets) noexcept override {
    for (skb& s : packets) {
      call(hooks_.before_free, *inner_, s);
      inner_->free_skb({&s, 1});
    }
  }
  void pass(std::span<skb> packets) noexcept override {
    for (skb& s : packets) {
      if (s.jiffies64 > system_.jiffies64()) advance(s.jiffies64);
      in({&s, 1});
      confirm({&s, 1});
      inner_->free_skb({&s, 1});
    }
  }
  void find(std::span<const tuple> tuples, std::span<lookup_answer> answers) noexcept override {
    const std::vector<conn> dead = hooks_.finds_expired ? expired() : std::vector<conn>{};
    inner_->find(tuples, answers);
    for (std::size_t i = 0; i < tuples.size(); ++i) {
      for (const conn& c : dead) {
        if (same_flow(c.tuples[0], tuples[i])) answers[i] = {.conn_id = c.id, .dir = dir::original};
      }
    }
    for (lookup_answer& answer : answers) call(hooks_.found, answer);
  }
  std::size_t create(std::span<const tuple> originals, std::uint32_t timeout_s) noexcept override {
    call(hooks_.create, timeout_s);
    return inner_->create(originals, timeout_s);
  }
  std::size_t kill(std::span<const tuple> tuples) noexcept override {
    const std::size_t killed = hooks_.kills_nothing ? known(tuples) : inner_->kill(tuples);
    return hooks_.killed ? hooks_.killed(killed, tuples.size()) : killed;
  }
  update_status update(const tuple& t, const conn_update& change) noexcept override {
    const update_status came = inner_->update(t, change);
    return hooks_.updated ? hooks_.updated(came) : came;
  }
  std::optional<conn> get(const tuple& t, std::uint16_t zone_id) noexcept override {
    std::optional<conn> c = inner_->get(t, zone_id);
    if (c) call(hooks_.shown, *c);
    return c;
  }
  std::size_t kill_if(const std::function<bool(const conn&)>& chosen) override {
    return inner_->kill_if(
        [&](const conn& c) { return hooks_.flushes ? hooks_.flushes(chosen(c), c) : chosen(c); });
  }
  bool alter_reply(skb& packet, const tuple& reply) noexcept override {
    return hooks_.forgets_to_alter || inner_->alter_reply(packet, reply);
  }
  std::vector<netns_holder> exit_netns(netns_id id) override {
    call(hooks_.before_exit, *inner_);
    std::vector<netns_holder> left = inner_->exit_netns(id);
    call(hooks_.holders, left);
    return left;
  }
  void advance(std::uint64_t to) noexcept override {
    inner_->advance(hooks_.clock ? hooks_.clock(system_.jiffies64(), to) : to);
    call(hooks_.after_wait, *inner_);
  }
  gc_report gc_worker() noexcept override {
    return hooks_.forgets_gc ? gc_report{} : inner_->gc_worker();
  }
  redelivery_report redeliver(netns_id net) noexcept override {
    return hooks_.forgets_to_redeliver ? redelivery_report{} : inner_->redeliver(net);
  }
  resize_status resize(std::size_t buckets) noexcept override {
    const resize_status came = inner_->resize(buckets);
    if (came == resize_status::resized) call(hooks_.after_resize, *inner_);
    return came;
  }
  void quiescent() noexcept override { inner_->quiescent(); }

 private:
  std::vector<conn> expired() {
    std::vector<conn> all;
    (void)inner_->kill_if([&all](const conn& c) {
      if (c.timeout_jiffies <= 0 && c.net == 0) all.push_back(c);
      return false;
    });
    return all;
  }
  std::size_t known(std::span<const tuple> tuples) {
    std::vector<lookup_answer> answers(tuples.size());
    inner_->find(tuples, answers);
    std::size_t sum = 0;
    for (const lookup_answer& answer : answers) sum += answer.conn_id != 0 ? 1 : 0;
    return sum;
  }

  const hooks& hooks_;
  ct_system& system_;
  std::unique_ptr<ct::cpu> inner_;
};

/// The system of `on`, with hooks.
class wrapped_system final : public ct_system {
 public:
  wrapped_system(hooks with, const impl& on, system_options options) : hooks_(std::move(with)) {
    call(hooks_.options, options);
    inner_ = on.make(options);
  }

  std::unique_ptr<ct::cpu> attach() override {
    return std::make_unique<wrapped_cpu>(hooks_, *inner_);
  }
  std::uint64_t jiffies64() const noexcept override { return inner_->jiffies64(); }
  std::size_t count() const noexcept override {
    return hooks_.amount ? hooks_.amount(inner_->count()) : inner_->count();
  }
  std::size_t buckets() const noexcept override { return inner_->buckets(); }
  void dump(cpu& on, const std::function<void(const conn&)>& show) override {
    std::vector<conn> all;
    inner_->dump(inner(on), [&](const conn& c) { all.push_back(c); });
    call(hooks_.listed, all);
    for (conn& c : all) {
      call(hooks_.shown, c);
      show(c);
    }
  }
  std::vector<expect> expectations() const override {
    std::vector<expect> all = inner_->expectations();
    call(hooks_.expected, all);
    return all;
  }
  std::vector<ip_conntrack_stat> statistics() const override {
    std::vector<ip_conntrack_stat> rows = inner_->statistics();
    for (ip_conntrack_stat& row : rows) call(hooks_.counted, row);
    return rows;
  }
  void listen(netns_id net, listener* to, std::uint32_t mask) override {
    if (to != nullptr) {
      listeners_.push_back(std::make_unique<wrapped_listener>(hooks_, *to));
      to = listeners_.back().get();
    }
    inner_->listen(net, to, hooks_.hears_everything ? all_events : mask);
  }
  event_stat event_statistics() const override { return inner_->event_statistics(); }
  std::size_t memory_bytes() const noexcept override { return inner_->memory_bytes(); }
  std::optional<conn> entry_of(const skb& s) const override {
    std::optional<conn> c = inner_->entry_of(s);
    if (c) call(hooks_.shown, *c);
    return c;
  }
  std::vector<sysctl> sysctls(netns_id net) override { return inner_->sysctls(net); }
  std::string set_sysctl(netns_id net, std::string_view name, std::string_view value) override {
    if (hooks_.keeps_sysctls) return {};
    for (netns_id other = 0; hooks_.sets_every_netns && other < 8; ++other) {
      (void)inner_->set_sysctl(other, name, value);
    }
    return inner_->set_sysctl(net, name, value);
  }
  void use_labels(netns_id net, bool are_used) override {
    for (netns_id other = 0; hooks_.sets_every_netns && other < 8; ++other) {
      inner_->use_labels(other, are_used);
    }
    inner_->use_labels(net, are_used);
  }
  const timeout_policy* add_timeouts(netns_id net,
                                     std::uint8_t protonum,
                                     std::span<const timeout_setting> settings,
                                     std::string& error) override {
    return inner_->add_timeouts(net, protonum, settings, error);
  }
  std::string broken_invariant(cpu& on) override { return inner_->broken_invariant(inner(on)); }

 private:
  static cpu& inner(cpu& on) { return static_cast<wrapped_cpu&>(on).inner(); }

  const hooks hooks_;
  std::vector<std::unique_ptr<wrapped_listener>> listeners_;
  std::unique_ptr<ct_system> inner_;  // tells its listeners to its end: goes first
};

}  // namespace ct::harness
