// SPDX-License-Identifier: BSD-2-Clause
/// Are the scenarios sharp? A right system behind a wrapper that does one thing wrong must differ
/// from some scenario; behind a wrapper that does nothing, from none.
///
/// A fault is a name and the hooks that it sets.
#include "harness/scenario/scenario_run.h"
#include "harness/scenario/wrapped_system.h"
#include "spec/jiffies.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ct::harness {
namespace {

struct fault {
  const char* what;
  hooks (*plant)();
};

/// Packets and their entries.
constexpr fault packet_faults[] = {
    {"zones are ignored", [] { return hooks{.before_in = [](skb& s) { s.zone = {}; }}; }},
    {"a zone counts in both directions",
     [] { return hooks{.before_in = [](skb& s) { s.zone.directions = 3; }}; }},
    {"netns are one", [] { return hooks{.before_in = [](skb& s) { s.net = 0; }}; }},
    {"a rule's mark is forgotten",
     [] { return hooks{.before_in = [](skb& s) { s.ct_mark.reset(); }}; }},
    {"a rule's timeouts are forgotten",
     [] { return hooks{.before_in = [](skb& s) { s.timeouts = nullptr; }}; }},
    {"a reply is ESTABLISHED",
     [] {
       return hooks{.after_in = [](ct_system&, skb& s) {
         if (s.info == ctinfo::established_reply) s.info = ctinfo::established;
       }};
     }},
    {"what was announced is NEW",
     [] {
       return hooks{.after_in = [](ct_system&, skb& s) {
         if (s.info == ctinfo::related) s.info = ctinfo::new_;
       }};
     }},
    {"an INVALID packet is dropped",
     [] {
       return hooks{.after_in = [](ct_system&, skb& s) {
         if (s.info == ctinfo::invalid) s.verdict = verdict::drop;
       }};
     }},
    {"a packet without room is accepted",
     [] { return hooks{.after_in = [](ct_system&, skb& s) { s.verdict = verdict::accept; }}; }},
    {"the loser of a clash keeps its own entry",
     [] {
       return hooks{.after_confirm = [](ct_system&, skb& s, std::uint64_t id) { s.conn_id = id; }};
     }},
    {"the loser of a clash is dropped",
     [] {
       return hooks{.after_confirm = [](ct_system&, skb& s, std::uint64_t id) {
         if (s.conn_id != id) s.verdict = verdict::drop;
       }};
     }},
    {"a refused confirm passes",
     [] {
       return hooks{
           .after_confirm = [](ct_system&, skb& s, std::uint64_t) { s.verdict = verdict::accept; }};
     }},
    {"a packet that is dropped confirms",
     [] { return hooks{.before_free = [](ct::cpu& on, skb& s) {
            on.confirm({&s, 1});
          }}; }},
    {"NAT comes to nothing", [] { return hooks{.forgets_to_alter = true}; }},
    {"entries have events whoever listens",
     [] {
       return hooks{.options = [](system_options& o) {
         o.sysctls.push_back({.name = "nf_conntrack_events", .value = "1"});
       }};
     }},
    {"half a limit",
     [] {
       return hooks{.options = [](system_options& o) {
         for (sysctl_setting& one : o.sysctls) {
           if (one.name == "nf_conntrack_max" && one.value == "2") one.value = "1";
         }
       }};
     }},
};

/// Time, deletion, size.
constexpr fault end_faults[] = {
    {"time runs slow",
     [] {
       return hooks{
           .clock = [](std::uint64_t now, std::uint64_t to) { return to - (to - now) / 8; }};
     }},
    {"time runs fast",
     [] {
       return hooks{
           .clock = [](std::uint64_t now, std::uint64_t to) { return to + (to - now) / 8; }};
     }},
    {"time is a jiffy ahead",
     [] {
       return hooks{
           .clock = [](std::uint64_t now, std::uint64_t to) { return to > now + 1 ? to + 1 : to; }};
     }},
    {"time is a jiffy behind",
     [] { return hooks{.clock = [](std::uint64_t, std::uint64_t to) { return to - 1; }}; }},
    {"entries end a second early",
     [] {
       return hooks{.after_wait = [](ct::cpu& on) {
         (void)on.kill_if([](const conn& c) { return c.timeout_jiffies <= int{hz}; });
       }};
     }},
    {"gc on request does nothing", [] { return hooks{.forgets_gc = true}; }},
    {"a kill is reported as none",
     [] { return hooks{.killed = [](std::size_t, std::size_t) { return std::size_t{0}; }}; }},
    {"a second kill wins too",
     [] { return hooks{.killed = [](std::size_t, std::size_t asked) { return asked; }}; }},
    {"a flush misses one",
     [] {
       return hooks{.flushes = [is_first = std::make_shared<bool>(true)](bool is, const conn&) {
         return is && !std::exchange(*is_first, false);
       }};
     }},
    {"a filter is forgotten",
     [] { return hooks{.flushes = [](bool, const conn&) { return true; }}; }},
    {"a flush passes by who is linked by replies alone",
     [] {
       return hooks{
           .flushes = [](bool is, const conn& c) { return is && !c.has(status::nat_clash); }};
     }},
    {"a resize loses an entry",
     [] {
       return hooks{.after_resize = [](ct::cpu& on) {
         (void)on.kill_if(
             [is_first = true](const conn&) mutable { return std::exchange(is_first, false); });
       }};
     }},
    {"the end of a netns takes the others along",
     [] {
       return hooks{
           .before_exit = [](ct::cpu& on) { (void)on.kill_if([](const conn&) { return true; }); }};
     }},
    {"the end of a netns names nobody",
     [] { return hooks{.holders = [](std::vector<netns_holder>& left) { left.clear(); }}; }},
    {"a request's timeout is forgotten",
     [] { return hooks{.create = [](std::uint32_t& timeout_s) { timeout_s = 600; }}; }},
    {"a refused update is reported as done",
     [] {
       return hooks{.updated = [](update_status came) {
         return came == update_status::not_found ? came : update_status::updated;
       }};
     }},
    {"a sysctl holds in every netns", [] { return hooks{.sets_every_netns = true}; }},
    {"a sysctl is set and not in force", [] { return hooks{.keeps_sysctls = true}; }},
};

void remember_reply_only(hooks& with) {
  const auto clashes = std::make_shared<std::vector<conn>>();
  with.after_confirm = [clashes](ct_system& system, skb& s, std::uint64_t) {
    const std::optional<conn> c = system.entry_of(s);
    if (c && c->has(status::nat_clash)) clashes->push_back(*c);
  };
  with.listed = [clashes](std::vector<conn>& all) {
    all.insert(all.end(), clashes->begin(), clashes->end());
  };
}

void remember_unconfirmed(hooks& with) {
  const auto fresh = std::make_shared<std::map<std::uint64_t, conn>>();
  with.after_in = [fresh](ct_system& system, skb& s) {
    const std::optional<conn> c = system.entry_of(s);
    if (c && !c->has(status::confirmed)) fresh->emplace(c->id, *c);
  };
  with.after_confirm = [fresh](ct_system&, skb&, std::uint64_t id) { fresh->erase(id); };
  with.listed = [fresh](std::vector<conn>& all) {
    for (const auto& [id, c] : *fresh) all.push_back(c);
  };
}

void remember_expectations(hooks& with) {
  const auto most = std::make_shared<std::vector<expect>>();
  with.expected = [most](std::vector<expect>& all) {
    if (all.size() < most->size()) all = *most;
    *most = all;
  };
}

hooks showing(void (*spoil)(conn&)) { return hooks{.shown = spoil}; }
hooks counting(void (*spoil)(ip_conntrack_stat&)) { return hooks{.counted = spoil}; }

/// What is found, listed, counted.
constexpr fault view_faults[] = {
    {"a lookup misses replies",
     [] {
       return hooks{.found = [](lookup_answer& a) {
         if (a.dir == dir::reply) a = {};
       }};
     }},
    {"a lookup takes replies for originals",
     [] { return hooks{.found = [](lookup_answer& a) { a.dir = dir::original; }}; }},
    {"the list shows who is linked by replies alone",
     [] {
       hooks with;
       remember_reply_only(with);
       return with;
     }},
    {"the list shows entries before they are confirmed",
     [] {
       hooks with;
       remember_unconfirmed(with);
       return with;
     }},
    {"the list forgets ASSURED",
     [] { return showing([](conn& c) { c.status &= ~status::assured; }); }},
    {"the list forgets SEEN_REPLY",
     [] { return showing([](conn& c) { c.status &= ~status::seen_reply; }); }},
    {"FIXED_TIMEOUT does not show",
     [] { return showing([](conn& c) { c.status &= ~status::fixed_timeout; }); }},
    {"a timeout is off by a second",
     [] { return showing([](conn& c) { c.timeout_jiffies += int{hz}; }); }},
    {"use is off by one", [] { return showing([](conn& c) { ++c.use; }); }},
    {"a master's mark is not copied",
     [] {
       return showing([](conn& c) {
         if (c.has(status::expected)) c.mark = 0;
       });
     }},
    {"a child forgets its master", [] { return showing([](conn& c) { c.master_id = 0; }); }},
    {"the helper does not show", [] { return showing([](conn& c) { c.helper = {}; }); }},
    {"packets are counted the other way round",
     [] { return showing([](conn& c) { std::swap(c.packets[0], c.packets[1]); }); }},
    {"bytes are not counted", [] { return showing([](conn& c) { c.bytes = {}; }); }},
    {"labels do not show", [] { return showing([](conn& c) { c.labels = {}; }); }},
    {"the stop time is forgotten", [] { return showing([](conn& c) { c.stop_ns = 0; }); }},
    {"an expectation is not used up",
     [] {
       hooks with;
       remember_expectations(with);
       return with;
     }},
    {"a drop is counted twice", [] { return counting([](ip_conntrack_stat& s) { s.drop *= 2; }); }},
    {"insert_failed is not counted",
     [] { return counting([](ip_conntrack_stat& s) { s.insert_failed = 0; }); }},
    {"an ICMP error is counted as invalid",
     [] { return counting([](ip_conntrack_stat& s) { s.invalid += std::exchange(s.error, 0); }); }},
    {"early_drop counts one",
     [] {
       return counting([](ip_conntrack_stat& s) { s.early_drop = s.early_drop != 0 ? 1 : 0; });
     }},
    {"a resolved clash is not counted",
     [] { return counting([](ip_conntrack_stat& s) { s.clash_resolve = 0; }); }},
    {"too long a chain is not counted",
     [] { return counting([](ip_conntrack_stat& s) { s.chaintoolong = 0; }); }},
    {"an expectation that ends is not counted",
     [] { return counting([](ip_conntrack_stat& s) { s.expect_delete = 0; }); }},
};

hooks telling(std::function<bool(listener&, event_message)> spoil) {
  return hooks{.told = std::move(spoil)};
}
constexpr std::uint32_t births = bit(event::new_) | bit(event::related);

/// Takes a bit out of each message; one that says nothing any more is not told.
template <event Lost>
bool without(listener& to, event_message m) {
  m.bits &= ~bit(Lost);
  return m.bits == 0 || to.deliver(m);
}

constexpr fault event_faults[] = {
    {"DESTROY is told twice", [] { return telling(tell_destroy_twice); }},
    {"NEW is lost", [] { return telling(lose<event_kind::new_>); }},
    {"DESTROY is lost", [] { return telling(lose<event_kind::destroy>); }},
    {"RELATED is told as NEW",
     [] {
       return telling([](listener& to, event_message m) {
         if ((m.bits & births) != 0) m.bits = (m.bits & ~births) | bit(event::new_);
         return to.deliver(m);
       });
     }},
    {"REPLY is lost", [] { return telling(without<event::reply>); }},
    {"ASSURED is lost", [] { return telling(without<event::assured>); }},
    {"a state is not told", [] { return telling(without<event::protoinfo>); }},
    {"MARK is lost", [] { return telling(without<event::mark>); }},
    {"HELPER is lost", [] { return telling(without<event::helper>); }},
    {"what was refused is lost", [] { return telling(lose_refused); }},
    {"the mask is forgotten", [] { return hooks{.hears_everything = true}; }},
    {"redelivery on request does nothing", [] { return hooks{.forgets_to_redeliver = true}; }},
};

/// It promises everything that a scenario may need.
const impl& real() { return *std::ranges::find(implementations(), "rcu", &impl::name); }

const fault* planted = nullptr;  // impl::make has no room for it

std::unique_ptr<ct_system> make_faulty(const system_options& options) {
  return std::make_unique<wrapped_system>(planted == nullptr ? hooks{} : planted->plant(),
                                          real(),
                                          options);
}

const std::vector<workloads::scenario>& all_scenarios() {
  static const std::vector<workloads::scenario> all = [] {
    std::vector<workloads::scenario> read;
    for (const auto& entry : std::filesystem::directory_iterator(CT_SCENARIOS)) {
      if (entry.path().extension() != ".scn") continue;
      read.push_back(workloads::read_scenario_file(entry.path().string()));
    }
    std::ranges::sort(read, {}, &workloads::scenario::path);
    return read;
  }();
  return all;
}

/// The first thing that a scenario finds; empty: all of them go as written.
std::string first_finding() {
  impl faulty = real();
  faulty.make = make_faulty;
  for (const workloads::scenario& what : all_scenarios()) {
    if (!takes_part(what, faulty)) continue;
    std::string finding = run_scenario(what, faulty);
    if (!finding.empty()) return finding;
  }
  return {};
}

TEST_CASE("behind a wrapper that does nothing every scenario goes as written") {
  planted = nullptr;
  CHECK(first_finding() == "");
}

void demand_found(std::span<const fault> faults) {
  for (const fault& one : faults) {
    planted = &one;
    INFO(one.what);
    const std::string finding = first_finding();
    CHECK(finding != "");
    UNSCOPED_INFO(finding);
  }
  planted = nullptr;
}

TEST_CASE("scenarios find each fault in what packets do") { demand_found(packet_faults); }
TEST_CASE("scenarios find each fault in time, deletion and size") { demand_found(end_faults); }
TEST_CASE("scenarios find each fault in what is found, listed and counted") {
  demand_found(view_faults);
}
TEST_CASE("scenarios find each fault in what is told") { demand_found(event_faults); }

}  // namespace
}  // namespace ct::harness
