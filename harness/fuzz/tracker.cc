// SPDX-License-Identifier: BSD-2-Clause
/// Target `tracker`: conversations of one protocol between two hosts, in which anything may be said
/// at any time.
///
/// An input is a byte of protocol and family, a byte of settings, then steps: a byte each that says
/// what comes (a packet of either end, a wait, something else), and what that needs
/// (tracker_moves.h).
#include "harness/fuzz/jury.h"
#include "harness/fuzz/target.h"
#include "harness/fuzz/tracker_moves.h"
#include "spec/jiffies.h"

#include <array>
#include <utility>

namespace ct::harness::fuzz {
namespace {

constexpr std::size_t steps_max = 48;
constexpr std::size_t held_max = 3;

// Bits of the first byte, above the protocol's four.
constexpr unsigned is_ipv6 = 16;
constexpr unsigned is_unverified = 32;
// Bits of the settings.
constexpr unsigned is_liberal = 1;
constexpr unsigned is_strict = 2;  ///< not loose
constexpr unsigned ignores_rst = 4;
constexpr unsigned gives_up_early = 8;  ///< tcp_max_retrans = 0
constexpr unsigned has_acct = 16;
constexpr unsigned has_timestamp = 32;
constexpr unsigned has_events = 64;
constexpr unsigned has_dccp = 128;

// Steps: bit 0 is the direction, the next two say what it is.
enum class step_kind : std::uint8_t { packet = 0, wait = 1, packet_too = 2, other = 3 };

/// At, just before and just after the timeouts that there are, and the 2 s of UDP's streams.
constexpr std::array<std::uint32_t, 24> waits = {1,
                                                 2,
                                                 hz / 2,
                                                 seconds(1),
                                                 seconds(2) + 1,
                                                 seconds(3),
                                                 seconds(10),
                                                 seconds(29),
                                                 seconds(30),
                                                 seconds(31),
                                                 seconds(60),
                                                 seconds(119),
                                                 seconds(120),
                                                 seconds(121),
                                                 seconds(180),
                                                 seconds(209),
                                                 seconds(240),
                                                 seconds(300) - 1,
                                                 seconds(300),
                                                 seconds(301),
                                                 seconds(480),
                                                 seconds(601),
                                                 seconds(43200),
                                                 seconds(432000)};

class stage {
 public:
  stage(court& from, unsigned form, unsigned settings);

  void play(input_reader& input);
  std::string verdict() { return all_.finish(); }

 private:
  static std::vector<sysctl_setting> sysctls_of(unsigned settings);
  build::bytes wrap(dir d, build::layer4 l4) const;
  void send(dir d, build::layer4 l4);
  void send(const build::bytes& ip);
  void send_error(dir d, input_reader& input);
  void other_step(dir d, input_reader& input);
  void kill(dir d);

  const std::uint8_t protonum_;
  const bool is_ipv6_;
  const ip_summed summed_;
  jury all_;
  std::array<conversation, 2> talks_;
  std::size_t talk_ = 0;
  std::array<build::bytes, 2> last_;  // [dir]
  std::size_t held_ = 0;
  netns_id net_ = 0;
  bool is_next_held_ = false;
};

stage::stage(court& from, unsigned form, unsigned settings)
    : protonum_(move_protocols[(form & 15) % move_protocols.size()]),
      is_ipv6_((form & is_ipv6) != 0),
      summed_((form & is_unverified) != 0 ? ip_summed::none : ip_summed::unnecessary),
      all_(from,
           {.has_dccp = (settings & has_dccp) != 0},
           sysctls_of(settings),
           (settings & has_events) != 0) {
  talks_[1].client_port = 1001;
  if (protonum_ != ipproto::gre) return;
  const auto key = [this](const char* src, const char* dst, std::uint16_t a, std::uint16_t b) {
    tuple t;
    t.src = {.addr = build::addr(src), .id = a, .l3num = is_ipv6_ ? l3num::ipv6 : l3num::ipv4};
    t.dst = {.addr = build::addr(dst), .id = b, .protonum = ipproto::gre};
    return t;
  };
  const char* const client = is_ipv6_ ? "fd00::1" : "10.0.0.1";
  const char* const server = is_ipv6_ ? "fd00::2" : "10.0.0.2";
  const conversation& talk = talks_[0];
  const tuple original = key(client, server, talk.client_port, talk.server_port);
  const tuple reply = key(server, client, talk.server_port, talk.client_port);
  all_.each([&](ct_system& system, cpu&) { (void)system.add_gre_keys(0, original, reply); });
}

std::vector<sysctl_setting> stage::sysctls_of(unsigned settings) {
  std::vector<sysctl_setting> sysctls;
  const auto set = [&](unsigned bits, const char* name, const char* value) {
    if ((settings & bits) == bits) sysctls.push_back({.name = name, .value = value});
  };
  set(is_liberal, "tcp_be_liberal", "1");
  set(is_strict, "tcp_loose", "0");
  set(is_strict | has_dccp, "dccp_loose", "0");
  set(ignores_rst, "tcp_ignore_invalid_rst", "1");
  set(gives_up_early, "tcp_max_retrans", "0");
  set(has_timestamp, "timestamp", "1");
  set(has_acct, "acct", "1");
  return sysctls;
}

build::bytes stage::wrap(dir d, build::layer4 l4) const {
  const bool is_out = d == dir::original;
  if (is_ipv6_) {
    return build::ipv6(
        {.src = is_out ? "fd00::1" : "fd00::2", .dst = is_out ? "fd00::2" : "fd00::1"},
        std::move(l4));
  }
  return build::ipv4(
      {.src = is_out ? "10.0.0.1" : "10.0.0.2", .dst = is_out ? "10.0.0.2" : "10.0.0.1"},
      std::move(l4));
}

void stage::send(dir d, build::layer4 l4) {
  last_[index(d)] = wrap(d, std::move(l4));
  send(last_[index(d)]);
}

void stage::send(const build::bytes& ip) {
  const skb packet{.frame = {}, .link = link_type::raw, .net = net_, .ip_summed = summed_};
  if (!is_next_held_ || held_ == held_max) return all_.add(packet, ip);
  all_.hold(packet, ip);
  is_next_held_ = false;
  ++held_;
}

/// An ICMP error from the receiver of the last packet of that direction, which it quotes.
void stage::send_error(dir d, input_reader& input) {
  constexpr std::size_t quoted_max = 64;
  const build::bytes& about = last_[index(d)];
  const std::size_t quoted = std::min<std::size_t>(about.size(), input.below(quoted_max + 1));
  build::bytes quote(about.begin(), about.begin() + static_cast<std::ptrdiff_t>(quoted));
  const unsigned type = input.u8();
  send(wrap(!d,
            build::icmp_of(
                is_ipv6_ ? ipproto::icmpv6 : ipproto::icmp,
                {.type = static_cast<std::uint8_t>(type % 2 == 0 ? (is_ipv6_ ? 1U : 3U) : type)},
                quote)));
}

void stage::kill(dir d) {
  std::vector<tuple> tuples;
  for (const conn& entry : all_.entries()) {
    if (entry.net == 0) tuples.push_back(entry.tuples[index(d)]);
  }
  if (tuples.size() > 1) tuples.resize(1);
  all_.each([&](ct_system&, cpu& on) { (void)on.kill(tuples); });
}

void stage::other_step(dir d, input_reader& input) {
  constexpr std::size_t more_buckets = 2 * court::buckets;
  switch (input.below(8)) {
    case 0:
      return send_error(d, input);
    case 1:
      is_next_held_ = true;
      return;
    case 2:
      all_.let_go();
      held_ = 0;
      return;
    case 3:
      return all_.set_sysctl("tcp_be_liberal", d == dir::original ? "1" : "0");
    case 4:
      talk_ = 1 - talk_;
      return;
    case 5:
      net_ = 1 - net_;
      return;
    case 6:
      return kill(d);
    default:
      return all_.each([d](ct_system&, cpu& on) {
        (void)on.resize(d == dir::original ? more_buckets : court::buckets);
      });
  }
}

void stage::play(input_reader& input) {
  for (std::size_t i = 0; i < steps_max && !input.is_empty() && !all_.has_finding(); ++i) {
    const unsigned step = input.u8();
    const dir d = (step & 1) == 0 ? dir::original : dir::reply;
    all_.wait(step >> 3);
    switch (static_cast<step_kind>(step >> 1 & 3)) {
      case step_kind::packet:
      case step_kind::packet_too:
        send(d, next_move(protonum_, talks_[talk_], d, input));
        break;
      case step_kind::wait:
        all_.wait(waits[input.below(waits.size())]);
        break;
      case step_kind::other:
        other_step(d, input);
        break;
    }
  }
}

}  // namespace

std::string run_tracker(court& from, std::span<const std::byte> input) {
  input_reader reader(input);
  const unsigned form = reader.u8();
  const unsigned settings = reader.u8();
  stage all(from, form, settings);
  all.play(reader);
  return all.verdict();
}

/// A few conversations as they should be; the rest is the fuzzer's.
std::vector<input_bytes> tracker_seeds(std::span<const std::string>) {
  const auto bytes_of = [](std::initializer_list<unsigned> values) {
    input_writer out;
    for (const unsigned value : values) out.u8(value);
    return out.done();
  };
  std::vector<input_bytes> seeds;
  for (const unsigned family : {0U, is_ipv6, is_unverified}) {
    for (const unsigned settings : {0U, 1U, 2U, 255U, has_acct | has_events}) {
      // TCP: handshake, data, both FINs; then the same port again.
      seeds.push_back(
          bytes_of({family, settings, 0, 0x02, 0,   5,    255,  7, 1,   0x12, 0, 5,    255, 7, 0,
                    0x10,   0,        0, 255,  0,   0x18, 0x80, 0, 255, 40,   1, 0x10, 0,   0, 255,
                    0,      0x11,     0, 0,    255, 1,    0x11, 0, 0,   255,  0, 0x10, 0,   0, 255,
                    0,      0x02,     5, 0,    255, 1,    2,    3, 4}));
      // SCTP: INIT to COOKIE_ACK, a heartbeat, a shutdown.
      seeds.push_back(bytes_of({family | 1, settings, 0, 1,  1, 0x31, 1, 0, 2, 0x42, 0,  0, 10,
                                0,          1,        0, 11, 0, 0,    0, 4, 0, 1,    0,  5, 0,
                                0,          0,        7, 0,  1, 0,    8, 0, 0, 0,    14, 0}));
      // DCCP: REQUEST, RESPONSE, ACK, DATAACK, CLOSEREQ, CLOSE, RESET.
      seeds.push_back(bytes_of({family | 2, settings | has_dccp,
                                0,          0,
                                0,          1,
                                1,          0,
                                0,          3,
                                0,          1,
                                4,          0,
                                1,          5,
                                0,          0,
                                6,          0,
                                1,          7,
                                0}));
      for (unsigned protocol = 3; protocol < move_protocols.size(); ++protocol) {
        seeds.push_back(
            bytes_of({family | protocol, settings, 0, 0, 1, 0, 2, 4, 0, 0, 1, 0, 6, 0, 40, 0}));
      }
    }
  }
  return seeds;
}

}  // namespace ct::harness::fuzz
