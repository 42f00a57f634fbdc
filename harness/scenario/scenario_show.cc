// SPDX-License-Identifier: BSD-2-Clause
/// Policy, events and everything that a scenario may look at.
#include "harness/format/conntrack.h"
#include "harness/scenario/scenario_host.h"
#include "spec/jiffies.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <set>
#include <string_view>

namespace ct::harness {
namespace {

using workloads::text_error;
using workloads::to_number;
using workloads::word_reader;

constexpr std::uint64_t u32_max = std::numeric_limits<std::uint32_t>::max();

struct status_name {
  std::uint32_t bit;
  std::string_view name;
};
constexpr std::array<status_name, 12> status_names = {{{status::expected, "EXPECTED"},
                                                       {status::seen_reply, "SEEN_REPLY"},
                                                       {status::assured, "ASSURED"},
                                                       {status::confirmed, "CONFIRMED"},
                                                       {status::src_nat, "SRC_NAT"},
                                                       {status::dst_nat, "DST_NAT"},
                                                       {status::src_nat_done, "SRC_NAT_DONE"},
                                                       {status::dst_nat_done, "DST_NAT_DONE"},
                                                       {status::dying, "DYING"},
                                                       {status::fixed_timeout, "FIXED_TIMEOUT"},
                                                       {status::nat_clash, "NAT_CLASH"},
                                                       {status::helper, "HELPER"}}};

std::string status_text(std::uint32_t bits) {
  std::vector<std::string_view> names;
  for (const status_name& one : status_names) {
    if ((bits & one.bit) != 0) names.push_back(one.name);
  }
  return fmt::format("{}", fmt::join(names, "|"));
}

std::uint32_t status_bits(std::string_view text) {
  std::uint32_t bits = 0;
  while (!text.empty()) {
    const std::size_t bar = std::min(text.find('|'), text.size());
    const auto* const at = std::ranges::find(status_names, text.substr(0, bar), &status_name::name);
    if (at == status_names.end()) {
      throw text_error("'" + std::string(text.substr(0, bar)) + "' is no status bit");
    }
    bits |= at->bit;
    text.remove_prefix(std::min(bar + 1, text.size()));
  }
  return bits;
}

netns_id net_of(word_reader& words) {
  return words.take("net") ? words.number<netns_id>("a netns", u32_max) : 0;
}

std::uint32_t event_mask(word_reader& words) {
  std::uint32_t mask = 0;
  while (!words.is_end()) {
    const std::string& word = words.next("an event");
    std::size_t i = 0;
    while (i < event_count && name(static_cast<event>(i)) != word) ++i;
    if (i == event_count) throw text_error("'" + word + "' is no event; write NEW, DESTROY ...");
    mask |= bit(static_cast<event>(i));
  }
  return mask == 0 ? all_events : mask;
}

/// NEW|PROTOINFO: what a message is about, which its line says in part.
std::string event_names(std::uint32_t bits) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < event_count; ++i) {
    const auto one = static_cast<event>(i);
    if ((bits & bit(one)) != 0) names.push_back(name(one));
  }
  return fmt::format("{}", fmt::join(names, "|"));
}

/// KEY=NUMBER.
std::pair<std::string, std::uint32_t> number_setting(const std::string& word) {
  const std::size_t equals = std::min(word.find('='), word.size());
  const auto value = to_number(word.substr(std::min(equals + 1, word.size())), u32_max);
  if (!value) throw text_error("'" + word + "' sets no number; write NAME=NUMBER");
  return {word.substr(0, equals), static_cast<std::uint32_t>(*value)};
}

std::string_view word_of(update_status came) {
  switch (came) {
    case update_status::updated:
      return "updated";
    case update_status::not_found:
      return "not_found";
    case update_status::fixed_timeout:
      return "fixed_timeout";
    case update_status::dying:
      return "dying";
    case update_status::busy:
      return "busy";
    case update_status::no_labels:
      return "no_labels";
  }
  return "?";
}

std::string pair_text(const std::array<std::uint64_t, 2>& values) {
  return fmt::format("{}/{}", values[0], values[1]);
}

}  // namespace

observation scenario_host::update(word_reader& words) {
  const std::vector<tuple> tuples = tuples_of(words);
  conn_update change;
  while (!words.is_end()) {
    const std::string& word = words.next("what to change");
    if (word.starts_with("status=")) {
      change.status = status_bits(std::string_view(word).substr(7));
      continue;
    }
    const auto [key, value] = number_setting(word);
    if (key == "timeout") {
      change.timeout_s = value;
    } else if (key == "mark") {
      change.mark = value;
    } else if (key == "label") {  // the low 32 of its 128 bits
      change.labels = {value, 0, 0, 0};
    } else if (key == "net") {
      change.net = value;
    } else if (key == "zone") {
      change.zone.id = static_cast<std::uint16_t>(value);
    } else {
      throw text_error("'" + key + "' cannot be changed; timeout, mark, status and label can");
    }
  }
  std::set<std::string_view> distinct;
  for (const tuple& t : tuples) distinct.insert(word_of(cpu_->update(t, change)));
  if (distinct.size() != 1) return {.words = {}, .failure = "not all of them have one answer"};
  return {.words = {std::string(*distinct.begin())}};
}

observation scenario_host::set_sysctl(word_reader& words) {
  const std::string setting = words.next("NAME=VALUE");
  const std::size_t equals = setting.find('=');
  if (equals == std::string::npos) throw text_error("'" + setting + "': write NAME=VALUE");
  const std::string error =
      system_->set_sysctl(net_of(words), setting.substr(0, equals), setting.substr(equals + 1));
  return {.words = {error.empty() ? "set" : "refused"}, .values = {{"reason", error}}};
}

observation scenario_host::labels(word_reader& words) {
  const bool are_on = words.take("on");
  if (!are_on && !words.take("off")) throw text_error("write: labels on, or labels off");
  system_->use_labels(net_of(words), are_on);
  return {};
}

observation scenario_host::policy(word_reader& words) {
  const std::string name = words.next("the policy's name");
  const std::string protocol = words.next("a protocol");
  const std::uint8_t protonum = protocol == "tcp"    ? ipproto::tcp
                                : protocol == "udp"  ? ipproto::udp
                                : protocol == "icmp" ? ipproto::icmp
                                                     : std::uint8_t{0};
  if (protonum == 0) throw text_error("'" + protocol + "': a policy is for tcp, udp or icmp");
  std::vector<std::pair<std::string, std::uint32_t>> given;
  while (!words.is_end()) given.push_back(number_setting(words.next("NAME=SECONDS")));
  std::vector<timeout_setting> settings;
  for (const auto& [key, seconds] : given) settings.push_back({.name = key, .seconds = seconds});
  std::string error;
  policies_[name] = system_->add_timeouts(0, protonum, settings, error);
  if (policies_[name] == nullptr) throw text_error(error);
  return {};
}

scenario_listener& scenario_host::listener_of(netns_id net) {
  std::unique_ptr<scenario_listener>& at = listeners_[net];
  if (at == nullptr) at = std::make_unique<scenario_listener>(is_refusing_);
  return *at;
}

observation scenario_host::listen(word_reader& words) {
  const netns_id net = net_of(words);
  const bool is_first = !listeners_.contains(net);
  const std::uint32_t mask = event_mask(words);
  scenario_listener& to = listener_of(net);
  to.hears_all = is_first && mask == all_events && system_->count() == 0;
  system_->listen(net, &to, mask);
  return {};
}

observation scenario_host::unlisten(word_reader& words) {
  const netns_id net = net_of(words);
  listener_of(net).hears_all = false;
  system_->listen(net, nullptr, 0);
  return {};
}

observation scenario_host::refuse(word_reader&) {
  is_refusing_ = true;
  return {};
}

observation scenario_host::take(word_reader&) {
  is_refusing_ = false;
  return {};
}

observation scenario_host::redeliver(word_reader& words) {
  const redelivery_report report = cpu_->redeliver(net_of(words));
  return {.words = {},
          .values = {{"delivered", std::to_string(report.delivered)},
                     {"waiting", std::to_string(report.waiting)},
                     {"congested", report.is_congested ? "yes" : "no"}}};
}

observation scenario_host::events(word_reader& words) {
  const bool has_bits = words.take("bits");
  const bool has_acct = words.take("acct");
  observation was{.words = {}};
  was.lines.emplace();
  for (auto& [net, told] : listeners_) {
    for (const event_message& message : told->take()) {
      const std::string line = conntrack_event_line(message, {.acct = has_acct});
      was.lines->push_back(has_bits ? event_names(message.bits) + " " + line : line);
    }
  }
  return was;
}

std::vector<conn> scenario_host::dump() {
  std::vector<conn> all;
  system_->dump(*cpu_, [&](const conn& c) { all.push_back(c); });
  std::ranges::sort(all, is_printed_before);
  return all;
}

observation scenario_host::list(word_reader& words) {
  const netns_id net = net_of(words);
  const bool has_acct = words.take("acct");
  observation was{.words = {}};
  was.lines.emplace();
  for (const conn& c : dump()) {
    if (c.net == net) was.lines->push_back(conntrack_line(c, {.acct = has_acct}));
  }
  return was;
}

observation scenario_host::expectations(word_reader&) {
  observation was{.words = {}};
  was.lines.emplace();
  for (const expect& exp : system_->expectations()) was.lines->push_back(expect_line(exp));
  std::ranges::sort(*was.lines);
  return was;
}

observation scenario_host::count(word_reader&) {
  return {.words = {std::to_string(system_->count())}};
}

observation scenario_host::buckets(word_reader&) {
  return {.words = {std::to_string(system_->buckets())}};
}

observation scenario_host::stat(word_reader&) {
  ip_conntrack_stat sum;
  for (const ip_conntrack_stat& row : system_->statistics()) sum += row;
  observation was{.words = {}, .are_counters = true};
  const auto add = [&](const char* key, std::uint64_t value) {
    was.values[key] = std::to_string(value);
  };
  add("found", sum.found);
  add("invalid", sum.invalid);
  add("insert", sum.insert);
  add("insert_failed", sum.insert_failed);
  add("drop", sum.drop);
  add("early_drop", sum.early_drop);
  add("error", sum.error);
  add("search_restart", sum.search_restart);
  add("clash_resolve", sum.clash_resolve);
  add("chaintoolong", sum.chaintoolong);
  add("expect_new", sum.expect_new);
  add("expect_create", sum.expect_create);
  add("expect_delete", sum.expect_delete);
  return was;
}

observation scenario_host::event_stat(word_reader&) {
  const ct::event_stat now = system_->event_statistics();
  return {.words = {},
          .values = {{"delivered", std::to_string(now.delivered)},
                     {"refused", std::to_string(now.refused)},
                     {"destroy_waiting", std::to_string(now.destroy_waiting)}},
          .are_counters = true};
}

observation scenario_host::entry(word_reader& words) {
  const auto at = travellers_.find(words.next("a handle"));
  if (at == travellers_.end()) throw text_error("no packet of that handle came so far");
  const skb& of = at->second.packets.front();
  std::optional<conn> found;
  const char* where = "gone";
  for (const conn& c : dump()) {
    if (c.id == of.conn_id) found = c;
  }
  if (found) {
    where = "table";
  } else if (at->second.is_held) {
    found = system_->entry_of(of);
    where = found ? "held" : "gone";
  }
  if (!found) return {.words = {where}};
  return {.words = {where},
          .values = {{"status", status_text(found->status)},
                     {"timeout", std::to_string(found->timeout_jiffies / static_cast<int>(hz))},
                     {"jiffies", std::to_string(found->timeout_jiffies)},
                     {"use", std::to_string(found->use)},
                     {"mark", std::to_string(found->mark)},
                     {"zone", std::to_string(found->zone.id)},
                     {"tcp", std::string(name(found->tcp))},
                     {"packets", pair_text(found->packets)},
                     {"bytes", pair_text(found->bytes)},
                     {"helper", std::string(found->helper)},
                     {"master", handle_of(found->master_id)},
                     {"label", std::to_string(found->labels[0])},
                     {"start_ns", std::to_string(found->start_ns)},
                     {"stop_ns", std::to_string(found->stop_ns)}}};
}

}  // namespace ct::harness
