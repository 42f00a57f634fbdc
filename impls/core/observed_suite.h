// SPDX-License-Identifier: BSD-2-Clause
/// For tests of observed systems: two CPUs driven in turn, and the contract machine, which follows
/// each step.
#pragma once

#include "impls/core/observed_system.h"
#include "impls/core/system_suite.h"
#include "spec/model/conntrack_run.h"

#include <array>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ct::system_test {

using core::action;

/// Follows the machine step by step, and keeps what it was told.
class judge final : public trace_sink {
 public:
  explicit judge(std::uint32_t max = 1'000'000) : run_(limits_of(max)) {}

  void take(const trace_step& step) noexcept override {
    if (!rejected.empty()) return;
    steps.push_back(step);
    if (!run_.take(step)) {
      rejected = run_.called(step);
      where = run_.shown(step);
    } else if (const auto* const broken = run_.broken()) {
      rejected = broken->name;
    }
  }
  void stop(std::string_view why) noexcept override { stopped = why; }

  std::set<action> actions() const {
    std::set<action> all;
    for (const trace_step& step : steps) all.insert(step.action);
    return all;
  }

  std::vector<trace_step> steps;
  std::string rejected;  ///< the first step that is none of the machine, or the invariant it broke
  std::string where;
  std::string stopped;

 private:
  static model::run_limits limits_of(std::uint32_t max) {
    model::run_limits limits{.entries = 256,
                             .cpus = 8,
                             .flows = 512,
                             .netns = 4,
                             .max = max,
                             .chain_limit = 26};
    limits.allowances.emplace_back("miss_during_resize");
    return limits;
  }

  model::conntrack_run run_;
};

/// Two CPUs of an observed system, driven in turn by this thread.
class stage {
 public:
  using maker = decltype(impl::make_observed);

  explicit stage(maker make, const system_options& options = {.buckets = 64})
      : seen(options.max_entries == 0 ? 1'000'000
                                      : static_cast<std::uint32_t>(options.max_entries)),
        system(make(options, seen)),
        one(system->attach()),
        other(system->attach()) {}

  skb packet(const bytes& ip, netns_id net = 0) {
    kept_.push_back(std::make_unique<bytes>(ip));
    skb s;
    s.frame = *kept_.back();
    s.wire_bytes = static_cast<std::uint32_t>(ip.size());
    s.link = link_type::raw;
    s.net = net;
    return s;
  }
  skb in(ct::cpu& on, const bytes& ip, netns_id net = 0) {
    skb s = packet(ip, net);
    on.in({&s, 1});
    return s;
  }
  static void confirm(ct::cpu& on, skb& s) { on.confirm({&s, 1}); }
  static void free(ct::cpu& on, skb& s) { on.free_skb({&s, 1}); }
  skb pass(const bytes& ip, netns_id net = 0) {
    skb s = packet(ip, net);
    one->pass({&s, 1});
    return s;
  }
  void wait(std::uint32_t jiffies) { one->advance(system->jiffies64() + jiffies); }
  void set(std::string_view name, std::string_view value) {
    REQUIRE(system->set_sysctl(0, name, value).empty());
  }
  /// Everything so far is a run of the machine, and there are such steps in it.
  void expect(std::initializer_list<action> among) {
    INFO(seen.where);
    CHECK(seen.rejected == "");
    CHECK(seen.stopped == "");
    const std::set<action> all = seen.actions();
    for (const action a : among) {
      INFO(signature_of(a).name);
      CHECK(all.contains(a));
    }
  }

  judge seen;
  std::unique_ptr<ct_system> system;
  std::unique_ptr<ct::cpu> one;
  std::unique_ptr<ct::cpu> other;

 private:
  std::vector<std::unique_ptr<bytes>> kept_;
};

template <class Check>
void for_each_observed(Check&& check) {
  for (const impl& which : implementations()) {
    if (which.make_observed == nullptr) continue;
    DYNAMIC_SECTION(which.name) { check(which.make_observed); }
  }
}

inline tuple tuple_of(const bytes& ip) {
  tuple t;
  REQUIRE(core::get_tuple(build::view(ip), t));
  return t;
}

}  // namespace ct::system_test
