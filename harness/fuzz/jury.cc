// SPDX-License-Identifier: BSD-2-Clause
/// The lockstep over one input, and the verdict at its end.
#include "harness/fuzz/jury.h"

#include "harness/replay/state_comparison.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <utility>

namespace ct::harness::fuzz {

jury::jury(court& from,
           const court_options& options,
           std::span<const sysctl_setting> settings,
           bool has_listener)
    : from_(from), is_ftp_loose_(options.is_ftp_loose) {
  for (court::member& member : from.seat(options)) {
    juror& one = jurors_.emplace_back(member);
    if (!has_listener) continue;
    one.events = std::make_unique<event_recorder>();
    one.system->listen(0, one.events.get(), all_events);
  }
  now_ = jurors_.front().system->jiffies64();
  counters_before_ = total(jurors_.front().system->statistics());
  for (const sysctl_setting& setting : settings) {
    set_sysctl(setting.name, setting.value);
  }
}

void jury::finds(std::string what) {
  if (finding_.empty()) finding_ = std::move(what);
}

std::span<const std::byte> jury::keep(std::span<const std::byte> frame) {
  frames_.push_back(std::make_unique<std::byte[]>(frame.size()));
  std::byte* const at = frames_.back().get();
  std::ranges::copy(frame, at);
  return {at, frame.size()};
}

void jury::add(skb packet, std::span<const std::byte> frame) {
  packet.frame = keep(frame);
  packet.wire_bytes = std::max(packet.wire_bytes, static_cast<std::uint32_t>(frame.size()));
  packet.jiffies64 = now_;
  queued_.push_back(std::move(packet));
}

void jury::wait(std::uint64_t jiffies) {
  now_ += jiffies;
  waited_ += jiffies;
  if (waited_ < waited_max) return;
  waited_ = 0;
  flush();
  for (juror& one : jurors_) {
    one.on->advance(now_);
    count_at_rest(*one.system, *one.on);
  }
}

void jury::flush() {
  if (queued_.empty() || has_finding()) return;
  for (juror& one : jurors_) {
    one.packets.assign(queued_.begin(), queued_.end());
    one.on->pass(one.packets);
  }
  queued_.clear();
  compare_packets(&juror::packets);
  passed_ += jurors_.front().packets.size();
}

void jury::compare_packets(std::vector<skb> juror::*which) {
  const std::vector<skb>& reference = jurors_.front().*which;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    account_.add(reference[i]);
    for (juror& one : jurors_) {
      const std::string differs =
          packet_difference((one.*which)[i], reference[i], jurors_.front().which->name);
      if (differs.empty()) continue;
      finds(fmt::format("{}: packet {}: {}", one.which->name, passed_ + i + 1, differs));
      return;
    }
  }
  if (!reference.empty()) last_ = reference.back();
}

void jury::hold(skb packet, std::span<const std::byte> frame) {
  flush();
  if (has_finding()) return;
  packet.frame = keep(frame);
  packet.wire_bytes = std::max(packet.wire_bytes, static_cast<std::uint32_t>(frame.size()));
  for (juror& one : jurors_) {
    one.on->advance(now_);
    one.held.push_back(packet);
    one.on->in(std::span(one.held).last(1));
  }
}

void jury::let_go() {
  flush();
  if (has_finding() || jurors_.front().held.empty()) return;
  for (juror& one : jurors_) {
    one.on->advance(now_);
    one.on->confirm(one.held);
    one.on->free_skb(one.held);
  }
  compare_packets(&juror::held);
  passed_ += jurors_.front().held.size();
  for (juror& one : jurors_) one.held.clear();
}

void jury::set_sysctl(std::string_view name, std::string_view value) {
  flush();
  for (juror& one : jurors_) {
    for (netns_id net = 0; net < court::nets; ++net) {
      const std::string refused = one.system->set_sysctl(net, name, value);
      if (!refused.empty()) finds(fmt::format("{}: {}", one.which->name, refused));
    }
  }
}

void jury::each(const std::function<void(ct_system&, cpu&)>& act) {
  flush();
  if (has_finding()) return;
  for (juror& one : jurors_) act(*one.system, *one.on);
}

std::vector<expect> jury::expectations() {
  flush();
  return expectations_of(*jurors_.front().system);
}

std::vector<conn> jury::entries() {
  flush();
  return dump_of(*jurors_.front().system, *jurors_.front().on);
}

std::string jury::finish() {
  let_go();
  if (!has_finding()) judge_state();
  for (juror& one : jurors_) {
    // A finding may have come with packets on their way.
    one.on->free_skb(one.held);
    one.held.clear();
    one.system->listen(0, nullptr, 0);
  }
  for (juror& one : jurors_) {
    if (!has_finding()) empty(one);
  }
  if (has_finding()) from_.dismiss();
  return finding_;
}

/// One jiffy after the last packet, as whoever reads a table does; see replay.cc.
void jury::judge_state() {
  wait(1);
  std::vector<std::size_t> counts;
  for (juror& one : jurors_) {
    one.on->advance(now_);
    counts.push_back(count_at_rest(*one.system, *one.on));
  }
  juror& reference = jurors_.front();
  const std::vector<conn> entries = dump_of(*reference.system, *reference.on);
  const std::vector<expect> expectations = expectations_of(*reference.system);
  const ip_conntrack_stat counters = total(reference.system->statistics());
  for (std::size_t i = 0; i < jurors_.size() && !has_finding(); ++i) {
    judge_state_of(jurors_[i], entries, expectations, counters);
    if (counts[i] != counts[0]) {
      finds(fmt::format("{}: count: {} entries ({}: {})",
                        jurors_[i].which->name,
                        counts[i],
                        reference.which->name,
                        counts[0]));
    }
  }
  if (has_finding()) return;
  finds(broken_law(entries, account_, reference.system->sysctls(0)));
  finds(broken_law(counters, counters_before_, account_));
  finds(broken_law(expectations, entries, counters, is_ftp_loose_));
}

void jury::judge_state_of(juror& one,
                          std::span<const conn> entries,
                          std::span<const expect> expectations,
                          const ip_conntrack_stat& counters) {
  const std::string_view name = jurors_.front().which->name;
  std::string differs;
  if (&one != &jurors_.front()) {
    differs = dump_difference(dump_of(*one.system, *one.on), entries, name);
    if (differs.empty()) {
      differs = expectations_difference(expectations_of(*one.system), expectations, name);
    }
    if (differs.empty()) {
      differs = statistics_difference(total(one.system->statistics()), counters, name);
    }
  }
  if (differs.empty()) {
    differs = one.system->broken_invariant(*one.on);
    if (!differs.empty()) differs = "breaks an invariant: " + differs;
  }
  if (!differs.empty()) finds(fmt::format("{}: {}", one.which->name, differs));
  judge_lookups(one, entries);
  judge_events(one, entries);
}

/// Each entry under each of its tuples, and from the right side: where both are the same (a host
/// that talks to itself from the port that it talks to), from the reply's, which is linked last and
/// so met first. Source: __nf_conntrack_hash_insert(), Linux 6.18.
void jury::judge_lookups(juror& one, std::span<const conn> entries) {
  if (has_finding()) return;
  for (const conn& entry : entries) {
    if (entry.net != 0 || entry.zone.id != 0) continue;
    std::array<lookup_answer, 2> answers;
    one.on->find(entry.tuples, answers);
    const bool is_of_itself = same_flow(entry.tuples[0], entry.tuples[1]);
    for (const dir d : {dir::original, dir::reply}) {
      const lookup_answer& got = answers[index(d)];
      if (got.conn_id == entry.id && got.dir == (is_of_itself ? dir::reply : d)) continue;
      finds(fmt::format("{}: lookup: the {} tuple of entry {} finds entry {} from its {} side",
                        one.which->name,
                        d == dir::original ? "original" : "reply",
                        entry.id,
                        got.conn_id,
                        got.dir == dir::original ? "original" : "reply"));
    }
  }
}

void jury::judge_events(juror& one, std::span<const conn> entries) {
  if (one.events == nullptr || has_finding()) return;
  const juror& reference = jurors_.front();
  std::string wrong = one.events->books.finding();
  if (wrong.empty() && &one != &reference) {
    wrong =
        one.compared_events.next(one.events->told, reference.events->told, reference.which->name);
    if (wrong.empty()) wrong = one.compared_events.at_end(reference.which->name);
  }
  if (wrong.empty()) {
    std::vector<std::uint64_t> ids;
    for (const conn& entry : entries) {
      if (entry.net == 0) ids.push_back(entry.id);
    }
    wrong = one.events->books.compare(ids);
  }
  if (!wrong.empty()) finds(fmt::format("{}: events: {}", one.which->name, wrong));
}

/// Nothing is left when both netns exit, and all is as it was made.
void jury::empty(juror& one) {
  for (netns_id net = 0; net < court::nets; ++net) {
    const std::vector<netns_holder> left = one.on->exit_netns(net);
    if (left.empty()) continue;
    finds(fmt::format("{}: netns {} cannot end: entry {} is {} with {} references",
                      one.which->name,
                      net,
                      left[0].conn_id,
                      left[0].where,
                      left[0].use));
  }
  (void)one.on->resize(court::buckets);
  if (one.system->count() == 0 && one.system->expectations().empty()) return;
  finds(fmt::format("{}: {} entries and {} expectations are left when all netns ended",
                    one.which->name,
                    one.system->count(),
                    one.system->expectations().size()));
}

}  // namespace ct::harness::fuzz
