// SPDX-License-Identifier: BSD-2-Clause
/// Comparison by comparison: packet, entry, table, counters, events.
#include "harness/conform/lockstep.h"

#include "harness/conform/packet_reading.h"
#include "spec/events.h"
#include "spec/jiffies.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <set>
#include <thread>

namespace ct::harness::conform {
namespace {

constexpr std::uint32_t status_compared =
    status::expected | status::seen_reply | status::assured | status::confirmed | status::src_nat |
    status::dst_nat | status::dying | status::fixed_timeout | status::nat_clash | status::helper;

std::int32_t seconds_left(const conn& c) {
  return c.timeout_jiffies / static_cast<std::int32_t>(hz);
}

/// One table may show it while the other does not any more: SCTP has timeouts of 3 s.
bool is_about_to_expire(const conn& c) { return seconds_left(c) < 1; }

std::string tuple_text(const tuple& t) {
  return fmt::format("{} {}:{} > {}:{}",
                     t.dst.protonum,
                     text_of(t.src.addr, t.src.l3num),
                     t.src.id,
                     text_of(t.dst.addr, t.src.l3num),
                     t.dst.id);
}

std::string info_text(const skb& s) {
  return s.verdict == verdict::accept ? std::string(name(s.info)) : "DROP";
}

/// One thing that is compared: what it is called, are both alike, how it is shown.
struct comparison {
  std::string_view field;
  bool (*is_same)(const conn& a, const conn& b);
  std::string (*text)(const conn& c);
};

constexpr std::array comparisons = {
    comparison{
        "tuples",
        [](const conn& a, const conn& b) {
          return same_flow(a.tuples[0], b.tuples[0]) && same_flow(a.tuples[1], b.tuples[1]);
        },
        [](const conn& c) { return tuple_text(c.tuples[0]) + ", " + tuple_text(c.tuples[1]); }},
    comparison{
        "status",
        [](const conn& a, const conn& b) { return ((a.status ^ b.status) & status_compared) == 0; },
        [](const conn& c) { return fmt::format("{:#x}", c.status & status_compared); }},
    comparison{"state",
               [](const conn& a, const conn& b) {
                 return a.tcp == b.tcp && a.sctp == b.sctp && a.dccp == b.dccp;
               },
               [](const conn& c) {
                 const bool is_sctp = c.tuples[0].dst.protonum == ipproto::sctp;
                 return std::string(is_sctp ? name(c.sctp) : name(c.tcp));
               }},
    comparison{"timeout",
               [](const conn& a, const conn& b) {
                 return std::abs(seconds_left(a) - seconds_left(b)) <= 1;
               },
               [](const conn& c) { return fmt::format("{} s", seconds_left(c)); }},
    comparison{"scale",
               [](const conn& a, const conn& b) { return a.tcp_scale == b.tcp_scale; },
               [](const conn& c) { return fmt::format("{}/{}", c.tcp_scale[0], c.tcp_scale[1]); }},
    comparison{
        "flags",
        [](const conn& a, const conn& b) { return a.tcp_flags == b.tcp_flags; },
        [](const conn& c) { return fmt::format("{:#x}/{:#x}", c.tcp_flags[0], c.tcp_flags[1]); }},
    comparison{"counters",
               [](const conn& a, const conn& b) {
                 return a.has_acct == b.has_acct && a.packets == b.packets && a.bytes == b.bytes;
               },
               [](const conn& c) {
                 if (!c.has_acct) return std::string("none");
                 return fmt::format("packets {}/{} bytes {}/{}",
                                    c.packets[0],
                                    c.packets[1],
                                    c.bytes[0],
                                    c.bytes[1]);
               }},
    comparison{"mark",
               [](const conn& a, const conn& b) { return a.mark == b.mark; },
               [](const conn& c) { return fmt::format("{}", c.mark); }},
    comparison{"zone",
               [](const conn& a, const conn& b) { return a.zone == b.zone; },
               [](const conn& c) { return fmt::format("{}", c.zone.id); }},
};

/// Who an entry is in a comparison of tables and events: ids differ between systems.
using identity = std::pair<tuple, std::uint16_t>;
identity identity_of(const conn& c) { return {c.tuples[0], c.zone.id}; }

skb given(const walked_packet& packet) {
  skb s;
  s.frame = packet.ip;
  s.wire_bytes = static_cast<std::uint32_t>(packet.ip.size());
  s.link = link_type::raw;
  s.zone = {.id = packet.zone_id};
  if (packet.mark != 0) s.ct_mark = packet.mark;
  return s;
}

/// The counters that a run must move alike. (search_restart and chaintoolong are chance.)
struct compared_counter {
  std::string_view name;
  std::uint64_t ip_conntrack_stat::*value;
};
constexpr std::array compared_counters = {
    compared_counter{"found", &ip_conntrack_stat::found},
    compared_counter{"invalid", &ip_conntrack_stat::invalid},
    compared_counter{"insert", &ip_conntrack_stat::insert},
    compared_counter{"insert_failed", &ip_conntrack_stat::insert_failed},
    compared_counter{"drop", &ip_conntrack_stat::drop},
    compared_counter{"early_drop", &ip_conntrack_stat::early_drop},
    compared_counter{"error", &ip_conntrack_stat::error},
    compared_counter{"clash_resolve", &ip_conntrack_stat::clash_resolve},
};

}  // namespace

/// Remembers what was told of each entry.
struct lockstep::told_events final : listener {
  struct one {
    event_kind kind;
    std::uint32_t status;
    auto operator<=>(const one&) const = default;
  };

  bool deliver(const event_message& message) noexcept override {
    of[identity_of(message.entry)].push_back(
        {message.kind(), message.entry.status & status_compared});
    return true;
  }

  std::map<identity, std::vector<one>> of;
  std::set<identity> left_out;  ///< of entries that an explained difference concerned
};

std::optional<difference> compare(const conn& ours, const conn& theirs) {
  for (const comparison& one : comparisons) {
    if (one.is_same(ours, theirs)) continue;
    return difference{.field = one.field,
                      .ours = one.text(ours),
                      .theirs = one.text(theirs),
                      .about = ours.tuples[0],
                      .our_entry = ours,
                      .their_entry = theirs};
  }
  return std::nullopt;
}

std::optional<difference> compare(const std::optional<conn>& ours,
                                  const std::optional<conn>& theirs) {
  if (ours && theirs) return compare(*ours, *theirs);
  if (!ours && !theirs) return std::nullopt;
  const auto text = [](const std::optional<conn>& c) {
    return c ? "entry " + tuple_text(c->tuples[0]) : "no entry";
  };
  return difference{.field = "entry",
                    .ours = text(ours),
                    .theirs = text(theirs),
                    .about = (ours ? ours : theirs)->tuples[0],
                    .our_entry = ours,
                    .their_entry = theirs};
}

shared_clock real_clock() {
  using std::chrono::steady_clock;
  const steady_clock::time_point begin = steady_clock::now();
  return {.jiffies64 =
              [begin] {
                const auto ns = std::chrono::nanoseconds(steady_clock::now() - begin).count();
                constexpr std::int64_t ns_per_jiffy = 1'000'000'000 / hz;
                return initial_jiffies + static_cast<std::uint64_t>(ns / ns_per_jiffy);
              },
          .pause =
              [](std::uint32_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }};
}

lockstep::lockstep(const impl& ours,
                   const impl& theirs,
                   const system_options& options,
                   shared_clock clock)
    : clock_(std::move(clock)),
      tracks_dccp_(options.dccp),
      ours_(ours.make(options)),
      theirs_(theirs.make(options)),
      our_cpu_(ours_->attach()),
      their_cpu_(theirs_->attach()) {}

lockstep::~lockstep() = default;

std::vector<sysctl> lockstep::sysctls() {
  std::vector<sysctl> both = ours_->sysctls(0);
  const std::vector<sysctl> theirs = theirs_->sysctls(0);
  std::erase_if(both, [&theirs](const sysctl& one) {
    return std::ranges::find(theirs, one.name, &sysctl::name) == theirs.end();
  });
  return both;
}

ip_conntrack_stat lockstep::sum(const ct_system& of) const {
  ip_conntrack_stat total;
  for (const ip_conntrack_stat& row : of.statistics()) total += row;
  return total;
}

void lockstep::begin(const run_options& options) {
  explained_ = 0;
  our_stat_ = sum(*ours_);
  their_stat_ = sum(*theirs_);
  if (!options.is_deep) return;
  our_events_ = std::make_unique<told_events>();
  their_events_ = std::make_unique<told_events>();
  ours_->listen(0, our_events_.get(), all_events);
  theirs_->listen(0, their_events_.get(), all_events);
}

seen_packet lockstep::pass(std::size_t index, const walked_packet& packet, bool is_deep) {
  seen_packet seen = {.index = index,
                      .packet = &packet,
                      .our_skb = given(packet),
                      .their_skb = given(packet)};
  const std::uint64_t now = clock_.jiffies64();
  our_cpu_->advance(now);
  their_cpu_->advance(now);
  if (is_deep) {
    if (const auto reading = read_packet(packet.ip)) seen.about = tuple_of(*reading, tracks_dccp_);
    if (seen.about) seen.before = our_cpu_->get(*seen.about, packet.zone_id);
  }
  our_cpu_->pass({&seen.our_skb, 1});
  their_cpu_->pass({&seen.their_skb, 1});
  if (seen.about) {
    seen.our_entry = our_cpu_->get(*seen.about, packet.zone_id);
    seen.their_entry = their_cpu_->get(*seen.about, packet.zone_id);
  }
  return seen;
}

std::optional<difference> lockstep::judge(const seen_packet& seen, bool is_deep) const {
  const skb& ours = seen.our_skb;
  const skb& theirs = seen.their_skb;
  // Stolen or dropped: neither goes on, and more is not to be seen of Linux.
  const bool goes_on = ours.verdict == verdict::accept;
  std::optional<difference> found;
  if (goes_on != (theirs.verdict == verdict::accept) || (goes_on && ours.info != theirs.info)) {
    found = difference{.field = "outcome",
                       .ours = info_text(ours),
                       .theirs = info_text(theirs),
                       .about = seen.about,
                       .our_entry = seen.our_entry,
                       .their_entry = seen.their_entry};
  } else if (is_deep) {
    found = compare(seen.our_entry, seen.their_entry);
  }
  if (!found) return std::nullopt;
  found->packet = seen.index;
  found->our_info = ours.info;
  found->their_info = theirs.info;
  return found;
}

std::optional<difference> lockstep::compare_tables() {
  std::map<identity, conn> ours;
  std::map<identity, conn> theirs;
  const std::uint64_t now = clock_.jiffies64();
  our_cpu_->advance(now);
  their_cpu_->advance(now);
  ours_->dump(*our_cpu_, [&](const conn& c) { ours.emplace(identity_of(c), c); });
  theirs_->dump(*their_cpu_, [&](const conn& c) { theirs.emplace(identity_of(c), c); });
  for (const auto& [who, entry] : ours) {
    const auto other = theirs.find(who);
    if (other == theirs.end() && is_about_to_expire(entry)) continue;
    auto found = compare(std::optional(entry),
                         other == theirs.end() ? std::nullopt : std::optional(other->second));
    if (found) return found;
    theirs.erase(other);
  }
  std::erase_if(theirs, [](const auto& one) { return is_about_to_expire(one.second); });
  if (theirs.empty()) return std::nullopt;
  return compare(std::nullopt, std::optional(theirs.begin()->second));
}

std::optional<difference> lockstep::compare_statistics() {
  const ip_conntrack_stat ours = sum(*ours_);
  const ip_conntrack_stat theirs = sum(*theirs_);
  for (const compared_counter& one : compared_counters) {
    const std::uint64_t our_count = ours.*one.value - our_stat_.*one.value;
    const std::uint64_t their_count = theirs.*one.value - their_stat_.*one.value;
    if (our_count == their_count) continue;
    return difference{.field = "statistics",
                      .ours = fmt::format("{}={}", one.name, our_count),
                      .theirs = fmt::format("{}={}", one.name, their_count)};
  }
  return std::nullopt;
}

/// Entries with none in both are alike; the order of events of different entries is nobody's.
std::optional<difference> lockstep::compare_events() const {
  const auto text = [](const std::vector<told_events::one>& all) {
    std::string line;
    for (const told_events::one& one : all) {
      const std::string_view kind = one.kind == event_kind::new_     ? "NEW"
                                    : one.kind == event_kind::update ? "UPDATE"
                                                                     : "DESTROY";
      line += fmt::format("{}{} {:#x}", line.empty() ? "" : ", ", kind, one.status);
    }
    return line.empty() ? std::string("none") : line;
  };
  std::set<identity> all;
  for (const auto& [who, told] : our_events_->of) all.insert(who);
  for (const auto& [who, told] : their_events_->of) all.insert(who);
  for (const identity& who : all) {
    const auto& ours = our_events_->of[who];
    const auto& theirs = their_events_->of[who];
    if (ours == theirs || our_events_->left_out.contains(who)) continue;
    return difference{.field = "events",
                      .ours = text(ours),
                      .theirs = text(theirs),
                      .about = who.first};
  }
  return std::nullopt;
}

/// After a difference that is known: the entry would go on to differ, so both forget it.
void lockstep::take_out(const difference& found) {
  ++explained_;
  for (const auto& [entry, cpu] : {std::pair(&found.our_entry, our_cpu_.get()),
                                   std::pair(&found.their_entry, their_cpu_.get())}) {
    if (!*entry) continue;
    const identity who = identity_of(**entry);
    cpu->kill_if([&who](const conn& c) { return identity_of(c) == who; });
    if (our_events_ != nullptr) our_events_->left_out.insert(who);
  }
}

void lockstep::clear() {
  const auto any = [](const conn&) { return true; };
  our_cpu_->kill_if(any);
  their_cpu_->kill_if(any);
  our_cpu_->quiescent();
  their_cpu_->quiescent();
}

std::optional<difference> lockstep::run(std::span<const walked_packet> packets,
                                        const run_options& options) {
  using std::chrono::steady_clock;
  begin(options);
  busy_s_ = 0;
  steady_clock::time_point since = steady_clock::now();
  const auto note_time = [this, &since] {
    busy_s_ += std::chrono::duration<double>(steady_clock::now() - since).count();
  };
  const auto is_explained = [&](const difference& found, const walked_packet* packet) {
    if (!options.is_explained || !options.is_explained(found, packet)) return false;
    take_out(found);
    return true;
  };
  std::optional<difference> found;
  for (std::size_t i = 0; i < packets.size() && !found; ++i) {
    if (packets[i].pause_ms != 0) {
      note_time();
      clock_.pause(packets[i].pause_ms);
      since = steady_clock::now();
    }
    const seen_packet seen = pass(i, packets[i], options.is_deep);
    if (options.seen) options.seen(seen);
    found = judge(seen, options.is_deep);
    if (found && is_explained(*found, &packets[i])) found.reset();
  }
  const bool is_at_end = !found;
  for (bool is_again = !found; is_again;) {
    found = compare_tables();
    is_again = found && is_explained(*found, nullptr);
    if (is_again) found.reset();
  }
  // A difference that is explained moves the counters too.
  if (!found && explained_ == 0) found = compare_statistics();
  clear();
  if (our_events_ != nullptr) {
    if (!found) found = compare_events();
    end_events();
  }
  if (found && is_at_end) found->packet = packets.size();
  note_time();
  return found;
}

void lockstep::end_events() {
  ours_->listen(0, nullptr, 0);
  theirs_->listen(0, nullptr, 0);
  our_events_.reset();
  their_events_.reset();
}

bool lockstep::set_sysctl(std::string_view name, std::string_view value) {
  if (!theirs_->set_sysctl(0, name, value).empty()) return false;
  return ours_->set_sysctl(0, name, value).empty();
}

}  // namespace ct::harness::conform
