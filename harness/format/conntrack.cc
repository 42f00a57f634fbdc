// SPDX-License-Identifier: BSD-2-Clause
/// The columns of the lines, per protocol, in the order of the tool.
#include "harness/format/conntrack.h"

#include "spec/jiffies.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <fmt/format.h>
#include <iterator>
#include <netinet/in.h>
#include <string_view>
#include <tuple>
#include <utility>

namespace ct::harness {
namespace {

using out = std::back_insert_iterator<std::string>;

struct protocol_name {
  std::uint8_t protonum;
  std::string_view name;
};

/// The names that the tool knows; every other protocol is "unknown".
constexpr std::array<protocol_name, 8> protocol_names = {{
    {IPPROTO_TCP, "tcp"},
    {IPPROTO_UDP, "udp"},
    {IPPROTO_UDPLITE, "udplite"},
    {IPPROTO_ICMP, "icmp"},
    {IPPROTO_ICMPV6, "icmpv6"},
    {IPPROTO_SCTP, "sctp"},
    {IPPROTO_GRE, "gre"},
    {IPPROTO_DCCP, "dccp"},
}};

std::string_view name_of(std::uint8_t protonum) {
  const auto* found = std::ranges::find(protocol_names, protonum, &protocol_name::protonum);
  return found == protocol_names.end() ? "unknown" : found->name;
}

std::string address_text(l3num family, const address& addr) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family == l3num::ipv6 ? AF_INET6 : AF_INET, addr.data(), text.data(), text.size());
  return text.data();
}

void append_tuple(out to, const tuple& t) {
  fmt::format_to(to,
                 "src={} dst={} ",
                 address_text(t.src.l3num, t.src.addr),
                 address_text(t.src.l3num, t.dst.addr));
  switch (t.dst.protonum) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
      fmt::format_to(to, "sport={} dport={} ", t.src.id, t.dst.id);
      break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
      fmt::format_to(to, "type={} code={} id={} ", icmp_type(t), icmp_code(t), t.src.id);
      break;
    case IPPROTO_GRE:
      fmt::format_to(to, "srckey=0x{:x} dstkey=0x{:x} ", t.src.id, t.dst.id);
      break;
    default:
      break;
  }
}

/// A direction with what belongs to it: a zone of its own if the zone does not hold for both,
/// counters.
void append_direction(out to, const conn& entry, dir d, bool acct) {
  constexpr std::uint8_t both = 3;
  append_tuple(to, entry.tuples[index(d)]);
  if (entry.zone.directions != both && entry.zone.id_for(d) != 0) {
    fmt::format_to(to, "zone-{}={} ", d == dir::original ? "orig" : "reply", entry.zone.id);
  }
  if (acct) {
    fmt::format_to(to, "packets={} bytes={} ", entry.packets[index(d)], entry.bytes[index(d)]);
  }
}

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 3> expect_flag_words = {{
    {expect_flag::permanent, "PERMANENT"},
    {expect_flag::inactive, "INACTIVE"},
    {expect_flag::userspace, "USERSPACE"},
}};

/// The state that a protocol's tracker keeps; empty: it has none.
std::string_view state_of(const conn& entry) {
  switch (entry.tuples[0].dst.protonum) {
    case ipproto::tcp:
      return name(entry.tcp);
    case ipproto::sctp:
      return name(entry.sctp);
    case ipproto::dccp:
      // Where DCCP has no tracker, it has no state.
      return entry.dccp == dccp_state::none ? std::string_view{} : name(entry.dccp);
    default:
      return {};
  }
}

std::int32_t seconds_left(const conn& entry) {
  return std::max(entry.timeout_jiffies, 0) / static_cast<std::int32_t>(hz);
}

/// Family, if it is asked for, and protocol.
void append_head(out to, const conn& entry, const line_options& options) {
  const tuple& original = entry.tuples[index(dir::original)];
  if (options.extended) {
    fmt::format_to(to,
                   "{:<8} {} ",
                   original.src.l3num == l3num::ipv6 ? "ipv6" : "ipv4",
                   static_cast<int>(original.src.l3num));
  }
  fmt::format_to(to, "{:<8} {} ", name_of(original.dst.protonum), original.dst.protonum);
}

void append_state(out to, const conn& entry) {
  const std::string_view state = state_of(entry);
  if (!state.empty()) fmt::format_to(to, "{} ", state);
}

/// Both directions, with what was seen of the entry.
void append_directions(out to, const conn& entry, bool acct) {
  append_direction(to, entry, dir::original, acct);
  if (!entry.has(status::seen_reply)) fmt::format_to(to, "[UNREPLIED] ");
  append_direction(to, entry, dir::reply, acct);
  if (entry.has(status::assured)) fmt::format_to(to, "[ASSURED] ");
}

/// The zone, if it holds for both directions.
void append_zone(out to, const conn& entry) {
  constexpr std::uint8_t both = 3;
  if (entry.zone.directions == both && entry.zone.id != 0) {
    fmt::format_to(to, "zone={} ", entry.zone.id);
  }
}

void append_helper(out to, const conn& entry) {
  if (!entry.helper.empty()) fmt::format_to(to, "helper={} ", entry.helper);
}

void append_id(out to, const conn& entry, const line_options& options) {
  if (options.id) fmt::format_to(to, "id={} ", entry.id);
}

std::string_view in_brackets(event_kind kind) {
  switch (kind) {
    case event_kind::new_:
      return "[NEW]";
    case event_kind::update:
      return "[UPDATE]";
    case event_kind::destroy:
      return "[DESTROY]";
  }
  return "";
}

}  // namespace

std::string conntrack_line(const conn& entry, const line_options& options) {
  std::string line;
  const out to(line);
  append_head(to, entry, options);
  fmt::format_to(to, "{} ", seconds_left(entry));
  append_state(to, entry);
  append_directions(to, entry, options.acct || entry.has_acct);
  fmt::format_to(to, "mark={} ", entry.mark);
  append_zone(to, entry);
  append_helper(to, entry);
  fmt::format_to(to, "use={} ", entry.use);
  append_id(to, entry, options);
  line.pop_back();
  return line;
}

std::string conntrack_event_line(const event_message& message, const line_options& options) {
  const conn& entry = message.entry;
  const bool is_destroy = message.kind() == event_kind::destroy;
  std::string line;
  const out to(line);
  fmt::format_to(to, "{:>9} ", in_brackets(message.kind()));
  append_head(to, entry, options);
  if (!is_destroy || seconds_left(entry) != 0) fmt::format_to(to, "{} ", seconds_left(entry));
  if (is_destroy || message.has(event::protoinfo)) append_state(to, entry);
  append_directions(to, entry, is_destroy && (options.acct || entry.has_acct));
  if (entry.mark != 0 || message.has(event::mark)) fmt::format_to(to, "mark={} ", entry.mark);
  append_zone(to, entry);
  if (!is_destroy) append_helper(to, entry);
  if (is_destroy && entry.stop_ns != 0) {
    constexpr std::uint64_t ns_per_s = 1'000'000'000;
    fmt::format_to(to, "delta-time={} ", (entry.stop_ns - entry.start_ns) / ns_per_s);
  }
  append_id(to, entry, options);
  line.pop_back();
  return line;
}

std::string expect_line(const expect& exp) {
  std::string line;
  const out to(line);
  const tuple& t = exp.tuple;
  // As tuples are written: the mask has a destination too, all ones.
  address all{};
  std::fill_n(all.begin(), t.src.l3num == l3num::ipv6 ? 16 : 4, std::uint8_t{0xff});
  fmt::format_to(to,
                 "{} proto={} ",
                 std::max(exp.timeout_jiffies, 0) / static_cast<std::int32_t>(hz),
                 t.dst.protonum);
  append_tuple(to, t);
  fmt::format_to(to,
                 "mask-src={} mask-dst={} sport={} dport=65535 ",
                 address_text(t.src.l3num, exp.mask.addr),
                 address_text(t.src.l3num, all),
                 exp.mask.id);
  fmt::format_to(to,
                 "master-src={} master-dst={} sport={} dport={} ",
                 address_text(exp.master.src.l3num, exp.master.src.addr),
                 address_text(exp.master.src.l3num, exp.master.dst.addr),
                 exp.master.src.id,
                 exp.master.dst.id);
  std::string_view separator;
  for (const auto& [flag, word] : expect_flag_words) {
    if ((exp.flags & flag) == 0) continue;
    fmt::format_to(to, "{}{}", separator, word);
    separator = ",";
  }
  fmt::format_to(to,
                 "{}class={} helper={}",
                 separator.empty() ? "" : " ",
                 exp.class_index,
                 exp.helper);
  return line;
}

std::string conntrack_stat_line(std::size_t cpu_index, const ip_conntrack_stat& counters) {
  return fmt::format(
      "cpu={:<4}\tfound={} invalid={} insert={} insert_failed={} drop={} early_drop={} error={} "
      "search_restart={} clash_resolve={} chaintoolong={} ",
      cpu_index,
      counters.found,
      counters.invalid,
      counters.insert,
      counters.insert_failed,
      counters.drop,
      counters.early_drop,
      counters.error,
      counters.search_restart,
      counters.clash_resolve,
      counters.chaintoolong);
}

std::string conntrack_closing_line(std::size_t entry_count) {
  return fmt::format("conntrack (ctbench): {} flow entries have been shown.", entry_count);
}

std::string conntrack_event_closing_line(std::size_t event_count) {
  return fmt::format("conntrack (ctbench): {} flow events have been shown.", event_count);
}

bool is_printed_before(const conn& a, const conn& b) {
  const auto key = [](const conn& entry) {
    const tuple& t = entry.tuples[index(dir::original)];
    return std::tie(entry.net,
                    t.src.l3num,
                    t.dst.protonum,
                    t.src.addr,
                    t.dst.addr,
                    t.src.id,
                    t.dst.id,
                    entry.zone,
                    entry.id);
  };
  return key(a) < key(b);
}

}  // namespace ct::harness
