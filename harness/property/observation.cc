// SPDX-License-Identifier: BSD-2-Clause
/// Commands on a real system; see the header.
#include "harness/property/observation.h"

#include "workloads/packet_builder.h"

#include <algorithm>
#include <string>
#include <utility>

namespace ct::property {
namespace {

constexpr std::size_t buckets = 4;

/// [key], raw IP, made once.
const std::array<build::bytes, keys>& frames() {
  static const std::array<build::bytes, keys> all = [] {
    std::array<build::bytes, keys> made;
    for (std::size_t key = 0; key < keys; ++key) {
      const tuple t = tuple_of(key);
      const build::layer4 udp = build::udp({.source_port = t.src.id, .dest_port = t.dst.id});
      made[key] = key % 2 == 0 ? build::ipv4({.src = "10.0.0.1", .dst = "192.0.2.7"}, udp)
                               : build::ipv4({.src = "192.0.2.7", .dst = "10.0.0.1"}, udp);
    }
    return made;
  }();
  return all;
}

system_options options_of(const sequence& what) {
  system_options options;
  options.buckets = buckets;
  options.max_entries = limits[what.limit];
  options.seed = what.seed;
  options.sysctls.push_back({.name = "nf_conntrack_events", .value = "1"});
  return options;
}

}  // namespace

bool observed_system::recorder::deliver(const event_message& message) noexcept {
  if (of_.is_refusing_) return false;
  of_.told_.push_back({.id = message.entry.id, .bits = message.bits});
  return true;
}

observed_system::observed_system(const impl& on, const sequence& what)
    : system_(on.make(options_of(what))), cpu_(system_->attach()) {
  for (netns_id net = 0; net < nets; ++net) system_->listen(net, &recorder_, all_events);
}

observed_system::~observed_system() {
  for (skb& s : skbs_) cpu_->free_skb({&s, 1});
}

skb observed_system::packet(std::size_t key) const {
  skb s;
  s.frame = frames()[key];
  s.wire_bytes = static_cast<std::uint32_t>(s.frame.size());
  s.link = link_type::raw;
  s.net = net_of(key);
  return s;
}

void observed_system::see(const skb& s, observation& out) const {
  out.info = s.info;
  out.verdict = s.verdict;
  out.conn_id = s.conn_id;
}

void observed_system::run_packet(const command& c, observation& out) {
  skb& s = skbs_[c.slot];
  const std::span<skb> one(&s, 1);
  switch (c.what) {
    case verb::pass: {
      skb passing = packet(c.key);
      cpu_->pass({&passing, 1});
      return see(passing, out);
    }
    case verb::in:
      s = packet(c.key);
      cpu_->in(one);
      return see(s, out);
    case verb::confirm:
      cpu_->confirm(one);
      return see(s, out);
    case verb::free:
      return cpu_->free_skb(one);
    default:
      out.number = cpu_->alter_reply(s, tuple_of(c.key)) ? 1 : 0;
  }
}

void observed_system::exit_netns(netns_id net, observation& out) {
  for (const netns_holder& one : cpu_->exit_netns(net)) {
    out.holders.push_back({.id = one.conn_id, .use = one.use, .where = one.where});
  }
  std::ranges::sort(out.holders);
  // Its number stands for a new netns.
  if (out.holders.empty()) system_->listen(net, &recorder_, all_events);
}

void observed_system::run_request(const command& c, observation& out) {
  const tuple asked = tuple_of(c.key_in_net0());
  const std::span<const tuple> one(&asked, 1);
  switch (c.what) {
    case verb::find: {
      lookup_answer answer;
      cpu_->find(one, {&answer, 1});
      out.conn_id = answer.conn_id;
      out.dir = answer.dir;
      return;
    }
    case verb::kill:
      out.number = cpu_->kill(one);
      return;
    case verb::create:
      out.number = cpu_->create(one, chosen(create_timeouts_s, c));
      return;
    case verb::flush: {
      const std::size_t scope = scope_of(c);
      out.number =
          cpu_->kill_if([scope](const conn& e) { return scope == nets || e.net == scope; });
      return;
    }
    case verb::redeliver: {
      const redelivery_report report = cpu_->redeliver(c.net());
      out.number = report.delivered;
      out.waiting = report.waiting;
      out.is_congested = report.is_congested;
      return;
    }
    default:
      exit_netns(c.net(), out);
  }
}

void observed_system::run(const command& c, observation& out) {
  out = {};
  told_.clear();
  switch (c.what) {
    case verb::pass:
    case verb::in:
    case verb::confirm:
    case verb::free:
    case verb::alter_reply:
      run_packet(c, out);
      break;
    case verb::wait:
      cpu_->advance(system_->jiffies64() + chosen(waits, c));
      break;
    case verb::gc: {
      const gc_report report = cpu_->gc_worker();
      out.number = report.reaped + report.dropped;
      break;
    }
    case verb::resize:
      (void)cpu_->resize(chosen(bucket_counts, c));
      break;
    case verb::refuse:
    case verb::take:
      is_refusing_ = c.what == verb::refuse;
      break;
    default:
      run_request(c, out);
  }
  out.told = std::exchange(told_, {});
  // The filter that chooses nobody sees everybody.
  (void)cpu_->kill_if([&out](const conn& e) {
    out.linked.push_back(e);
    return false;
  });
  system_->dump(*cpu_, [&out](const conn& e) { out.listed.push_back(e); });
  out.count = system_->count();
}

void observed_system::look(std::uint32_t asks, observation& out) {
  std::array<tuple, keys_of_net> tuples;
  std::array<lookup_answer, keys_of_net> answers;
  std::array<std::size_t, keys_of_net> key_of{};
  std::size_t count = 0;
  for (std::size_t key = 0; key < keys_of_net; ++key) {
    if ((asks >> key & 1U) == 0) continue;
    tuples[count] = tuple_of(key);
    key_of[count++] = key;
  }
  cpu_->find(std::span(tuples).first(count), std::span(answers).first(count));
  for (std::size_t i = 0; i < count; ++i) {
    out.found[key_of[i]] = answers[i];
    const std::optional<conn> shown = cpu_->get(tuples[i], 0);
    out.got[key_of[i]] = shown ? shown->id : 0;
  }
}

ip_conntrack_stat observed_system::statistics() const {
  ip_conntrack_stat sum;
  for (const ip_conntrack_stat& row : system_->statistics()) sum += row;
  return sum;
}

}  // namespace ct::property
