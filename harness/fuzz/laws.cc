// SPDX-License-Identifier: BSD-2-Clause
/// The laws, one function a kind.
#include "harness/fuzz/laws.h"

#include "harness/format/conntrack.h"

#include <algorithm>
#include <fmt/format.h>
#include <string_view>
#include <utility>

namespace ct::harness::fuzz {
namespace {

/// What the sysctls of a protocol's timeouts are called.
std::string_view timeouts_of(std::uint8_t protonum, std::span<const sysctl> settings) {
  const auto has_any = [&](std::string_view prefix) {
    return std::ranges::any_of(settings,
                               [&](const sysctl& s) { return s.name.starts_with(prefix); });
  };
  switch (protonum) {
    case ipproto::tcp:
      return "nf_conntrack_tcp_timeout_";
    case ipproto::udp:
    case ipproto::udplite:
      return "nf_conntrack_udp_timeout";
    case ipproto::icmp:
      return "nf_conntrack_icmp_timeout";
    case ipproto::icmpv6:
      return "nf_conntrack_icmpv6_timeout";
    case ipproto::sctp:
      return "nf_conntrack_sctp_timeout_";
    case ipproto::gre:
      return "nf_conntrack_gre_timeout";
    case ipproto::dccp:
      return has_any("nf_conntrack_dccp_timeout_") ? "nf_conntrack_dccp_timeout_"
                                                   : "nf_conntrack_generic_timeout";
    default:
      return "nf_conntrack_generic_timeout";
  }
}

std::uint64_t longest_timeout_s(const conn& entry, std::span<const sysctl> settings) {
  const std::uint8_t protonum = entry.tuples[0].dst.protonum;
  std::uint64_t longest = 0;
  const auto consider = [&](std::string_view prefix) {
    for (const sysctl& one : settings) {
      if (one.name.starts_with(prefix)) longest = std::max(longest, one.value);
    }
  };
  consider(timeouts_of(protonum, settings));
  // A system that does not track DCCP has its sysctls all the same.
  if (protonum == ipproto::dccp && entry.dccp == dccp_state::none) {
    consider("nf_conntrack_generic_timeout");
  }
  return longest;
}

bool has_known_state(const conn& entry) {
  const std::uint8_t protonum = entry.tuples[0].dst.protonum;
  const bool is_tcp = protonum == ipproto::tcp;
  const bool is_sctp = protonum == ipproto::sctp;
  const bool is_tcp_state = entry.tcp > tcp_state::none && entry.tcp < tcp_state::max;
  const bool is_sctp_state = entry.sctp > sctp_state::none && entry.sctp < sctp_state::max;
  if (is_tcp != (entry.tcp != tcp_state::none) || (is_tcp && !is_tcp_state)) return false;
  if (is_sctp != (entry.sctp != sctp_state::none) || (is_sctp && !is_sctp_state)) return false;
  if (protonum != ipproto::dccp) return entry.dccp == dccp_state::none;
  return entry.dccp < dccp_state::ignore;
}

std::string_view broken_law_of_status(const conn& entry) {
  const bool is_reply_only = entry.has(status::nat_clash);
  if (!entry.has(status::confirmed)) return "it is in the table and not CONFIRMED";
  if (entry.has(status::dying)) return "it is in the table and DYING";
  // SCTP's chunks do their work one by one, even where a later one makes the packet INVALID.
  const bool is_sctp = entry.tuples[0].dst.protonum == ipproto::sctp;
  if (entry.has(status::assured) && !entry.has(status::seen_reply) && !is_sctp) {
    return "it is ASSURED and has had no reply";
  }
  if (entry.has(status::expected) != (entry.master_id != 0)) {
    return "it is EXPECTED without a master, or has one and is not";
  }
  if (entry.has(status::helper) != !entry.helper.empty()) {
    return "it has HELPER without a helper, or one without HELPER";
  }
  if (is_reply_only != entry.has(status::fixed_timeout)) {
    return "FIXED_TIMEOUT is for reply-only entries alone";
  }
  return {};
}

std::string_view broken_law_of_counters(const conn& entry, const packet_account& account) {
  static const packet_account::traffic nothing{};
  const auto at = account.of_entries().find(entry.id);
  const auto& given = at == account.of_entries().end() ? nothing : at->second;
  if (at == account.of_entries().end()) return "no packet was told that it belongs to it";
  for (const std::size_t d : {0U, 1U}) {
    if (!entry.has_acct && entry.packets[d] + entry.bytes[d] != 0) return "it counts without acct";
    if (entry.packets[d] > given.packets[d]) return "it counted more packets than it was given";
    if (entry.bytes[d] > given.bytes[d]) return "it counted more bytes than it was given";
    if ((entry.packets[d] == 0) != (entry.bytes[d] == 0)) return "packets without bytes";
  }
  return {};
}

std::string_view broken_law_of_timeout(const conn& entry, std::span<const sysctl> settings) {
  if (entry.timeout_jiffies <= 0) return "it is shown and has expired";
  const std::uint64_t longest =
      entry.has(status::nat_clash) ? 1 : longest_timeout_s(entry, settings);
  if (static_cast<std::uint64_t>(entry.timeout_jiffies) > longest * hz) {
    return "it lives longer than its protocol's longest timeout";
  }
  return {};
}

std::string_view broken_law_of(const expect& exp, const conn* master, bool is_ftp_loose) {
  constexpr std::int32_t ftp_timeout = 5 * 60 * static_cast<std::int32_t>(hz);
  if (master == nullptr) return "its master is not in the table";
  if (master->tuples[0] != exp.master) return "its master has another tuple";
  if (exp.helper != "ftp" || master->helper != "ftp") return "its master has no FTP helper";
  if (exp.net != master->net || exp.zone != master->zone) return "it is elsewhere than its master";
  if (exp.class_index != 0 || exp.flags != 0) return "FTP has one class, and no flags";
  if (exp.timeout_jiffies <= 0 || exp.timeout_jiffies > ftp_timeout) return "its timeout";
  if (exp.tuple.dst.protonum != ipproto::tcp) return "it is not TCP";
  if (exp.tuple.src.id != 0 || exp.mask.id != 0) return "it names a source port";
  const l3num family = master->tuples[0].src.l3num;
  if (exp.tuple.src.l3num != family) return "it is of another family than its master";
  const std::size_t address_bytes = family == l3num::ipv6 ? 16 : 4;
  for (std::size_t i = 0; i < exp.mask.addr.size(); ++i) {
    if (exp.mask.addr[i] != (i < address_bytes ? 0xff : 0)) return "its mask is not one address";
  }
  const auto& [client, server] = std::pair(master->tuples[0].src.addr, master->tuples[0].dst.addr);
  const bool is_from_either = exp.tuple.src.addr == client || exp.tuple.src.addr == server;
  if (!is_from_either) return "it comes from a third host";
  const address& offered_by = exp.tuple.src.addr == client ? server : client;
  if (!is_ftp_loose && exp.tuple.dst.addr != offered_by) return "it goes to a third host";
  return {};
}

}  // namespace

void packet_account::add(const skb& packet) {
  if (packet.info == ctinfo::invalid) {
    ++(packet.verdict == verdict::accept ? invalid_accepted_ : invalid_dropped_);
  }
  has_fragments_ = has_fragments_ || packet.verdict == verdict::stolen;
  if (packet.conn_id == 0) return;
  const std::size_t d = index(direction(packet.info));
  traffic& of = of_entries_[packet.conn_id];
  of.packets[d] += 1;
  // The last one of a packet's fragments stands for all of it.
  constexpr std::size_t whole_bytes_max = 65535 + 40;
  of.bytes[d] += has_fragments_ ? whole_bytes_max
                                : std::max<std::size_t>(packet.frame.size(), packet.wire_bytes);
}

std::string broken_law(std::span<const conn> entries,
                       const packet_account& account,
                       std::span<const sysctl> settings) {
  for (const conn& entry : entries) {
    std::string_view broken = broken_law_of_status(entry);
    if (broken.empty() && !has_known_state(entry)) broken = "its protocol's state does not exist";
    if (broken.empty()) broken = broken_law_of_counters(entry, account);
    if (broken.empty()) broken = broken_law_of_timeout(entry, settings);
    if (broken.empty()) continue;
    return fmt::format("law: \"{}\" status=0x{:x} jiffies={}: {}",
                       conntrack_line(entry, {.acct = true, .extended = true, .id = true}),
                       entry.status,
                       entry.timeout_jiffies,
                       broken);
  }
  return {};
}

std::string broken_law(const ip_conntrack_stat& counters,
                       const ip_conntrack_stat& before,
                       const packet_account& account) {
  // A tracker may drop what it calls invalid; the IP layer, and a full table, drop uncounted.
  const std::uint64_t counted = counters.invalid + counters.error - before.invalid - before.error;
  const std::uint64_t least = account.invalid_accepted();
  const std::uint64_t most = least + account.invalid_dropped();
  if (counted >= least && counted <= most) return {};
  return fmt::format("law: {} packets counted as invalid or error, {} to {} were INVALID",
                     counted,
                     least,
                     most);
}

std::string broken_law(std::span<const expect> expectations,
                       std::span<const conn> entries,
                       const ip_conntrack_stat& counters,
                       bool is_ftp_loose) {
  std::map<std::uint64_t, int> of_master;
  for (const expect& exp : expectations) {
    const auto master = std::ranges::find(entries, exp.master_id, &conn::id);
    std::string_view broken =
        broken_law_of(exp, master == entries.end() ? nullptr : &*master, is_ftp_loose);
    if (++of_master[exp.master_id] > 1) broken = "its master has another one: FTP may have one";
    if (!broken.empty())
      return fmt::format("law: expectation \"{}\": {}", expect_line(exp), broken);
  }
  const std::uint64_t living = counters.expect_create - counters.expect_delete;
  if (living == expectations.size()) return {};
  return fmt::format("law: {} expectations made, {} removed, {} there",
                     counters.expect_create,
                     counters.expect_delete,
                     expectations.size());
}

}  // namespace ct::harness::fuzz
