// SPDX-License-Identifier: BSD-2-Clause
/// GRE: keys of version 0 and 1, the map of call ids, timeouts.
#include "impls/core/packet_suite.h"
#include "impls/core/proto/gre_keymap.h"
#include "impls/core/proto/icmp_error.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/tracked_flow_suite.h"
#include "spec/jiffies.h"
#include "spec/tuple.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>

namespace ct::core {
namespace {

using build::bytes;
using build::gre;
using build::ipv4;
using build::ipv6;
using build::other;
using build::payload;
using build::pptp;
using build::put16;
using build::view;

constexpr std::uint16_t client_call = 0x1111;  // what the server's packets carry
constexpr std::uint16_t server_call = 0x2222;

bytes from_client(std::uint16_t call_id = server_call) {
  return ipv4({.src = "10.0.0.1", .dst = "10.0.0.2"}, pptp({.call_id = call_id}, payload(20)));
}
bytes from_server(std::uint16_t call_id = client_call) {
  return ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"}, pptp({.call_id = call_id}, payload(20)));
}

struct keys {
  std::uint16_t src;
  std::uint16_t dst;
  bool operator==(const keys&) const = default;
};
std::optional<keys> keys_of(const bytes& ip, const gre_keymap* known = nullptr) {
  tuple t;
  if (!get_tuple(view(ip), t, {.gre_keys = known})) return std::nullopt;
  return keys{t.src.id, t.dst.id};
}

/// The tunnel between the two, as its control connection would say it.
struct tunnel {
  tuple original;
  tuple reply;
  tunnel() {
    if (!get_tuple(view(there_), original)) std::abort();
    original.src.id = client_call;
    reply = *invert_tuple(original);
  }

 private:
  bytes there_ = from_client();
};

}  // namespace

TEST_CASE("GRE has the keys 0 and 0 whatever it carries, unless it is PPTP") {
  CHECK(keys_of(ipv4({}, gre(payload(20)))) == keys{0, 0});
  CHECK(keys_of(ipv6({}, gre(payload(20)))) == keys{0, 0});
  for (const unsigned version : {0U, 2U, 3U, 7U}) {
    CHECK(keys_of(ipv4({}, gre(payload(20), static_cast<std::uint8_t>(version)))) == keys{0, 0});
  }
  CHECK(keys_of(ipv4({}, gre(payload(20), 1))) == std::nullopt);  // version 1 carries PPP alone
  bytes header = pptp({.call_id = server_call}).data;
  for (std::size_t length = 8; length-- > 0;) {
    header.resize(length);
    CAPTURE(length);
    CHECK(keys_of(ipv4({}, other(ipproto::gre, header))) == keys{0, 0});
  }
}

TEST_CASE("a PPTP packet has its call id as destination key, and no source key that nobody told") {
  CHECK(keys_of(from_client()) == keys{0, server_call});
  const gre_keymap empty;
  CHECK(keys_of(from_client(), &empty) == keys{0, server_call});
}

TEST_CASE("the map brings both directions of a tunnel to one entry, and no other tunnel") {
  const tunnel known;
  gre_keymap map;
  REQUIRE(map.add(known.original, known.reply));
  CHECK(map.size() == 2);
  CHECK(keys_of(from_client(), &map) == keys{client_call, server_call});
  CHECK(keys_of(from_server(), &map) == keys{server_call, client_call});
  tuple there;
  tuple back;
  const bytes client = from_client();
  const bytes server = from_server();
  REQUIRE(get_tuple(view(client), there, {.gre_keys = &map}));
  REQUIRE(get_tuple(view(server), back, {.gre_keys = &map}));
  CHECK(same_flow(*invert_tuple(there), back));

  CHECK(keys_of(from_client(7), &map) == keys{0, 7});
  CHECK(keys_of(from_server(server_call), &map) == keys{0, server_call});
  CHECK(keys_of(ipv4({.src = "10.0.0.3", .dst = "10.0.0.2"}, pptp({.call_id = server_call})),
                &map) == keys{0, server_call});
  CHECK(keys_of(ipv4({.src = "10.0.0.1", .dst = "10.0.0.3"}, pptp({.call_id = server_call})),
                &map) == keys{0, server_call});
  CHECK(keys_of(ipv6({}, pptp({.call_id = server_call})), &map) == keys{0, server_call});
  CHECK(keys_of(ipv4({}, gre(payload(8))), &map) == keys{0, 0});
}

TEST_CASE("a pair that is known is added once, one that contradicts it not at all") {
  const tunnel known;
  gre_keymap map;
  REQUIRE(map.add(known.original, known.reply));
  CHECK(map.add(known.original, known.reply));
  CHECK(map.size() == 2);
  tuple other_source = known.original;
  other_source.src.id = 9;
  CHECK_FALSE(map.add(other_source, known.reply));
  CHECK_FALSE(map.add(other_source, *invert_tuple(other_source)));
  CHECK(map.size() == 2);
  map.remove(known.original, known.reply);
  CHECK(map.size() == 0);
  CHECK(keys_of(from_client(), &map) == keys{0, server_call});
  CHECK(map.add(other_source, *invert_tuple(other_source)));
  CHECK(keys_of(from_client(), &map) == keys{9, server_call});
  map.clear();
  CHECK(map.find(other_source) == 0);
}

TEST_CASE("an ICMP error that quotes a PPTP packet finds its tunnel through the map") {
  const tunnel known;
  gre_keymap map;
  REQUIRE(map.add(known.original, known.reply));
  bytes quoted = from_client();
  quoted.resize(28);
  const bytes error =
      ipv4({.src = "192.0.2.9", .dst = "10.0.0.1"}, build::icmp({.type = 3}, quoted));
  const icmp_message with_map = classify_icmp(view(error), {.gre_keys = &map});
  CHECK(same_flow(with_map.looked_up, known.reply));
  CHECK_FALSE(same_flow(classify_icmp(view(error)).looked_up, known.reply));
}

TEST_CASE("GRE waits 30 s, once it is replied 180 s and ASSURED") {
  const bytes there = ipv4({}, gre(payload(20)));
  const bytes back = ipv4({.src = "10.0.0.2", .dst = "10.0.0.1"}, gre(payload(20)));
  tracked_flow flow(there);
  CHECK(flow.send(there) == track::accept);
  CHECK(flow.timeout() == seconds(30));
  flow.confirm();
  flow.advance(seconds(1));
  CHECK(flow.reply(back) == track::accept);  // SEEN_REPLY is set behind the tracker
  CHECK(flow.left() == seconds(30));
  CHECK_FALSE(flow.is_assured());
  CHECK(flow.send(there) == track::accept);
  CHECK(flow.left() == seconds(180));
  CHECK(flow.is_assured());
  CHECK_FALSE(gre_l4proto.can_early_drop(flow.ct));
}

TEST_CASE("a GRE entry keeps the timeouts that its first packet found") {
  const bytes there = ipv4({}, gre(payload(20)));
  tracked_flow flow(there);
  flow.policy.gre_timeout = 7;
  flow.policy.gre_timeout_stream = 8;
  CHECK(flow.send(there) == track::accept);
  CHECK(flow.timeout() == 7);
  flow.confirm();
  flow.policy.gre_timeout = 70;
  flow.policy.gre_timeout_stream = 80;
  flow.advance(1);
  CHECK(flow.send(there) == track::accept);
  CHECK(flow.left() == 7);
  flow.ct.set(status::seen_reply);
  CHECK(flow.send(there) == track::accept);
  CHECK(flow.left() == 8);
}

TEST_CASE("the loser of a resolved clash of GRE is never ASSURED") {
  const bytes there = ipv4({}, gre(payload(20)));
  tracked_flow flow(there);
  CHECK(flow.send(there) == track::accept);
  flow.confirm();
  flow.ct.set_all(status::nat_clash | status::seen_reply);
  CHECK(flow.send(there) == track::accept);
  CHECK_FALSE(flow.is_assured());
}

}  // namespace ct::core
