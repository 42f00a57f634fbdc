// SPDX-License-Identifier: BSD-2-Clause
/// Requests and answers: attributes in, a ct::conn out.
#include "impls/linux/ctnetlink.h"

#include "spec/jiffies.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

namespace ct::live {
namespace {

constexpr std::size_t message_bytes_max = 8192;
constexpr std::size_t answer_bytes_max = 65536;
constexpr int events_buffer_bytes = 64 << 20;
constexpr int type_max = 64;  // no attribute list here is longer

/// The attributes of a list, by type.
using attributes = std::array<const nlattr*, type_max>;

/// The list from `first` to `end`. (libmnl's own loops are macros that C++ refuses.)
attributes read_list(const char* first, const char* end) {
  attributes found{};
  const auto* attribute = reinterpret_cast<const nlattr*>(first);
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    const std::uint16_t type = mnl_attr_get_type(attribute);
    if (type < type_max) found[type] = attribute;
    attribute = mnl_attr_next(attribute);
  }
  return found;
}

attributes nested(const nlattr* list) {
  const char* const first = static_cast<const char*>(mnl_attr_get_payload(list));
  return read_list(first, first + mnl_attr_get_payload_len(list));
}

attributes of_message(const nlmsghdr& message) {
  return read_list(
      static_cast<const char*>(mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg))),
      static_cast<const char*>(mnl_nlmsg_get_payload_tail(&message)));
}

std::uint8_t read8(const nlattr* a) { return a == nullptr ? std::uint8_t{0} : mnl_attr_get_u8(a); }
std::uint16_t read16(const nlattr* a) {
  return a == nullptr ? std::uint16_t{0} : be16toh(mnl_attr_get_u16(a));
}
std::uint32_t read32(const nlattr* a) { return a == nullptr ? 0 : be32toh(mnl_attr_get_u32(a)); }
std::uint64_t read64(const nlattr* a) { return a == nullptr ? 0 : be64toh(mnl_attr_get_u64(a)); }

void read_address(const nlattr* a, address& out) {
  if (a == nullptr) return;
  std::memcpy(out.data(),
              mnl_attr_get_payload(a),
              std::min<std::size_t>(mnl_attr_get_payload_len(a), out.size()));
}

void read_ids(const attributes& proto, tuple& out) {
  switch (out.dst.protonum) {
    case ipproto::icmp:
      out.src.id = read16(proto[CTA_PROTO_ICMP_ID]);
      out.dst.id = icmp_id(read8(proto[CTA_PROTO_ICMP_TYPE]), read8(proto[CTA_PROTO_ICMP_CODE]));
      break;
    case ipproto::icmpv6:
      out.src.id = read16(proto[CTA_PROTO_ICMPV6_ID]);
      out.dst.id =
          icmp_id(read8(proto[CTA_PROTO_ICMPV6_TYPE]), read8(proto[CTA_PROTO_ICMPV6_CODE]));
      break;
    default:
      out.src.id = read16(proto[CTA_PROTO_SRC_PORT]);
      out.dst.id = read16(proto[CTA_PROTO_DST_PORT]);
  }
}

tuple read_tuple(const nlattr* list, std::uint8_t family, dir d) {
  tuple t;
  t.src.l3num = family == AF_INET6 ? l3num::ipv6 : l3num::ipv4;
  t.dst.dir = d;
  if (list == nullptr) return t;
  const attributes parts = nested(list);
  if (const nlattr* const ip = parts[CTA_TUPLE_IP]) {
    const attributes addresses = nested(ip);
    read_address(addresses[family == AF_INET6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC], t.src.addr);
    read_address(addresses[family == AF_INET6 ? CTA_IP_V6_DST : CTA_IP_V4_DST], t.dst.addr);
  }
  if (const nlattr* const proto = parts[CTA_TUPLE_PROTO]) {
    const attributes ids = nested(proto);
    t.dst.protonum = read8(ids[CTA_PROTO_NUM]);
    read_ids(ids, t);
  }
  return t;
}

void read_protocol(const nlattr* info, conn& out) {
  if (info == nullptr) return;
  if (const nlattr* const sctp = nested(info)[CTA_PROTOINFO_SCTP]) {
    out.sctp = static_cast<sctp_state>(read8(nested(sctp)[CTA_PROTOINFO_SCTP_STATE]));
  }
  const nlattr* const tcp = nested(info)[CTA_PROTOINFO_TCP];
  if (tcp == nullptr) return;
  const attributes parts = nested(tcp);
  const auto flags_of = [&parts](std::size_t type) {
    const nlattr* const a = parts[type];
    return a == nullptr ? std::uint8_t{0}
                        : static_cast<const nf_ct_tcp_flags*>(mnl_attr_get_payload(a))->flags;
  };
  out.tcp = static_cast<tcp_state>(read8(parts[CTA_PROTOINFO_TCP_STATE]));
  out.tcp_scale = {read8(parts[CTA_PROTOINFO_TCP_WSCALE_ORIGINAL]),
                   read8(parts[CTA_PROTOINFO_TCP_WSCALE_REPLY])};
  out.tcp_flags = {flags_of(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL),
                   flags_of(CTA_PROTOINFO_TCP_FLAGS_REPLY)};
}

void read_counters(const nlattr* list, dir d, conn& out) {
  if (list == nullptr) return;
  const attributes parts = nested(list);
  out.has_acct = true;
  out.packets[index(d)] = read64(parts[CTA_COUNTERS_PACKETS]);
  out.bytes[index(d)] = read64(parts[CTA_COUNTERS_BYTES]);
}

/// A zone stands beside the tuples if it holds for both directions, else in the one that it holds
/// for.
zone read_zone(const attributes& parts) {
  if (parts[CTA_ZONE] != nullptr) return {.id = read16(parts[CTA_ZONE])};
  zone found;
  for (const dir d : {dir::original, dir::reply}) {
    const nlattr* const list = parts[d == dir::original ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY];
    const nlattr* const id = list == nullptr ? nullptr : nested(list)[CTA_TUPLE_ZONE];
    if (id != nullptr) {
      found = {.id = read16(id), .directions = static_cast<std::uint8_t>(1U << index(d))};
    }
  }
  return found;
}

conn read_conn(const nlmsghdr& message) {
  const auto* const head = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message));
  const attributes parts = of_message(message);
  conn c;
  c.tuples = {read_tuple(parts[CTA_TUPLE_ORIG], head->nfgen_family, dir::original),
              read_tuple(parts[CTA_TUPLE_REPLY], head->nfgen_family, dir::reply)};
  c.id = read32(parts[CTA_ID]);
  c.status = read32(parts[CTA_STATUS]);
  c.timeout_jiffies = static_cast<std::int32_t>(seconds(read32(parts[CTA_TIMEOUT])));
  c.use = read32(parts[CTA_USE]);
  c.mark = read32(parts[CTA_MARK]);
  c.zone = read_zone(parts);
  read_protocol(parts[CTA_PROTOINFO], c);
  read_counters(parts[CTA_COUNTERS_ORIG], dir::original, c);
  read_counters(parts[CTA_COUNTERS_REPLY], dir::reply, c);
  return c;
}

std::uint8_t family_of(const tuple& t) {
  return t.src.l3num == l3num::ipv6 ? std::uint8_t{AF_INET6} : std::uint8_t{AF_INET};
}

void put_ids(nlmsghdr* to, const tuple& t) {
  switch (t.dst.protonum) {
    case ipproto::icmp:
      mnl_attr_put_u16(to, CTA_PROTO_ICMP_ID, htobe16(t.src.id));
      mnl_attr_put_u8(to, CTA_PROTO_ICMP_TYPE, icmp_type(t));
      mnl_attr_put_u8(to, CTA_PROTO_ICMP_CODE, icmp_code(t));
      break;
    case ipproto::icmpv6:
      mnl_attr_put_u16(to, CTA_PROTO_ICMPV6_ID, htobe16(t.src.id));
      mnl_attr_put_u8(to, CTA_PROTO_ICMPV6_TYPE, icmp_type(t));
      mnl_attr_put_u8(to, CTA_PROTO_ICMPV6_CODE, icmp_code(t));
      break;
    default:
      mnl_attr_put_u16(to, CTA_PROTO_SRC_PORT, htobe16(t.src.id));
      mnl_attr_put_u16(to, CTA_PROTO_DST_PORT, htobe16(t.dst.id));
  }
}

void put_tuple(nlmsghdr* to, std::uint16_t type, const tuple& t) {
  const bool is_v6 = t.src.l3num == l3num::ipv6;
  const std::size_t bytes = is_v6 ? 16 : 4;
  nlattr* const list = mnl_attr_nest_start(to, type);
  nlattr* const ip = mnl_attr_nest_start(to, CTA_TUPLE_IP);
  mnl_attr_put(to, is_v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, bytes, t.src.addr.data());
  mnl_attr_put(to, is_v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, bytes, t.dst.addr.data());
  mnl_attr_nest_end(to, ip);
  nlattr* const proto = mnl_attr_nest_start(to, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(to, CTA_PROTO_NUM, t.dst.protonum);
  put_ids(to, t);
  mnl_attr_nest_end(to, proto);
  mnl_attr_nest_end(to, list);
}

constexpr unsigned group(unsigned number) { return 1U << (number - 1); }

}  // namespace

netlink_socket::netlink_socket(unsigned groups)
    : socket_(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC), mnl_socket_close) {
  if (socket_ == nullptr) throw not_here("a netfilter netlink socket: " + errno_text(errno));
  if (mnl_socket_bind(socket_.get(), groups, MNL_SOCKET_AUTOPID) != 0) {
    throw not_here("a netfilter netlink socket that listens: " + errno_text(errno));
  }
}

ctnetlink::ctnetlink() : socket_(0), request_(message_bytes_max), answer_(answer_bytes_max) {
  if (const int error = ask(begin(IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC), {})) {
    throw not_here("ctnetlink (CONFIG_NF_CT_NETLINK): " + errno_text(error));
  }
}

nlmsghdr* ctnetlink::begin(int message, int flags, std::uint8_t family) noexcept {
  nlmsghdr* const head = mnl_nlmsg_put_header(request_.data());
  head->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message);
  head->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  head->nlmsg_seq = ++sequence_;
  auto* const of_netfilter =
      static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(head, sizeof(nfgenmsg)));
  of_netfilter->nfgen_family = family;
  of_netfilter->version = NFNETLINK_V0;
  return head;
}

int ctnetlink::ask(nlmsghdr* request, const std::function<void(const nlmsghdr&)>& take) noexcept {
  const bool is_dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) return errno;
  while (true) {
    const ssize_t bytes = mnl_socket_recvfrom(socket_.get(), answer_.data(), answer_.size());
    if (bytes <= 0) return bytes == 0 ? EIO : errno;
    int left = static_cast<int>(bytes);
    for (auto* m = reinterpret_cast<const nlmsghdr*>(answer_.data()); mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
      if (m->nlmsg_type == NLMSG_DONE) return 0;
      if (m->nlmsg_type == NLMSG_ERROR) {
        return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(m))->error;
      }
      if (take) take(*m);
    }
    if (!is_dump && (request->nlmsg_flags & NLM_F_ACK) == 0) return 0;
  }
}

std::optional<conn> ctnetlink::get(const tuple& t, std::uint16_t zone_id) noexcept {
  nlmsghdr* const request = begin(IPCTNL_MSG_CT_GET, 0, family_of(t));
  put_tuple(request, CTA_TUPLE_ORIG, t);
  if (zone_id != 0) mnl_attr_put_u16(request, CTA_ZONE, htobe16(zone_id));
  std::optional<conn> found;
  (void)ask(request, [&found](const nlmsghdr& m) { found = read_conn(m); });
  return found;
}

void ctnetlink::dump(const std::function<void(const conn&)>& show) {
  (void)ask(begin(IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC),
            [&show](const nlmsghdr& m) { show(read_conn(m)); });
}

bool ctnetlink::remove(const tuple& t, std::uint16_t zone_id) noexcept {
  nlmsghdr* const request = begin(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family_of(t));
  put_tuple(request, CTA_TUPLE_ORIG, t);
  if (zone_id != 0) mnl_attr_put_u16(request, CTA_ZONE, htobe16(zone_id));
  return ask(request, {}) == 0;
}

bool ctnetlink::create(const tuple& original,
                       const tuple& reply,
                       std::uint32_t timeout_s) noexcept {
  nlmsghdr* const request =
      begin(IPCTNL_MSG_CT_NEW, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, family_of(original));
  put_tuple(request, CTA_TUPLE_ORIG, original);
  put_tuple(request, CTA_TUPLE_REPLY, reply);
  mnl_attr_put_u32(request, CTA_TIMEOUT, htobe32(timeout_s));
  return ask(request, {}) == 0;
}

void ctnetlink::flush() noexcept {
  (void)ask(begin(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, AF_UNSPEC), {});
}

std::vector<ip_conntrack_stat> ctnetlink::statistics() {
  std::vector<ip_conntrack_stat> rows;
  (void)ask(begin(IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_DUMP, AF_UNSPEC), [&](const nlmsghdr& m) {
    const attributes parts = of_message(m);
    ip_conntrack_stat row;
    row.found = read32(parts[CTA_STATS_FOUND]);
    row.invalid = read32(parts[CTA_STATS_INVALID]);
    row.insert = read32(parts[CTA_STATS_INSERT]);
    row.insert_failed = read32(parts[CTA_STATS_INSERT_FAILED]);
    row.drop = read32(parts[CTA_STATS_DROP]);
    row.early_drop = read32(parts[CTA_STATS_EARLY_DROP]);
    row.error = read32(parts[CTA_STATS_ERROR]);
    row.search_restart = read32(parts[CTA_STATS_SEARCH_RESTART]);
    row.clash_resolve = read32(parts[CTA_STATS_CLASH_RESOLVE]);
    row.chaintoolong = read32(parts[CTA_STATS_CHAIN_TOOLONG]);
    rows.push_back(row);
  });
  return rows;
}

std::size_t ctnetlink::count() noexcept {
  std::size_t entries = 0;
  (void)ask(begin(IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC), [&entries](const nlmsghdr& m) {
    entries = read32(of_message(m)[CTA_STATS_GLOBAL_ENTRIES]);
  });
  return entries;
}

event_stream::event_stream()
    : socket_(group(NFNLGRP_CONNTRACK_NEW) | group(NFNLGRP_CONNTRACK_UPDATE) |
              group(NFNLGRP_CONNTRACK_DESTROY)),
      buffer_(answer_bytes_max) {
  const int descriptor = mnl_socket_get_fd(socket_.get());
  // With the privilege that made the namespace; without, the default limits it.
  if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &events_buffer_bytes, sizeof(int)) != 0) {
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &events_buffer_bytes, sizeof(int));
  }
  (void)fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

bool event_stream::read(const std::function<void(const event_message&)>& take) {
  bool is_whole = true;
  while (true) {
    const ssize_t bytes = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
    if (bytes <= 0 && errno == ENOBUFS) {
      is_whole = false;
      continue;
    }
    if (bytes <= 0) return is_whole;
    int left = static_cast<int>(bytes);
    for (auto* m = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
      const bool is_new = (m->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL)) != 0;
      const bool is_destroy = (m->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE;
      const event what = is_destroy ? event::destroy : is_new ? event::new_ : event::protoinfo;
      take({.bits = bit(what), .entry = read_conn(*m)});
    }
  }
}

}  // namespace ct::live
