// SPDX-License-Identifier: BSD-2-Clause
/// The list of sysctls, one line each.
#include "impls/core/sysctl.h"

#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <limits>
#include <system_error>
#include <type_traits>

namespace ct::core {
namespace {

constexpr std::uint64_t int_max = std::numeric_limits<std::int32_t>::max();

enum class scope : std::uint8_t { netns, all };

/// How one sysctl is read and written; no `write`: read only.
struct definition {
  std::string_view name;
  std::string_view unit;
  std::string_view meaning;
  std::uint64_t max = 0;
  core::scope scope = scope::netns;
  std::uint64_t (*read)(const sysctl_target& from) = nullptr;
  void (*write)(sysctl_target& to, std::uint64_t value) = nullptr;
  std::uint64_t min = 0;
};

template <auto Member>
using value_of = decltype((std::declval<policy&>().*Member).get());

/// A timeout: seconds outside, jiffies inside.
template <auto Member>
constexpr definition timeout(std::string_view name, std::string_view meaning) {
  return {name,
          "s",
          meaning,
          int_max / hz,
          scope::netns,
          [](const sysctl_target& from) -> std::uint64_t { return (from.own.*Member).get() / hz; },
          [](sysctl_target& to, std::uint64_t value) {
            to.own.*Member = seconds(static_cast<std::uint32_t>(value));
          }};
}

/// A timeout of a tracker that has one for each of its states.
template <auto Slots, std::size_t Slot>
constexpr definition slot_timeout(std::string_view name, std::string_view meaning) {
  return {
      name,
      "s",
      meaning,
      int_max / hz,
      scope::netns,
      [](const sysctl_target& from) -> std::uint64_t { return (from.own.*Slots)[Slot].get() / hz; },
      [](sysctl_target& to, std::uint64_t value) {
        (to.own.*Slots)[Slot] = seconds(static_cast<std::uint32_t>(value));
      }};
}
template <std::size_t Slot>
constexpr definition tcp_timeout(std::string_view name, std::string_view meaning) {
  return slot_timeout<&timeouts::tcp_timeout, Slot>(name, meaning);
}
constexpr std::size_t slot(tcp_state state) { return static_cast<std::size_t>(state); }
template <dccp_state State>
constexpr definition dccp_timeout(std::string_view name, std::string_view meaning) {
  return slot_timeout<&timeouts::dccp_timeout, static_cast<std::size_t>(State)>(name, meaning);
}
template <sctp_state State>
constexpr definition sctp_timeout(std::string_view name, std::string_view meaning) {
  return slot_timeout<&timeouts::sctp_timeout, static_cast<std::size_t>(State)>(name, meaning);
}

template <auto Member>
constexpr definition number(std::string_view name,
                            std::string_view unit,
                            std::string_view meaning,
                            std::uint64_t max) {
  using value_type = value_of<Member>;
  return {name,
          unit,
          meaning,
          max,
          scope::netns,
          [](const sysctl_target& from) -> std::uint64_t { return (from.own.*Member).get(); },
          [](sysctl_target& to, std::uint64_t value) {
            to.own.*Member = static_cast<value_type>(value);
          }};
}

template <auto Member>
constexpr definition on_off(std::string_view name, std::string_view meaning) {
  return number<Member>(name, "", meaning, 1);
}

template <auto Member>
constexpr definition global_number(std::string_view name, std::string_view meaning) {
  return {name,
          "entries",
          meaning,
          int_max,
          scope::all,
          [](const sysctl_target& from) -> std::uint64_t { return (from.global.*Member).get(); },
          [](sysctl_target& to, std::uint64_t value) {
            to.global.*Member = static_cast<std::size_t>(value);
          }};
}

constexpr std::uint64_t u8_max = 255;

constexpr std::array definitions = {
    global_number<&global_policy::max_entries>("nf_conntrack_max",
                                               "entries a netns may have; 0: no limit"),
    definition{.name = "nf_conntrack_count",
               .unit = "entries",
               .meaning = "entries made and not freed yet",
               .read = [](const sysctl_target& from) { return from.count; }},
    definition{.name = "nf_conntrack_buckets",
               .unit = "buckets",
               .meaning = "size of the table",
               .max = buckets_max,
               .scope = scope::all,
               .read = [](const sysctl_target& from) { return from.buckets; },
               .write = [](sysctl_target& to, std::uint64_t value) { to.wanted_buckets = value; },
               .min = 1},
    on_off<&policy::checksum>("nf_conntrack_checksum", "verify checksums that nobody has verified"),
    number<&policy::log_invalid>("nf_conntrack_log_invalid",
                                 "",
                                 "protocol to log invalid packets of (kept; no log here)",
                                 u8_max),
    global_number<&global_policy::expect_max>("nf_conntrack_expect_max",
                                              "expectations that there may be"),
    on_off<&policy::acct>("nf_conntrack_acct", "count packets and bytes of new entries"),
    number<&policy::events>("nf_conntrack_events",
                            "",
                            "events of new entries: 0 never, 1 always, 2 if somebody listens",
                            2),
    on_off<&policy::timestamp>("nf_conntrack_timestamp", "keep begin and end of new entries"),
    timeout<&timeouts::generic_timeout>("nf_conntrack_generic_timeout",
                                        "protocols without a tracker"),
    tcp_timeout<slot(tcp_state::syn_sent)>("nf_conntrack_tcp_timeout_syn_sent", "TCP in SYN_SENT"),
    tcp_timeout<slot(tcp_state::syn_recv)>("nf_conntrack_tcp_timeout_syn_recv", "TCP in SYN_RECV"),
    tcp_timeout<slot(tcp_state::established)>("nf_conntrack_tcp_timeout_established",
                                              "TCP in ESTABLISHED"),
    tcp_timeout<slot(tcp_state::fin_wait)>("nf_conntrack_tcp_timeout_fin_wait", "TCP in FIN_WAIT"),
    tcp_timeout<slot(tcp_state::close_wait)>("nf_conntrack_tcp_timeout_close_wait",
                                             "TCP in CLOSE_WAIT"),
    tcp_timeout<slot(tcp_state::last_ack)>("nf_conntrack_tcp_timeout_last_ack", "TCP in LAST_ACK"),
    tcp_timeout<slot(tcp_state::time_wait)>("nf_conntrack_tcp_timeout_time_wait",
                                            "TCP in TIME_WAIT"),
    tcp_timeout<slot(tcp_state::close)>("nf_conntrack_tcp_timeout_close", "TCP in CLOSE"),
    tcp_timeout<tcp_timeout_retrans>("nf_conntrack_tcp_timeout_max_retrans",
                                     "TCP after tcp_max_retrans retransmissions"),
    tcp_timeout<tcp_timeout_unack>("nf_conntrack_tcp_timeout_unacknowledged",
                                   "TCP with data that nobody acknowledged"),
    on_off<&policy::tcp_loose>("nf_conntrack_tcp_loose", "track TCP connections from their middle"),
    on_off<&policy::tcp_be_liberal>("nf_conntrack_tcp_be_liberal",
                                    "only RSTs out of the window are invalid"),
    on_off<&policy::tcp_ignore_invalid_rst>("nf_conntrack_tcp_ignore_invalid_rst",
                                            "take RSTs out of the window for good ones"),
    number<&policy::tcp_max_retrans>("nf_conntrack_tcp_max_retrans",
                                     "packets",
                                     "retransmissions that change the timeout",
                                     u8_max),
    timeout<&timeouts::udp_timeout>("nf_conntrack_udp_timeout", "UDP"),
    timeout<&timeouts::udp_timeout_stream>("nf_conntrack_udp_timeout_stream",
                                           "UDP both ways for more than 2 s"),
    timeout<&timeouts::icmp_timeout>("nf_conntrack_icmp_timeout", "ICMP queries"),
    timeout<&timeouts::icmpv6_timeout>("nf_conntrack_icmpv6_timeout", "ICMPv6 queries"),
    sctp_timeout<sctp_state::closed>("nf_conntrack_sctp_timeout_closed", "SCTP in CLOSED"),
    sctp_timeout<sctp_state::cookie_wait>("nf_conntrack_sctp_timeout_cookie_wait",
                                          "SCTP in COOKIE_WAIT"),
    sctp_timeout<sctp_state::cookie_echoed>("nf_conntrack_sctp_timeout_cookie_echoed",
                                            "SCTP in COOKIE_ECHOED"),
    sctp_timeout<sctp_state::established>("nf_conntrack_sctp_timeout_established",
                                          "SCTP in ESTABLISHED"),
    sctp_timeout<sctp_state::shutdown_sent>("nf_conntrack_sctp_timeout_shutdown_sent",
                                            "SCTP in SHUTDOWN_SENT"),
    sctp_timeout<sctp_state::shutdown_recd>("nf_conntrack_sctp_timeout_shutdown_recd",
                                            "SCTP in SHUTDOWN_RECD"),
    sctp_timeout<sctp_state::shutdown_ack_sent>("nf_conntrack_sctp_timeout_shutdown_ack_sent",
                                                "SCTP in SHUTDOWN_ACK_SENT"),
    sctp_timeout<sctp_state::heartbeat_sent>("nf_conntrack_sctp_timeout_heartbeat_sent",
                                             "SCTP in HEARTBEAT_SENT"),
    dccp_timeout<dccp_state::request>("nf_conntrack_dccp_timeout_request", "DCCP in REQUEST"),
    dccp_timeout<dccp_state::respond>("nf_conntrack_dccp_timeout_respond", "DCCP in RESPOND"),
    dccp_timeout<dccp_state::partopen>("nf_conntrack_dccp_timeout_partopen", "DCCP in PARTOPEN"),
    dccp_timeout<dccp_state::open>("nf_conntrack_dccp_timeout_open", "DCCP in OPEN"),
    dccp_timeout<dccp_state::closereq>("nf_conntrack_dccp_timeout_closereq", "DCCP in CLOSEREQ"),
    dccp_timeout<dccp_state::closing>("nf_conntrack_dccp_timeout_closing", "DCCP in CLOSING"),
    dccp_timeout<dccp_state::timewait>("nf_conntrack_dccp_timeout_timewait", "DCCP in TIMEWAIT"),
    on_off<&policy::dccp_loose>("nf_conntrack_dccp_loose",
                                "track DCCP connections from their middle"),
    timeout<&timeouts::gre_timeout>("nf_conntrack_gre_timeout", "GRE"),
    timeout<&timeouts::gre_timeout_stream>("nf_conntrack_gre_timeout_stream", "GRE both ways"),
};

/// Is it a sysctl of that system?
bool is_there(const definition& d, const sysctl_target& in) {
  return in.dccp || !d.name.starts_with("nf_conntrack_dccp_");
}

/// The line of a name, with or without its prefixes; nullptr: there is none.
const definition* find(std::string_view name, const sysctl_target& in) {
  constexpr std::string_view tree = "net.netfilter.";
  constexpr std::string_view prefix = "nf_conntrack_";
  if (name.starts_with(tree)) name.remove_prefix(tree.size());
  if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
  const auto* const at = std::ranges::find(definitions, name, [&](const definition& d) {
    return d.name.substr(prefix.size());
  });
  return at == definitions.end() || !is_there(*at, in) ? nullptr : at;
}

}  // namespace

std::string refusal_of(resize_status status, std::uint64_t wanted) {
  const std::string line = "nf_conntrack_buckets=" + std::to_string(wanted) + ": ";
  switch (status) {
    case resize_status::resized:
    case resize_status::same_size:
      return {};
    case resize_status::not_supported:
      return line + "this table chooses its size by itself once it is made; leave it out";
    case resize_status::no_memory:
      return line + "no memory for so many; give a smaller number";
  }
  return {};
}

std::vector<sysctl> read_sysctls(const sysctl_target& from) {
  std::vector<sysctl> all;
  for (const definition& d : definitions) {
    if (!is_there(d, from)) continue;
    all.push_back({.name = d.name,
                   .value = d.read(from),
                   .min = d.min,
                   .max = d.max,
                   .unit = d.unit,
                   .meaning = d.meaning,
                   .is_writable = d.write != nullptr,
                   .is_per_netns = d.scope == scope::netns});
  }
  return all;
}

std::string write_sysctl(sysctl_target& to, std::string_view name, std::string_view value) {
  const definition* const d = find(name, to);
  if (d == nullptr) return "unknown sysctl '" + std::string(name) + "'; use a name of the list";
  const std::string shown(d->name);
  if (d->write == nullptr) return shown + " is read only; leave it out";
  if (d->scope == scope::all && to.net != 0) {
    return shown + " is one for all netns; set it in netns 0";
  }
  std::uint64_t parsed = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, parsed);
  if (error != std::errc{} || stop != end || value.empty() || parsed < d->min || parsed > d->max) {
    return shown + "=" + std::string(value) + ": give a number from " + std::to_string(d->min) +
           " to " + std::to_string(d->max) + (d->unit.empty() ? "" : " " + std::string(d->unit));
  }
  d->write(to, parsed);
  return {};
}

}  // namespace ct::core
