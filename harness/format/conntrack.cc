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

}  // namespace

std::string conntrack_line(const conn& entry, const line_options& options) {
  constexpr std::uint8_t both = 3;
  const tuple& original = entry.tuples[index(dir::original)];
  const bool is_ipv6 = original.src.l3num == l3num::ipv6;
  std::string line;
  const out to(line);
  if (options.extended) {
    fmt::format_to(to,
                   "{:<8} {} ",
                   is_ipv6 ? "ipv6" : "ipv4",
                   static_cast<int>(original.src.l3num));
  }
  fmt::format_to(to,
                 "{:<8} {} {} ",
                 name_of(original.dst.protonum),
                 original.dst.protonum,
                 std::max(entry.timeout_jiffies, 0) / static_cast<std::int32_t>(hz));
  if (original.dst.protonum == ipproto::tcp) fmt::format_to(to, "{} ", name(entry.tcp));
  const bool acct = options.acct || entry.has_acct;
  append_direction(to, entry, dir::original, acct);
  if (!entry.has(status::seen_reply)) line += "[UNREPLIED] ";
  append_direction(to, entry, dir::reply, acct);
  if (entry.has(status::assured)) line += "[ASSURED] ";
  fmt::format_to(to, "mark={} ", entry.mark);
  if (entry.zone.directions == both && entry.zone.id != 0) {
    fmt::format_to(to, "zone={} ", entry.zone.id);
  }
  fmt::format_to(to, "use={}", entry.use);
  if (options.id) fmt::format_to(to, " id={}", entry.id);
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
