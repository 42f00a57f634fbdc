// SPDX-License-Identifier: BSD-2-Clause
/// The core over a table, behind the face that program and oracles share (spec/ct_system.h).
#pragma once

#include "impls/core/conntrack.h"
#include "impls/core/nf_conn_view.h"
#include "spec/ct_system.h"
#include "spec/events.h"
#include "spec/impl.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::core {

template <ct::table Table>
class system final : public ct_system {
  using core_type = conntrack<Table>;
  using cpu_state = typename core_type::cpu_state;

 public:
  explicit system(const system_options& options) : core_(options) {}

  std::unique_ptr<ct::cpu> attach() override {
    const std::lock_guard guard(cpus_lock_);
    const auto free = std::ranges::find(attached_, false);
    if (free == attached_.end()) {
      throw std::runtime_error("more than " + std::to_string(cpus_max) +
                               " CPUs attached to one system; detach some first");
    }
    const auto number = static_cast<std::size_t>(free - attached_.begin());
    if (number == statistics_.size()) statistics_.push_back(std::make_unique<cpu_statistics>());
    *free = true;
    return std::make_unique<cpu_face>(*this, number, *statistics_[number], last_ids_[number]);
  }

  std::uint64_t jiffies64() const noexcept override { return core_.jiffies64(); }

  std::size_t count() const noexcept override {
    std::size_t total = 0;
    // acquire: pairs with the release in conntrack::destroy(): what is not counted is freed.
    core_.for_each_netns([&](const netns& n) { total += n.count.load(std::memory_order_acquire); });
    return total;
  }

  void dump(ct::cpu& on, const std::function<void(const conn&)>& show) override {
    core_.for_each(state_of(on), dir::original, [&](nf_conn& ct) {
      if (!ct.is_expired(core_.now())) show(view(ct));
    });
    on.quiescent();
  }

  std::vector<ip_conntrack_stat> statistics() const override {
    const std::lock_guard guard(cpus_lock_);
    std::vector<ip_conntrack_stat> rows;
    for (const auto& of_cpu : statistics_) rows.push_back(of_cpu->read());
    return rows;
  }

  void listen(netns_id net, listener* to, std::uint32_t mask) override {
    core_.net(net).events.listen(to, mask);
  }
  event_stat event_statistics() const override { return core_.event_statistics(); }
  std::vector<expect> expectations() const override { return core_.expects().dump(core_.now()); }

  std::size_t memory_bytes() const noexcept override { return core_.table().memory_bytes(); }
  std::size_t buckets() const noexcept override { return core_.table().bucket_count(); }

  std::string broken_invariant(ct::cpu& on) override;
  /// Before the first CPU is attached.
  Table& table() noexcept { return core_.table(); }

  std::optional<conn> entry_of(const skb& s) const override {
    if (s.nfct == nullptr) return std::nullopt;
    conn c = view(*static_cast<nf_conn*>(s.nfct));
    ++c.use;  // the packet's is one to show
    return c;
  }

  std::vector<sysctl> sysctls(netns_id net) override {
    return read_sysctls(core_.sysctls_of(core_.net(net)));
  }
  std::string set_sysctl(netns_id net, std::string_view name, std::string_view value) override {
    return core_.set_sysctl(core_.net(net), name, value);
  }
  void use_labels(netns_id net, bool are_used) override {
    core_.net(net).policy.labels_used = are_used;
  }
  const timeout_policy* add_timeouts(netns_id net,
                                     std::uint8_t protonum,
                                     std::span<const timeout_setting> given,
                                     std::string& error) override {
    auto made =
        make_timeout_policy(core_.net(net).policy, protonum, given, error, core_.l4protos());
    if (made == nullptr) return nullptr;
    const std::lock_guard guard(timeout_policies_lock_);
    return timeout_policies_.emplace_back(std::move(made)).get();
  }
  bool add_gre_keys(netns_id net, const tuple& original, const tuple& reply) override {
    return core_.net(net).gre_keys.add(original, reply);
  }
  void remove_gre_keys(netns_id net, const tuple& original, const tuple& reply) override {
    core_.net(net).gre_keys.remove(original, reply);
  }

 private:
  /// Packets that are read ahead, so that their buckets are on the way when their turn comes.
  static constexpr std::size_t batch = 32;

  class cpu_face final : public ct::cpu {
   public:
    cpu_face(system& owner, std::size_t number, cpu_statistics& stat, std::uint64_t& last_id)
        : owner_(owner), last_id_(last_id), state_(owner.core_, number) {
      state_.stat = &stat;
      state_.last_id = last_id;
    }
    cpu_face(const cpu_face&) = delete;
    cpu_face& operator=(const cpu_face&) = delete;
    ~cpu_face() override {
      const std::lock_guard guard(owner_.cpus_lock_);
      last_id_ = state_.last_id;
      owner_.attached_[state_.index] = false;
    }

    void in(std::span<skb> packets) noexcept override {
      for_each_parsed(packets, [this](const parsed_packet& parsed, skb& s) {
        owner_.core_.in(state_, parsed, s);
      });
    }
    void confirm(std::span<skb> packets) noexcept override {
      for (skb& s : packets) owner_.core_.confirm(state_, s);
      quiescent();
    }
    void free_skb(std::span<skb> packets) noexcept override {
      for (skb& s : packets) owner_.core_.free_skb(state_, s);
      quiescent();
    }
    void pass(std::span<skb> packets) noexcept override {
      core_type& core = owner_.core_;
      for_each_parsed(packets, [&](const parsed_packet& parsed, skb& s) {
        if (s.jiffies64 > core.jiffies64()) core.advance(state_, s.jiffies64);
        core.in(state_, parsed, s);
        core.confirm(state_, s);
        core.free_skb(state_, s);
      });
    }

    void find(std::span<const tuple> tuples, std::span<lookup_answer> answers) noexcept override {
      core_type& core = owner_.core_;
      netns& init_net = core.net(0);
      std::array<key, batch> keys;
      for (std::size_t begin = 0; begin < tuples.size(); begin += batch) {
        const std::size_t count = std::min(batch, tuples.size() - begin);
        for (std::size_t i = 0; i < count; ++i) {
          keys[i] = core.key_of(tuples[begin + i], 0, init_net);
        }
        prefetch(std::span(keys).first(count), [](const key& k) { return &k; });
        for (std::size_t i = 0; i < count; ++i) {
          const found<nf_conn> hit = core.find_get(state_, keys[i]);
          answers[begin + i] = {};
          if (hit.entry == nullptr) continue;
          answers[begin + i] = {.conn_id = hit.entry->id, .dir = hit.dir};
          core.put(state_, *hit.entry);
        }
        core.table().quiescent(state_.local);
      }
    }

    std::size_t create(std::span<const tuple> originals,
                       std::uint32_t timeout_s) noexcept override {
      std::size_t made = 0;
      for (const tuple& t : originals) {
        made += owner_.core_.create(state_, t, timeout_s) == insert_status::inserted ? 1 : 0;
      }
      quiescent();
      return made;
    }

    std::size_t kill(std::span<const tuple> tuples) noexcept override {
      core_type& core = owner_.core_;
      std::size_t won = 0;
      for (const tuple& t : tuples) {
        const found<nf_conn> hit = core.find_get(state_, core.key_of(t, 0, core.net(0)));
        if (hit.entry == nullptr) continue;
        won += core.kill_found(state_, *hit.entry) ? 1 : 0;
        core.put(state_, *hit.entry);
      }
      quiescent();
      return won;
    }

    std::optional<conn> get(const tuple& t, std::uint16_t zone_id) noexcept override {
      core_type& core = owner_.core_;
      const found<nf_conn> hit = core.find_get(state_, core.key_of(t, zone_id, core.net(0)));
      std::optional<conn> shown;
      if (hit.entry != nullptr) {
        shown = owner_.view(*hit.entry);
        core.put(state_, *hit.entry);
      }
      quiescent();
      return shown;
    }

    std::size_t kill_if(const std::function<bool(const conn&)>& chosen) override {
      const std::size_t killed =
          owner_.core_.kill_if(state_, [&](nf_conn& ct) { return chosen(owner_.view(ct)); });
      quiescent();
      return killed;
    }
    bool alter_reply(skb& packet, const tuple& reply) noexcept override {
      const bool is_altered = owner_.core_.alter_reply(packet, reply);
      if (is_altered) mark(state_.local, action::alter_reply, *static_cast<nf_conn*>(packet.nfct));
      return is_altered;
    }
    std::vector<netns_holder> exit_netns(netns_id id) override {
      std::vector<netns_holder> left = owner_.core_.exit_netns(state_, id);
      quiescent();
      return left;
    }
    update_status update(const tuple& t, const conn_update& change) noexcept override {
      const update_status is = owner_.core_.update(state_, t, change);
      quiescent();
      return is;
    }

    void advance(std::uint64_t jiffies64) noexcept override {
      owner_.core_.advance(state_, jiffies64);
      quiescent();
    }
    gc_report gc_worker() noexcept override {
      const gc_report report = owner_.core_.gc_worker(state_);
      quiescent();
      return report;
    }
    redelivery_report redeliver(netns_id net) noexcept override {
      const redelivery_report report = owner_.core_.redeliver(state_, owner_.core_.net(net));
      quiescent();
      return report;
    }
    resize_status resize(std::size_t buckets) noexcept override {
      return owner_.core_.resize(state_.local, buckets);
    }
    void quiescent() noexcept override { owner_.core_.table().quiescent(state_.local); }

   private:
    friend system;

    template <class Act>
    void for_each_parsed(std::span<skb> packets, Act&& act) noexcept {
      for (std::size_t begin = 0; begin < packets.size(); begin += batch) {
        const std::span<skb> some = packets.subspan(begin, std::min(batch, packets.size() - begin));
        for (std::size_t i = 0; i < some.size(); ++i) owner_.core_.parse(some[i], parsed_[i]);
        prefetch(std::span(parsed_).first(some.size()), [](const parsed_packet& parsed) {
          return parsed.has_tuple ? &parsed.key : nullptr;
        });
        for (std::size_t i = 0; i < some.size(); ++i) act(parsed_[i], some[i]);
        quiescent();
      }
    }

    /// Hints the table at a batch; `key_of` answers nullptr for what will not be looked up.
    template <class Item, class KeyOf>
    void prefetch(std::span<Item> items, KeyOf&& key_of) noexcept {
      std::array<std::uint32_t, batch> hashes;
      std::size_t count = 0;
      for (const Item& item : items) {
        if (const key* const k = key_of(item)) hashes[count++] = k->hash;
      }
      owner_.core_.table().prefetch(state_.local, std::span(hashes).first(count));
    }

    system& owner_;
    std::uint64_t& last_id_;  // guarded by owner_.cpus_lock_
    cpu_state state_;
    std::array<parsed_packet, batch> parsed_;
  };

  static cpu_state& state_of(ct::cpu& on) { return static_cast<cpu_face&>(on).state_; }
  conn view(nf_conn& ct) const;

  struct masters {
    std::map<std::uint64_t, std::uint32_t> children;  // [id]: how many
    std::set<std::uint64_t> dying;                    // ids of those that children alone keep
  };
  masters find_masters(ct::cpu& on);

  std::mutex timeout_policies_lock_;
  // Guarded by timeout_policies_lock_; what the pointers lead to is immutable. Entries refer to it.
  std::vector<std::unique_ptr<const timeout_policy>> timeout_policies_;
  core_type core_;
  mutable std::mutex cpus_lock_;
  // Guarded by cpus_lock_.
  std::array<bool, cpus_max> attached_{};
  std::array<std::uint64_t, cpus_max>
      last_ids_{};  // [cpu], so that ids stay unique over detachments
  std::vector<std::unique_ptr<cpu_statistics>> statistics_;  // [cpu]
};

/// A copy of what a dump shows; the caller holds a reference, which `use` leaves out.
template <ct::table Table>
conn system<Table>::view(nf_conn& ct) const {
  conn c = view_of(ct, ct.net->id, core_.now());
  --c.use;
  return c;
}

/// The masters of the entries in the table, and of these masters.
template <ct::table Table>
typename system<Table>::masters system<Table>::find_masters(ct::cpu& on) {
  masters found;
  core_.for_each(state_of(on), dir::reply, [&](nf_conn& ct) {
    const nf_conn* child = &ct;
    while (const nf_conn* const master = child->master) {
      ++found.children[master->id];
      // Killed, it has a reference of each child left; its own master is counted once.
      if (!master->has(status::dying) || !found.dying.insert(master->id).second) break;
      child = master;
    }
  });
  return found;
}

/// What must hold at rest: every entry in the table is confirmed, not dying, referenced by the
/// table and its children alone, and linked once under each tuple; besides there are only dying
/// masters of such entries, and those whose destroy event waits (whose masters are not looked for).
template <ct::table Table>
std::string system<Table>::broken_invariant(ct::cpu& on) {
  if (!core_.table().is_valid()) return "the table's own invariants do not hold (is_valid)";
  if (!core_.expects().is_valid()) return "the table of expectations contradicts itself";
  std::string broken;
  masters of_entries = find_masters(on);
  std::size_t waiting = 0;  // refused destroy events
  core_.for_each_netns([&](const netns& n) { waiting += n.events.undelivered().size(); });
  std::map<std::uint64_t, std::array<int, 2>> links;  // [id][dir]
  std::set<std::uint64_t> reply_only;                 // ids
  for (const dir d : {dir::original, dir::reply}) {
    core_.for_each(state_of(on), d, [&](nf_conn& ct) {
      ++links[ct.id][index(d)];
      if (ct.has(status::nat_clash)) reply_only.insert(ct.id);
      const auto who = [&] { return "entry " + std::to_string(ct.id); };
      if (ct.has(status::dying)) broken = who() + " is dying and still in the table";
      // 2 are the table's and the walk's.
      const std::uint32_t expected = 2 + of_entries.children[ct.id];
      // relaxed: at rest nobody writes it.
      const std::uint32_t use = ct.use.load(std::memory_order_relaxed);
      if (waiting == 0 ? use != expected : use < expected) {
        broken = who() + " has " + std::to_string(use - 1) + " references at rest, not " +
                 std::to_string(expected - 1);
      }
    });
  }
  on.quiescent();
  for (const auto& [id, times] : links) {
    const bool is_reply_only = reply_only.contains(id);
    if (times != std::array{is_reply_only ? 0 : 1, 1}) {
      broken = "entry " + std::to_string(id) + " is linked " + std::to_string(times[0]) +
               " times as original and " + std::to_string(times[1]) + " times as reply";
    }
  }
  if (!broken.empty()) return broken;
  std::size_t dying = 0;
  core_.for_each_netns([&](const netns& n) {
    for (const netns::cpu_lists& lists : n.lists) {
      if (lists.unconfirmed.size() != 0) broken = "an unconfirmed entry without a packet";
      dying += lists.dying.size();
    }
  });
  if (waiting == 0 && dying != of_entries.dying.size()) broken = "a dying entry that nobody frees";
  if (broken.empty() && count() != links.size() + dying + waiting) {
    broken = "count is " + std::to_string(count()) + " with " + std::to_string(links.size()) +
             " entries in the table, " + std::to_string(dying) + " dying masters and " +
             std::to_string(waiting) + " that wait for the delivery of their destroy event";
  }
  if (broken.empty() && event_statistics().destroy_waiting != waiting) {
    broken = "the count of waiting destroy events is not what the lists hold";
  }
  return broken;
}

/// The registry's row of a table: see impls/CMakeLists.txt.
template <ct::table Table>
constexpr impl entry(std::string_view name, decltype(impl::make_observed) make_observed = nullptr) {
  return {.name = name,
          .summary = Table::summary,
          .promises = Table::promises,
          .make = [](const system_options& options) -> std::unique_ptr<ct_system> {
            return std::make_unique<system<Table>>(options);
          },
          .lacks = nullptr,
          .make_observed = make_observed};
}

}  // namespace ct::core
