// SPDX-License-Identifier: BSD-2-Clause
/// The names of the timeouts of each protocol.
#include "impls/core/timeout_policy.h"

#include "spec/jiffies.h"
#include "spec/nf_conn.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

namespace ct::core {
namespace {

struct slot {
  const l4proto* tracker;
  std::string_view name;
  setting<std::uint32_t>& (*in)(timeouts&);
};

template <std::size_t Index>
constexpr slot tcp_slot(std::string_view name) {
  return {&tcp_l4proto, name, [](timeouts& t) -> setting<std::uint32_t>& {
            return t.tcp_timeout[Index];
          }};
}
template <tcp_state State>
constexpr slot tcp_slot(std::string_view name) {
  return tcp_slot<static_cast<std::size_t>(State)>(name);
}
template <sctp_state State>
constexpr slot sctp_slot(std::string_view name) {
  return {&sctp_l4proto, name, [](timeouts& t) -> setting<std::uint32_t>& {
            return t.sctp_timeout[static_cast<std::size_t>(State)];
          }};
}
template <dccp_state State>
constexpr slot dccp_slot(std::string_view name) {
  return {&dccp_l4proto, name, [](timeouts& t) -> setting<std::uint32_t>& {
            return t.dccp_timeout[static_cast<std::size_t>(State)];
          }};
}
template <auto Member>
constexpr slot named(const l4proto& tracker, std::string_view name) {
  return {&tracker, name, [](timeouts& t) -> setting<std::uint32_t>& { return t.*Member; }};
}

constexpr std::array slots = {
    tcp_slot<tcp_state::syn_sent>("syn_sent"),
    tcp_slot<tcp_state::syn_recv>("syn_recv"),
    tcp_slot<tcp_state::established>("established"),
    tcp_slot<tcp_state::fin_wait>("fin_wait"),
    tcp_slot<tcp_state::close_wait>("close_wait"),
    tcp_slot<tcp_state::last_ack>("last_ack"),
    tcp_slot<tcp_state::time_wait>("time_wait"),
    tcp_slot<tcp_state::close>("close"),
    tcp_slot<tcp_state::syn_sent2>("syn_sent2"),
    tcp_slot<tcp_timeout_retrans>("retrans"),
    tcp_slot<tcp_timeout_unack>("unacknowledged"),
    named<&timeouts::udp_timeout>(udp_l4proto, "unreplied"),
    named<&timeouts::udp_timeout_stream>(udp_l4proto, "replied"),
    named<&timeouts::udp_timeout>(udplite_l4proto, "unreplied"),
    named<&timeouts::udp_timeout_stream>(udplite_l4proto, "replied"),
    named<&timeouts::icmp_timeout>(icmp_l4proto, "timeout"),
    named<&timeouts::icmpv6_timeout>(icmpv6_l4proto, "timeout"),
    named<&timeouts::gre_timeout>(gre_l4proto, "unreplied"),
    named<&timeouts::gre_timeout_stream>(gre_l4proto, "replied"),
    named<&timeouts::generic_timeout>(generic_l4proto, "timeout"),
    sctp_slot<sctp_state::closed>("closed"),
    sctp_slot<sctp_state::cookie_wait>("cookie_wait"),
    sctp_slot<sctp_state::cookie_echoed>("cookie_echoed"),
    sctp_slot<sctp_state::established>("established"),
    sctp_slot<sctp_state::shutdown_sent>("shutdown_sent"),
    sctp_slot<sctp_state::shutdown_recd>("shutdown_recd"),
    sctp_slot<sctp_state::shutdown_ack_sent>("shutdown_ack_sent"),
    sctp_slot<sctp_state::heartbeat_sent>("heartbeat_sent"),
    dccp_slot<dccp_state::request>("request"),
    dccp_slot<dccp_state::respond>("respond"),
    dccp_slot<dccp_state::partopen>("partopen"),
    dccp_slot<dccp_state::open>("open"),
    dccp_slot<dccp_state::closereq>("closereq"),
    dccp_slot<dccp_state::closing>("closing"),
    dccp_slot<dccp_state::timewait>("timewait"),
};

constexpr std::uint32_t seconds_max = std::numeric_limits<std::int32_t>::max() / hz;

std::string names_of(const l4proto& tracker) {
  std::string names;
  for (const slot& s : slots) {
    if (s.tracker == &tracker) names += (names.empty() ? "" : ", ") + std::string(s.name);
  }
  return names;
}

}  // namespace

std::unique_ptr<const timeout_policy> make_timeout_policy(const timeouts& defaults,
                                                          std::uint8_t protonum,
                                                          std::span<const timeout_setting> given,
                                                          std::string& error,
                                                          const l4proto_list& among) {
  const l4proto& tracker = find_l4proto(protonum, among);
  timeouts values = defaults;
  for (const timeout_setting& one : given) {
    const auto* const at = std::ranges::find_if(slots, [&](const slot& s) {
      return s.tracker == &tracker && s.name == one.name;
    });
    const std::string shown = std::string(tracker.name) + " timeout '" + std::string(one.name);
    if (at == slots.end()) {
      error = shown + "' does not exist; " + tracker.name + " has " + names_of(tracker);
      return nullptr;
    }
    if (one.seconds > seconds_max) {
      error = shown + "': " + std::to_string(one.seconds) + " s is too long; give 0 to " +
              std::to_string(seconds_max) + " s";
      return nullptr;
    }
    at->in(values) = seconds(one.seconds);
  }
  return std::make_unique<const timeout_policy>(values, tracker, among);
}

}  // namespace ct::core
