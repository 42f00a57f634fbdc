// SPDX-License-Identifier: BSD-2-Clause
/// Packets and requests; what is shown and told stands in scenario_show.cc.
#include "harness/scenario/scenario_host.h"

#include "spec/jiffies.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <set>

namespace ct::harness {
namespace {

using workloads::text_error;
using workloads::text_packet;
using workloads::to_number;
using workloads::word_reader;

constexpr std::uint64_t u32_max = std::numeric_limits<std::uint32_t>::max();

std::size_t number_of(const sysctl_setting& option) {
  const auto value = to_number(option.value, std::numeric_limits<std::uint32_t>::max());
  if (!value) throw text_error(fmt::format("with {}={}: not a number", option.name, option.value));
  return static_cast<std::size_t>(*value);
}

/// Our own options by their names; every other name is a sysctl.
system_options options_of(const workloads::scenario& what) {
  system_options options;
  options.buckets = 64;
  for (const sysctl_setting& option : what.with) {
    if (option.name == "buckets") {
      options.buckets = number_of(option);
    } else if (option.name == "max") {
      options.max_entries = number_of(option);
    } else if (option.name == "seed") {
      options.seed = number_of(option);
    } else if (option.name == "ftp_loose") {
      options.ftp_loose = number_of(option) != 0;
    } else if (option.name == "helper") {
      const std::size_t colon = std::min(option.value.find(':'), option.value.size());
      const auto port =
          to_number(option.value.substr(std::min(colon + 1, option.value.size())), 65535);
      if (!port) throw text_error("with helper=" + option.value + ": write it as helper=ftp:21");
      options.helpers.push_back(
          {.helper = option.value.substr(0, colon), .port = static_cast<std::uint16_t>(*port)});
    } else {
      options.sysctls.push_back(option);
    }
  }
  return options;
}

std::string count_word(std::size_t count) { return std::to_string(count); }

}  // namespace

scenario_host::scenario_host(const workloads::scenario& what, const impl& on)
    : what_(what), system_(on.make(options_of(what))), cpu_(system_->attach()) {}

scenario_host::~scenario_host() {
  for (auto& [handle, who] : travellers_) {
    if (who.is_held) cpu_->free_skb(who.packets);
  }
}

const std::vector<text_packet>& scenario_host::packets_of(word_reader& words) const {
  const std::string& name = words.next("a packet's name");
  const auto at = what_.packets.find(name);
  if (at == what_.packets.end()) {
    throw text_error("no packet '" + name + "'; define it: packet " + name + " = udp ...");
  }
  return at->second;
}

std::vector<tuple> scenario_host::tuples_of(word_reader& words) const {
  std::vector<tuple> tuples;
  for (const text_packet& packet : packets_of(words)) tuples.push_back(packet.tuple);
  return tuples;
}

skb scenario_host::skb_of(const text_packet& packet) const {
  skb s;
  s.frame = packet.ip;
  s.wire_bytes = static_cast<std::uint32_t>(packet.ip.size());
  s.link = link_type::raw;
  s.net = packet.net;
  s.zone = packet.zone;
  s.ct_mark = packet.mark;
  if (packet.policy.empty()) return s;
  const auto at = policies_.find(packet.policy);
  if (at == policies_.end()) {
    throw text_error("no policy '" + packet.policy + "' so far; a `policy` step makes it");
  }
  s.timeouts = at->second;
  return s;
}

/// NAME [as HANDLE], ready to go.
std::pair<const std::string, scenario_host::traveller>& scenario_host::depart(word_reader& words) {
  const word_reader before = words;
  std::string handle = word_reader(before).next("a packet's name");
  const std::vector<text_packet>& packets = packets_of(words);
  if (words.take("as")) handle = words.next("a handle");
  auto& who = *travellers_.try_emplace(handle).first;
  if (who.second.is_held) {
    throw text_error("'" + handle + "' is on its way already; free it, or name this one: as OTHER");
  }
  who.second.packets.clear();
  for (const text_packet& packet : packets) who.second.packets.push_back(skb_of(packet));
  return who;
}

std::pair<const std::string, scenario_host::traveller>& scenario_host::held(word_reader& words) {
  const auto at = travellers_.find(words.next("a handle"));
  if (at == travellers_.end() || !at->second.is_held) {
    throw text_error("no such packet is on its way; an `in` step must come first");
  }
  return *at;
}

/// `entry=`: who had that entry first.
std::string scenario_host::entry_name(const std::string& handle, std::uint64_t id) {
  if (id == 0) return "none";
  return first_handles_.emplace(id, handle).second ? "new" : first_handles_.at(id);
}

std::string scenario_host::handle_of(std::uint64_t id) const {
  if (id == 0) return "none";
  const auto at = first_handles_.find(id);
  return at == first_handles_.end() ? "unknown" : at->second;
}

observation scenario_host::seen(std::pair<const std::string, traveller>& who, bool is_confirm) {
  observation all;
  for (const skb& s : who.second.packets) {
    const bool is_dropped = s.verdict == verdict::drop;
    const bool is_stolen = s.verdict == verdict::stolen;
    observation one;
    if (is_confirm) {
      one.words.emplace_back(is_dropped ? "drop" : "accept");
    } else {
      one.words.emplace_back(name(s.info));
      if (is_dropped) one.words.emplace_back("drop");
      if (is_stolen) one.words.emplace_back("stolen");
    }
    one.values = {{"info", std::string(name(s.info))},
                  {"entry", entry_name(who.first, s.conn_id)},
                  {"reason", s.reason == nullptr ? "" : s.reason}};
    const bool is_first = &s == who.second.packets.data();
    if (!is_first && (one.words != all.words || one.values != all.values)) {
      all.failure = fmt::format(
          "packet {} of {} is '{}' entry={} reason={}, those before '{}' entry={} reason={}",
          &s - who.second.packets.data() + 1,
          who.second.packets.size(),
          fmt::join(one.words, " "),
          one.values["entry"],
          one.values["reason"],
          fmt::join(all.words, " "),
          all.values["entry"],
          all.values["reason"]);
      return all;
    }
    all = std::move(one);
  }
  return all;
}

observation scenario_host::in(word_reader& words) {
  auto& who = depart(words);
  cpu_->in(who.second.packets);
  who.second.is_held = true;
  return seen(who, false);
}

observation scenario_host::confirm(word_reader& words) {
  auto& who = held(words);
  cpu_->confirm(who.second.packets);
  return seen(who, true);
}

observation scenario_host::free(word_reader& words) {
  auto& who = held(words);
  cpu_->free_skb(who.second.packets);
  who.second.is_held = false;
  return {};
}

observation scenario_host::pass(word_reader& words) {
  auto& who = depart(words);
  cpu_->pass(who.second.packets);
  return seen(who, false);
}

observation scenario_host::alter_reply(word_reader& words) {
  auto& who = held(words);
  const std::vector<tuple> replies = tuples_of(words);
  if (replies.size() != who.second.packets.size()) {
    throw text_error("as many reply tuples as packets must be given");
  }
  std::size_t done = 0;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    done += cpu_->alter_reply(who.second.packets[i], replies[i]) ? 1 : 0;
  }
  return {.words = {done == replies.size() ? "done" : "late"}};
}

observation scenario_host::wait(word_reader& words) {
  const std::string& how_long = words.next("a time, as 30s or 5j");
  const std::string_view digits = std::string_view(how_long).substr(0, how_long.size() - 1);
  const std::optional<std::uint64_t> value = to_number(digits, u32_max / hz);
  if (!value || (how_long.back() != 's' && how_long.back() != 'j')) {
    throw text_error("'" + how_long + "' is no time; write seconds as 30s or jiffies as 5j");
  }
  cpu_->advance(system_->jiffies64() + *value * (how_long.back() == 's' ? hz : 1));
  return {};
}

observation scenario_host::gc(word_reader&) {
  const gc_report report = cpu_->gc_worker();
  return {
      .words = {},
      .values = {{"reaped", count_word(report.reaped)}, {"dropped", count_word(report.dropped)}}};
}

observation scenario_host::resize(word_reader& words) {
  switch (cpu_->resize(words.number<std::size_t>("a number of buckets", u32_max))) {
    case resize_status::resized:
      return {.words = {"resized"}};
    case resize_status::same_size:
      return {.words = {"same_size"}};
    case resize_status::not_supported:
      return {.words = {"not_supported"}};
    case resize_status::no_memory:
      return {.words = {"no_memory"}};
  }
  return {};
}

observation scenario_host::find(word_reader& words) {
  const std::vector<tuple> tuples = tuples_of(words);
  std::vector<lookup_answer> answers(tuples.size());
  cpu_->find(tuples, answers);
  std::set<std::vector<std::string>> distinct;
  for (const lookup_answer& answer : answers) {
    const char* const word = answer.conn_id == 0           ? "none"
                             : answer.dir == dir::original ? "original"
                                                           : "reply";
    distinct.insert({word, handle_of(answer.conn_id)});
  }
  if (distinct.size() != 1) return {.words = {}, .failure = "not all of them have one answer"};
  return {.words = {distinct.begin()->front()}, .values = {{"entry", distinct.begin()->back()}}};
}

observation scenario_host::create(word_reader& words) {
  const std::vector<tuple> originals = tuples_of(words);
  std::uint32_t timeout_s = 600;
  if (words.take("timeout")) timeout_s = words.number<std::uint32_t>("seconds", u32_max);
  return {.words = {count_word(cpu_->create(originals, timeout_s))}};
}

observation scenario_host::kill(word_reader& words) {
  const std::vector<tuple> tuples = tuples_of(words);
  return {.words = {count_word(cpu_->kill(tuples))}};
}

observation scenario_host::flush(word_reader& words) {
  const char* const meaning = "net=N, mark=N or protonum=N";
  if (words.is_end()) {
    return {.words = {count_word(cpu_->kill_if([](const conn&) { return true; }))}};
  }
  const std::string& filter = words.next(meaning);
  const std::size_t equals = std::min(filter.find('='), filter.size());
  const std::string key = filter.substr(0, equals);
  const auto value = to_number(filter.substr(std::min(equals + 1, filter.size())), u32_max);
  if (!value || (key != "net" && key != "mark" && key != "protonum")) {
    throw text_error("'" + filter + "' is no filter; write " + meaning);
  }
  return {.words = {count_word(cpu_->kill_if([&](const conn& c) {
            if (key == "net") return c.net == *value;
            return key == "mark" ? c.mark == *value : c.tuples[0].dst.protonum == *value;
          }))}};
}

observation scenario_host::exit_netns(word_reader& words) {
  const std::vector<netns_holder> holders =
      cpu_->exit_netns(words.number<netns_id>("a netns", u32_max));
  observation was{.words = {holders.empty() ? "gone" : "held"}};
  was.lines.emplace();
  for (const netns_holder& holder : holders) {
    was.lines->push_back(
        fmt::format("{} {} use={}", handle_of(holder.conn_id), holder.where, holder.use));
  }
  std::ranges::sort(*was.lines);
  return was;
}

std::string scenario_host::finish() {
  std::set<netns_id> nets;
  for (auto& [handle, who] : travellers_) {
    if (who.is_held) cpu_->free_skb(who.packets);
    who.is_held = false;
  }
  if (std::string broken = system_->broken_invariant(*cpu_); !broken.empty()) return broken;
  is_refusing_ = false;
  (void)cpu_->kill_if([](const conn&) { return true; });
  for (const auto& [net, told] : listeners_) {
    (void)cpu_->redeliver(net);
    if (told->hears_all && !told->books().finding().empty()) {
      return fmt::format("listener of netns {}: {}", net, told->books().finding());
    }
  }
  if (const std::size_t left = system_->count(); left != 0) {
    return fmt::format("{} entries are left although nothing holds them", left);
  }
  return system_->broken_invariant(*cpu_);
}

}  // namespace ct::harness
