// SPDX-License-Identifier: BSD-2-Clause
/// Commands as text; see the header.
#include "harness/property/command.h"

#include "spec/jiffies.h"

#include <fmt/format.h>
#include <string_view>

namespace ct::property {
namespace {

constexpr std::uint16_t client_port = 4000;
constexpr std::uint16_t server_port = 53;

/// a, a_back; b1 is the flow b of netns 1.
std::string packet_name(std::size_t key) {
  const std::size_t net = net_of(key);
  return fmt::format("{}{}{}",
                     static_cast<char>('a' + key / 2 % flows),
                     net == 0 ? "" : std::to_string(net),
                     key % 2 == 0 ? "" : "_back");
}

std::string wait_text(std::uint32_t jiffies) {
  return jiffies % hz == 0 ? fmt::format("{}s", jiffies / hz) : fmt::format("{}j", jiffies);
}

}  // namespace

tuple tuple_of(std::size_t key) {
  tuple t;
  t.src.addr = {10, 0, 0, 1};
  t.dst.addr = {192, 0, 2, 7};
  t.src.id = static_cast<std::uint16_t>(client_port + key / 2 % flows);
  t.dst.id = server_port;
  t.dst.protonum = ipproto::udp;
  if (key % 2 == 0) return t;
  std::swap(t.src.addr, t.dst.addr);
  std::swap(t.src.id, t.dst.id);
  return t;
}

std::string text_of(const command& c) {
  const auto handle = fmt::format("s{}", c.slot);
  const std::string net = c.net() == 0 ? "" : fmt::format(" net {}", c.net());
  switch (c.what) {
    case verb::pass:
      return "pass " + packet_name(c.key);
    case verb::in:
      return "in " + packet_name(c.key) + " as " + handle;
    case verb::confirm:
      return "confirm " + handle;
    case verb::free:
      return "free " + handle;
    case verb::wait:
      return "wait " + wait_text(chosen(waits, c));
    case verb::find:
      return "find " + packet_name(c.key_in_net0());
    case verb::kill:
      return "kill " + packet_name(c.key_in_net0());
    case verb::create:
      return fmt::format("create {} timeout {}",
                         packet_name(c.key_in_net0()),
                         chosen(create_timeouts_s, c));
    case verb::alter_reply:
      return "alter-reply " + handle + " " + packet_name(c.key);
    case verb::gc:
      return "gc";
    case verb::flush:
      return scope_of(c) == nets ? "flush" : fmt::format("flush net={}", scope_of(c));
    case verb::resize:
      return fmt::format("resize {}", chosen(bucket_counts, c));
    case verb::refuse:
      return "refuse";
    case verb::take:
      return "take";
    case verb::redeliver:
      return "redeliver" + net;
    case verb::exit:
      return fmt::format("exit {}", c.net());
  }
  return "?";
}

std::string scenario_head(const sequence& what, const std::string& title) {
  const std::uint32_t limit = limits[what.limit];
  std::string text =
      fmt::format("# {}\nrule TO.BE.NAMED\nwith buckets=4 seed={} nf_conntrack_events=1{}\n",
                  title,
                  what.seed,
                  limit == 0 ? "" : fmt::format(" nf_conntrack_max={}", limit));
  for (std::size_t key = 0; key < keys; ++key) {
    const std::size_t port = client_port + key / 2 % flows;
    const std::string ends = key % 2 == 0
                                 ? fmt::format("10.0.0.1:{} > 192.0.2.7:{}", port, server_port)
                                 : fmt::format("192.0.2.7:{} > 10.0.0.1:{}", server_port, port);
    const std::string net = net_of(key) == 0 ? "" : fmt::format(" net {}", net_of(key));
    text += fmt::format("packet {} = udp {}{}\n", packet_name(key), ends, net);
  }
  text += "\nlisten\n";
  for (std::size_t net = 1; net < nets; ++net) text += fmt::format("listen net {}\n", net);
  return text;
}

}  // namespace ct::property
