// SPDX-License-Identifier: BSD-2-Clause
/// From words to packets; see the header.
#include "workloads/packet_text.h"

#include "workloads/packet_builder.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ct::workloads {
namespace {

constexpr std::uint64_t port_max = 0xffff;
constexpr std::uint64_t u32_max = 0xffff'ffff;
constexpr std::uint64_t payload_max = 60'000;

/// One side of a packet: an address, and the port behind it.
struct endpoint {
  std::string address;
  std::uint16_t port = 0;
  std::uint16_t last_port = 0;  ///< of a range
};

bool is_ipv6(const endpoint& end) { return end.address.find(':') != std::string::npos; }

void expect_address(const std::string& text) {
  address out{};
  const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  if (inet_pton(family, text.c_str(), out.data()) != 1) {
    throw text_error("'" + text + "' is no address; write one as 10.0.0.1 or [2001:db8::1]");
  }
}

std::uint16_t port_of(std::string_view text) {
  const std::optional<std::uint64_t> port = to_number(text, port_max);
  if (!port) throw text_error("'" + std::string(text) + "' is no port; write 0 to 65535");
  return static_cast<std::uint16_t>(*port);
}

/// "10.0.0.1", "10.0.0.1:80", "10.0.0.1:1000-1019", "[2001:db8::1]:80".
endpoint parse_endpoint(const std::string& text) {
  endpoint end;
  std::string_view ports;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string::npos) throw text_error("'" + text + "' lacks its ]");
    end.address = text.substr(1, close - 1);
    ports = std::string_view(text).substr(close + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    end.address = text.substr(0, colon);
    ports = std::string_view(text).substr(colon);
  }
  expect_address(end.address);
  if (ports.empty()) return end;
  ports.remove_prefix(1);
  const std::size_t dash = ports.find('-');
  end.port = port_of(ports.substr(0, dash));
  end.last_port = dash == std::string_view::npos ? end.port : port_of(ports.substr(dash + 1));
  if (end.last_port < end.port) throw text_error("the port range of '" + text + "' runs backwards");
  return end;
}

/// What a line says, before a port range makes several packets of it.
struct description {
  std::uint8_t protonum = 0;
  endpoint source;
  endpoint dest;
  build::tcp_fields tcp;
  build::icmp_fields icmp;
  build::bytes data;
  bool is_icmp_error = false;
  bool is_bare = false;  ///< `proto N`: no header but what `data` gives
  std::optional<std::size_t> cut_at;
  struct byte_range {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  std::optional<byte_range> part;
  text_packet with;  ///< what does not stand in its bytes
};

std::uint8_t flags_of(const std::string& letters) {
  constexpr std::string_view known = "FSRPAUEC";
  if (letters == "none") return 0;
  std::uint8_t flags = 0;
  for (const char letter : letters) {
    const std::size_t bit = known.find(letter);
    if (bit == std::string_view::npos) {
      throw text_error("'" + letters + "' are no TCP flags; write letters of FSRPAUEC, or none");
    }
    flags = static_cast<std::uint8_t>(flags | 1U << bit);
  }
  return flags;
}

struct icmp_kind {
  std::string_view name;
  std::uint8_t v4_type;
  std::uint8_t v6_type;
};
constexpr std::array<icmp_kind, 5> icmp_kinds = {{{"echo", 8, 128},
                                                  {"echo-reply", 0, 129},
                                                  {"unreachable", 3, 1},
                                                  {"time-exceeded", 11, 3},
                                                  {"parameter-problem", 12, 4}}};

bool read_icmp(word_reader& words,
               const std::string& field,
               const packet_lookup& lookup,
               description& d) {
  const auto* const kind = std::ranges::find(icmp_kinds, field, &icmp_kind::name);
  if (kind != icmp_kinds.end()) {
    d.icmp.type = d.protonum == ipproto::icmp ? kind->v4_type : kind->v6_type;
  } else if (field == "type") {
    d.icmp.type = words.number<std::uint8_t>("an ICMP type", 255);
  } else if (field == "code") {
    d.icmp.code = words.number<std::uint8_t>("an ICMP code", 255);
  } else if (field == "id") {
    d.icmp.id = words.number<std::uint16_t>("an ICMP id", port_max);
  } else if (field == "about") {
    const std::string& name = words.next("the name of the packet that it is about");
    const text_packet* const quoted = lookup(name);
    if (quoted == nullptr) throw text_error("no packet '" + name + "' so far; define it above");
    d.data = quoted->ip;
    d.is_icmp_error = true;
  } else {
    return false;
  }
  return true;
}

bool read_tcp(word_reader& words, const std::string& field, description& d) {
  if (field == "seq") {
    d.tcp.seq = words.number<std::uint32_t>("a sequence number", u32_max);
  } else if (field == "ack") {
    d.tcp.ack = words.number<std::uint32_t>("an acknowledgment number", u32_max);
  } else if (field == "win") {
    d.tcp.window = words.number<std::uint16_t>("a window", port_max);
  } else {
    return false;
  }
  return true;
}

bool read_context(word_reader& words, const std::string& field, text_packet& with) {
  if (field == "net") {
    with.net = words.number<netns_id>("a netns", u32_max);
  } else if (field == "zone") {
    with.zone.id = words.number<std::uint16_t>("a zone", port_max);
    if (words.take("original")) with.zone.directions = 1;
    if (words.take("reply")) with.zone.directions = 2;
  } else if (field == "mark") {
    with.mark = words.number<std::uint32_t>("a mark", u32_max);
  } else if (field == "policy") {
    with.policy = words.next("a policy's name");
  } else {
    return false;
  }
  return true;
}

bool read_payload(word_reader& words, const std::string& field, description& d) {
  if (field == "data") {
    d.data = build::payload(words.number<std::size_t>("a count of bytes", payload_max));
  } else if (field == "say") {
    for (const char c : words.next("a text")) d.data.push_back(static_cast<std::byte>(c));
  } else if (field == "cut") {
    d.cut_at = words.number<std::size_t>("a count of bytes", payload_max);
  } else if (field == "part") {
    d.part = description::byte_range{};
    d.part->begin = words.number<std::size_t>("where the part begins", payload_max);
    d.part->end = words.number<std::size_t>("where the part ends", payload_max);
    if (d.part->begin % 8 != 0) throw text_error("a part begins at a multiple of 8");
    if (d.part->end < d.part->begin) throw text_error("a part that ends before it begins");
  } else {
    return false;
  }
  return true;
}

std::uint8_t protocol_of(word_reader& words, const std::string& name) {
  if (name == "tcp") return ipproto::tcp;
  if (name == "udp") return ipproto::udp;
  if (name == "icmp") return ipproto::icmp;
  if (name == "proto") return words.number<std::uint8_t>("a protocol number", 255);
  throw text_error("'" + name + "' is no protocol; write tcp, udp, icmp or proto N");
}

description describe(std::span<const std::string> text, const packet_lookup& lookup) {
  word_reader words(text);
  description d;
  const std::string& protocol = words.next("a protocol");
  d.is_bare = protocol == "proto";
  d.protonum = protocol_of(words, protocol);
  d.source = parse_endpoint(words.next("the source"));
  if (!words.take(">")) throw text_error("no > between the source and the destination");
  d.dest = parse_endpoint(words.next("the destination"));
  if (is_ipv6(d.source) != is_ipv6(d.dest)) {
    throw text_error("the source and the destination are of different families");
  }
  const bool is_icmp = d.protonum == ipproto::icmp && !d.is_bare;
  const bool is_tcp = d.protonum == ipproto::tcp && !d.is_bare;
  if (is_icmp && is_ipv6(d.source)) d.protonum = ipproto::icmpv6;
  if (is_tcp) d.tcp.flags = flags_of(words.next("TCP flags"));
  while (!words.is_end()) {
    const std::string& field = words.next("a field");
    const bool is_read = read_context(words, field, d.with) || read_payload(words, field, d) ||
                         (is_icmp && read_icmp(words, field, lookup, d)) ||
                         (is_tcp && read_tcp(words, field, d));
    if (!is_read) throw text_error("'" + field + "' is no field of such a packet");
  }
  return d;
}

/// Its layer 4, and the two ids of its tuple.
build::layer4 layer4_of(const description& d, std::uint16_t port, tuple& t) {
  if (d.is_bare) return build::other(d.protonum, d.data);
  switch (d.protonum) {
    case ipproto::tcp: {
      build::tcp_fields fields = d.tcp;
      fields.source_port = t.src.id = port;
      fields.dest_port = t.dst.id = d.dest.port;
      return build::tcp(fields, d.data);
    }
    case ipproto::udp:
      t.src.id = port;
      t.dst.id = d.dest.port;
      return build::udp({.source_port = port, .dest_port = d.dest.port}, d.data);
    case ipproto::icmp:
    case ipproto::icmpv6:
      t.src.id = d.icmp.id;
      t.dst.id = icmp_id(d.icmp.type, d.icmp.code);
      return build::icmp_of(d.protonum, d.icmp, d.data);
    default:
      return build::other(d.protonum, d.data);
  }
}

build::bytes fragment_of(const description& d, const build::bytes& whole) {
  const std::size_t header_bytes = is_ipv6(d.source) ? 40 : 20;
  const std::size_t payload_bytes = whole.size() - header_bytes;
  const std::size_t end = std::min(d.part->end, payload_bytes);
  const std::size_t begin = std::min(d.part->begin, end);
  const auto from = whole.begin() + static_cast<std::ptrdiff_t>(header_bytes);
  const build::layer4 part = build::other(d.protonum,
                                          build::bytes(from + static_cast<std::ptrdiff_t>(begin),
                                                       from + static_cast<std::ptrdiff_t>(end)));
  const auto units = static_cast<std::uint16_t>(d.part->begin / 8);
  const bool has_more = end < payload_bytes;
  if (is_ipv6(d.source)) {
    return build::ipv6({.src = d.source.address,
                        .dst = d.dest.address,
                        .extensions = {build::fragment_header(units, has_more)}},
                       part);
  }
  return build::ipv4({.src = d.source.address,
                      .dst = d.dest.address,
                      .more_fragments = has_more,
                      .fragment_offset = units},
                     part);
}

text_packet packet_of(const description& d, std::uint16_t port) {
  text_packet made = d.with;
  tuple& t = made.tuple;
  t.src.l3num = is_ipv6(d.source) ? l3num::ipv6 : l3num::ipv4;
  t.src.addr = build::addr(d.source.address);
  t.dst.addr = build::addr(d.dest.address);
  t.dst.protonum = d.protonum;
  const build::layer4 l4 = layer4_of(d, port, t);
  if (d.is_icmp_error) t = {};
  made.ip = is_ipv6(d.source) ? build::ipv6({.src = d.source.address, .dst = d.dest.address}, l4)
                              : build::ipv4({.src = d.source.address, .dst = d.dest.address}, l4);
  if (d.part) made.ip = fragment_of(d, made.ip);
  if (d.cut_at && *d.cut_at < made.ip.size()) made.ip.resize(*d.cut_at);
  return made;
}

}  // namespace

std::vector<text_packet> parse_packets(std::span<const std::string> words,
                                       const packet_lookup& lookup) {
  const description d = describe(words, lookup);
  std::vector<text_packet> packets;
  for (std::uint32_t port = d.source.port; port <= d.source.last_port || packets.empty(); ++port) {
    packets.push_back(packet_of(d, static_cast<std::uint16_t>(port)));
  }
  return packets;
}

}  // namespace ct::workloads
