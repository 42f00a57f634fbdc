// SPDX-License-Identifier: BSD-2-Clause
/// Target `helper`: what two hosts say on an FTP control connection, and the data connections that
/// follow.
///
/// An input is a byte of settings, then steps: a byte each that says who does what (a text, an
/// offer, the same again, a text in two segments, a data connection that is expected, a wait,
/// something else), and what that needs. The laws are those of laws.h, and one of its own: nothing
/// is expected of a side that has not sent what begins like an offer.
#include "harness/fuzz/jury.h"
#include "harness/fuzz/target.h"
#include "spec/jiffies.h"
#include "workloads/packet_builder.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <utility>

namespace ct::harness::fuzz {
namespace {

using build::bytes;
namespace bit = build::tcp_bit;

constexpr std::size_t steps_max = 32;
constexpr std::uint16_t ftp_port = 21;
constexpr std::uint16_t client_port = 40000;

// Bits of the settings.
constexpr unsigned is_ipv6 = 1;
constexpr unsigned is_loose = 2;
constexpr unsigned has_acct = 4;
constexpr unsigned has_no_handshake = 8;
constexpr unsigned has_events = 16;
constexpr unsigned is_unverified = 32;

enum class step_kind : std::uint8_t {
  text = 0,
  text_too = 1,
  offer = 2,
  again = 3,
  split = 4,
  connect = 5,
  wait = 6,
  other = 7
};

constexpr std::array<std::uint32_t, 7> waits =
    {1, seconds(1), seconds(60), seconds(300) - 1, seconds(300), seconds(301), seconds(432000)};

/// What the two sides call themselves, and a third one.
struct hosts {
  std::array<std::string, 2> addresses;  // [dir that it sends in]
  std::string third;
};
const hosts ipv4_hosts = {{"10.0.0.1", "10.0.0.2"}, "10.0.0.3"};
const hosts ipv6_hosts = {{"fd00::1", "fd00::2"}, "fd00::3"};

bytes bytes_of(std::string_view text) {
  const auto raw = std::as_bytes(std::span(text));
  return bytes(raw.begin(), raw.end());
}

std::string with_commas(std::string address) {
  std::ranges::replace(address, '.', ',');
  return address;
}

bool begins_like_offer(dir d, std::span<const std::byte> text) {
  constexpr std::array<std::array<std::string_view, 2>, 2> words = {
      {{"PORT", "EPRT"}, {"227 ", "229 "}}};
  return std::ranges::any_of(words[index(d)], [&](std::string_view word) {
    return text.size() > word.size() &&
           std::ranges::equal(word, text.first(word.size()), [](char c, std::byte b) {
             const auto letter = std::to_integer<char>(b);
             return c == (letter >= 'a' && letter <= 'z' ? letter - 'a' + 'A' : letter);
           });
  });
}

class control_connection {
 public:
  control_connection(court& from, unsigned settings);

  void play(input_reader& input);
  std::string verdict();

 private:
  void say(dir d, const bytes& text, std::uint8_t flags = bit::psh | bit::ack);
  void send_segment(dir d, std::uint32_t seq, const bytes& text, std::uint8_t flags);
  void send(const std::string& from, const std::string& to, build::layer4 l4);
  bytes offer(dir d, input_reader& input) const;
  void connect(input_reader& input);
  void other_step(dir d, input_reader& input);
  void judge_expectations();

  const hosts& hosts_;
  const bool is_ipv6_;
  const ip_summed summed_;
  jury all_;
  std::array<std::uint32_t, 2> next_ = {1000, 0xffff'ff80};  // [dir], sequence numbers
  std::array<std::uint32_t, 2> last_seq_{};
  std::array<bytes, 2> last_text_;  // [dir]
  std::array<bool, 2> has_offered_{};
  bool is_next_cut_ = false;
  bool is_next_fragmented_ = false;
};

control_connection::control_connection(court& from, unsigned settings)
    : hosts_((settings & is_ipv6) != 0 ? ipv6_hosts : ipv4_hosts),
      is_ipv6_((settings & is_ipv6) != 0),
      summed_((settings & is_unverified) != 0 ? ip_summed::none : ip_summed::unnecessary),
      all_(from,
           {.has_ftp = true, .is_ftp_loose = (settings & is_loose) != 0},
           {},
           (settings & has_events) != 0) {
  if ((settings & has_acct) != 0) all_.set_sysctl("acct", "1");
  if ((settings & has_no_handshake) != 0) return;
  say(dir::original, {}, bit::syn);
  say(dir::reply, {}, bit::syn | bit::ack);
  say(dir::original, {}, bit::ack);
  // The first line of each side is never read: it only tells where the next one begins.
  say(dir::reply, bytes_of("220 x\r\n"));
  say(dir::original, bytes_of("USER x\r\n"));
}

void control_connection::say(dir d, const bytes& text, std::uint8_t flags) {
  const std::size_t i = index(d);
  last_seq_[i] = next_[i];
  last_text_[i] = text;
  send_segment(d, next_[i], text, flags);
  const bool counts_one = (flags & (bit::syn | bit::fin)) != 0;
  next_[i] += static_cast<std::uint32_t>(text.size()) + (counts_one ? 1 : 0);
}

void control_connection::send_segment(dir d,
                                      std::uint32_t seq,
                                      const bytes& text,
                                      std::uint8_t flags) {
  if (begins_like_offer(d, text)) has_offered_[index(d)] = true;
  const bool is_out = d == dir::original;
  send(hosts_.addresses[index(d)],
       hosts_.addresses[index(!d)],
       build::tcp({.source_port = is_out ? client_port : ftp_port,
                   .dest_port = is_out ? ftp_port : client_port,
                   .seq = seq,
                   .ack = (flags & bit::ack) != 0 ? next_[index(!d)] : 0,
                   .flags = flags},
                  text));
}

void control_connection::send(const std::string& from, const std::string& to, build::layer4 l4) {
  constexpr std::size_t split_at = 24;  // inside a segment's text
  skb packet{.frame = {}, .link = link_type::raw, .ip_summed = summed_};
  if (std::exchange(is_next_fragmented_, false) && !is_ipv6_ && l4.data.size() > split_at) {
    build::finish_checksum(l4, build::addr(from), build::addr(to), 4);
    const auto at = l4.data.begin() + split_at;
    all_.add(packet,
             build::ipv4({.src = from, .dst = to, .more_fragments = true},
                         build::other(l4.protonum, {l4.data.begin(), at})));
    all_.add(packet,
             build::ipv4({.src = from, .dst = to, .fragment_offset = split_at / 8},
                         build::other(l4.protonum, {at, l4.data.end()})));
    return;
  }
  const bytes ip = is_ipv6_ ? build::ipv6({.src = from, .dst = to}, std::move(l4))
                            : build::ipv4({.src = from, .dst = to}, std::move(l4));
  const bool is_cut = std::exchange(is_next_cut_, false);
  packet.wire_bytes = static_cast<std::uint32_t>(ip.size());
  all_.add(packet, std::span(ip).first(ip.size() - (is_cut ? 1 : 0)));
}

/// One that is well formed, of either form, of its sender or of a third host.
bytes control_connection::offer(dir d, input_reader& input) const {
  const unsigned form = input.u8();
  const unsigned port = input.u16();
  const std::string& host = (form & 2) != 0 ? hosts_.third : hosts_.addresses[index(d)];
  const bool is_extended = (form & 1) != 0 || is_ipv6_;
  std::string text;
  if (d == dir::original) {
    text = is_extended
               ? fmt::format("EPRT |{}|{}|{}|\r\n", is_ipv6_ ? 2 : 1, host, port)
               : fmt::format("PORT {},{},{}\r\n", with_commas(host), port >> 8, port & 0xff);
  } else {
    text =
        is_extended
            ? fmt::format("229 Extended (|||{}|)\r\n", port)
            : fmt::format("227 Passive ({},{},{})\r\n", with_commas(host), port >> 8, port & 0xff);
  }
  if ((form & 4) != 0) text.resize(std::min<std::size_t>(text.size(), input.u8()));
  if ((form & 8) != 0 && !text.empty()) text[input.u8() % text.size()] = '9';
  return bytes_of(text);
}

/// A connection that is expected, or one from a third host that is not.
void control_connection::connect(input_reader& input) {
  const unsigned choice = input.u8();
  judge_expectations();
  const std::vector<expect> expected = all_.expectations();
  if (expected.empty()) return;
  const expect& one = expected.front();
  const auto named = [&](const address& addr) -> const std::string& {
    for (const std::string& host : hosts_.addresses) {
      if (build::addr(host) == addr) return host;
    }
    return hosts_.third;
  };
  const std::string from = (choice & 1) != 0 ? hosts_.third : named(one.tuple.src.addr);
  const std::string to = named(one.tuple.dst.addr);
  const auto port = static_cast<std::uint16_t>(50000 + choice);
  const auto wanted = one.tuple.dst.id;
  send(from,
       to,
       build::tcp({.source_port = port, .dest_port = wanted, .seq = 1, .flags = bit::syn}));
  if ((choice & 2) == 0) return;
  send(to,
       from,
       build::tcp({.source_port = wanted,
                   .dest_port = port,
                   .seq = 7,
                   .ack = 2,
                   .flags = bit::syn | bit::ack}));
}

void control_connection::other_step(dir d, input_reader& input) {
  switch (input.below(6)) {
    case 0:
      next_[index(d)] += static_cast<std::uint32_t>(static_cast<std::int8_t>(input.u8()));
      return;
    case 1:
      return say(d, {}, bit::fin | bit::ack);
    case 2:
      return send_segment(d, next_[index(d)], {}, bit::rst);
    case 3:
      is_next_cut_ = true;
      return;
    case 4:
      is_next_fragmented_ = true;
      return;
    default: {
      // Whatever a packet said so far; its expectations go with the entry.
      all_.each([](ct_system&, cpu& on) {
        (void)on.kill_if([](const conn& c) { return !c.helper.empty(); });
      });
      return;
    }
  }
}

void control_connection::play(input_reader& input) {
  for (std::size_t i = 0; i < steps_max && !input.is_empty() && !all_.has_finding(); ++i) {
    const unsigned step = input.u8();
    const dir d = (step & 1) == 0 ? dir::original : dir::reply;
    const auto text = [&input](std::size_t length) {
      const auto taken = input.bytes(length);
      return bytes(taken.begin(), taken.end());
    };
    switch (static_cast<step_kind>(step >> 1 & 7)) {
      case step_kind::text:
      case step_kind::text_too:
        say(d, text(input.u8()));
        break;
      case step_kind::offer:
        say(d, offer(d, input));
        break;
      case step_kind::again:
        send_segment(d, last_seq_[index(d)], last_text_[index(d)], bit::psh | bit::ack);
        break;
      case step_kind::split: {
        const std::size_t at = input.u8();
        const bytes whole = offer(d, input);
        const auto middle = whole.begin() + static_cast<std::ptrdiff_t>(at % (whole.size() + 1));
        say(d, {whole.begin(), middle});
        say(d, {middle, whole.end()});
        break;
      }
      case step_kind::connect:
        connect(input);
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

void control_connection::judge_expectations() {
  const address client = build::addr(hosts_.addresses[0]);
  for (const expect& one : all_.expectations()) {
    const dir offered = one.tuple.src.addr == client ? dir::reply : dir::original;
    if (has_offered_[index(offered)]) continue;
    all_.finds(fmt::format("law: an expectation of port {} that the {} has not offered",
                           one.tuple.dst.id,
                           offered == dir::reply ? "server" : "client"));
  }
}

std::string control_connection::verdict() {
  judge_expectations();
  return all_.finish();
}

}  // namespace

std::string run_helper(court& from, std::span<const std::byte> input) {
  input_reader reader(input);
  control_connection all(from, reader.u8());
  all.play(reader);
  return all.verdict();
}

std::vector<input_bytes> helper_seeds(std::span<const std::string>) {
  constexpr std::array<std::string_view, 12> texts = {
      "PORT 10,0,0,1,156,64\r\n",
      "port 10,0,0,3,0,21\r\n",
      "PORT 10,0,0,1,156",
      "EPRT |1|10.0.0.1|40000|\r\n",
      "EPRT |2|fd00::1|40000|\r\n",
      "EPRT !2!::ffff:10.0.0.1!70000!\r\n",
      "PASV\r\nEPSV\r\n",
      "227 Entering Passive Mode (10,0,0,2,68,36).\r\n",
      "227 =10,0,0,2,4,1\r\n",
      "229 Entering Extended Passive Mode (|||17310|)\r\n",
      "229 (!!!0!)\r\n",
      "150 Opening\r\n"};
  std::vector<input_bytes> seeds;
  for (unsigned settings = 0; settings < 64; ++settings) {
    // Offers of either side and form, taken up, then again, split, and after a wait.
    for (unsigned form = 0; form < 4; ++form) {
      input_writer out;
      out.u8(settings).u8(4).u8(form).u16(40000).u8(10).u8(2).u8(5).u8(form).u16(40001);
      out.u8(10).u8(0).u8(6).u8(8).u8(9).u8(form).u16(2000).u8(12).u8(form).u8(10).u8(2);
      seeds.push_back(out.done());
    }
  }
  for (unsigned i = 0; i < 4 * texts.size(); ++i) {
    const std::string_view text = texts[i % texts.size()];
    const bool is_servers = text[0] >= '0' && text[0] <= '9';
    input_writer out;
    out.u8(static_cast<unsigned>(i / texts.size()) | (i % 2 == 0 ? has_events : has_acct));
    for (int times = 0; times < 2; ++times) {
      out.u8(is_servers ? 1 : 0).u8(static_cast<unsigned>(text.size())).bytes(bytes_of(text));
      out.u8(10).u8(2);
    }
    seeds.push_back(out.done());
  }
  return seeds;
}

}  // namespace ct::harness::fuzz
