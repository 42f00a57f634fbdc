// SPDX-License-Identifier: BSD-2-Clause
/// Devices and routes by the old ioctls: three calls, no rtnetlink.
#include "impls/linux/packet_path.h"

#include "impls/linux/ruleset.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <initializer_list>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace ct::live {
namespace {

constexpr const char* in_name = "ctb-in";
constexpr const char* out_name = "ctb-out";
constexpr std::size_t ipv4_header_bytes = 20;
constexpr std::size_t ipv6_header_bytes = 40;
constexpr unsigned fragment_header = 44;  // next header of IPv6

/// A UDP packet between two addresses for tests of devices (RFC 2544), without payload.
constexpr std::array<unsigned char, 28> marker = {0x45, untracked_request << 2,
                                                  0,    28,
                                                  0,    0,
                                                  0,    0,
                                                  64,   17,
                                                  0,    0,
                                                  198,  18,
                                                  255,  253,
                                                  198,  18,
                                                  255,  254,
                                                  0x10, 0,
                                                  0x10, 0,
                                                  0,    8,
                                                  0,    0};

unsigned byte_at(std::span<const std::byte> bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]);
}

/// RFC 1624, equation 3: the header checksum at 10 after the 16-bit word at `at` has changed.
void change_word(std::span<std::byte> ip, std::size_t at, unsigned value) {
  const auto word = [&ip](std::size_t i) { return byte_at(ip, i) << 8 | byte_at(ip, i + 1); };
  const auto put = [&ip](std::size_t i, unsigned to) {
    ip[i] = static_cast<std::byte>(to >> 8 & 0xff);
    ip[i + 1] = static_cast<std::byte>(to & 0xff);
  };
  unsigned sum = (~word(10) & 0xffff) + (~word(at) & 0xffff) + value;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  put(10, ~sum & 0xffff);
  put(at, value);
}

unsigned header_checksum(std::span<const unsigned char> packet) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < ipv4_header_bytes; i += 2) sum += packet[i] * 256U + packet[i + 1];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

constexpr unsigned ttl_min = 2;
constexpr unsigned ttl_raised = 64;

void prepare_ipv4(std::span<std::byte> ip, std::uint8_t dscp) {
  const unsigned tos = static_cast<unsigned>(dscp) << 2 | (byte_at(ip, 1) & 3);
  change_word(ip, 0, byte_at(ip, 0) << 8 | tos);
  if (byte_at(ip, 8) < ttl_min) change_word(ip, 8, ttl_raised << 8 | byte_at(ip, 9));
}

void prepare_ipv6(std::span<std::byte> ip, std::uint8_t dscp) {
  const unsigned ecn = byte_at(ip, 1) >> 4 & 3;
  const unsigned traffic_class = static_cast<unsigned>(dscp) << 2 | ecn;
  ip[0] = static_cast<std::byte>(0x60 | traffic_class >> 4);
  ip[1] = static_cast<std::byte>((traffic_class & 0xf) << 4 | (byte_at(ip, 1) & 0xf));
  if (byte_at(ip, 7) < ttl_min) ip[7] = static_cast<std::byte>(ttl_raised);
}

std::uint8_t dscp_of(std::span<const std::byte> ip) {
  if (byte_at(ip, 0) >> 4 == 4) return static_cast<std::uint8_t>(byte_at(ip, 1) >> 2);
  const unsigned traffic_class = (byte_at(ip, 0) & 0xf) << 4 | byte_at(ip, 1) >> 4;
  return static_cast<std::uint8_t>(traffic_class >> 2);
}

[[noreturn]] void fail(const std::string& what) { throw not_here(what + ": " + errno_text(errno)); }

descriptor open_tun(const char* name) {
  descriptor device(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (device.get() < 0) fail("/dev/net/tun to open");
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(device.get(), TUNSETIFF, &request) != 0) fail("a TUN device");
  return device;
}

void bring_up(const descriptor& socket, const char* name) {
  ifreq request{};
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_mtu = 65535;
  if (ioctl(socket.get(), SIOCSIFMTU, &request) != 0) fail("an MTU of 65535 on a TUN device");
  request.ifr_flags = IFF_UP;
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) fail("a TUN device that comes up");
}

/// 0.0.0.0/0 and ::/0 lead to the second device.
void add_routes(const descriptor& socket) {
  rtentry route{};
  route.rt_dst.sa_family = AF_INET;
  route.rt_genmask.sa_family = AF_INET;
  route.rt_flags = RTF_UP;
  std::string device = out_name;
  route.rt_dev = device.data();
  if (ioctl(socket.get(), SIOCADDRT, &route) != 0) fail("a default route");

  const descriptor socket6(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket6.get() < 0) fail("IPv6");
  in6_rtmsg route6{};
  route6.rtmsg_metric = 1;
  route6.rtmsg_flags = RTF_UP;
  route6.rtmsg_ifindex = static_cast<int>(if_nametoindex(out_name));
  if (ioctl(socket6.get(), SIOCADDRT, &route6) != 0) fail("an IPv6 default route");
}

void write_settings(const private_netns& net) {
  const std::string in = in_name;
  for (const auto& [path, value] : std::initializer_list<std::pair<std::string, const char*>>{
           {"net/ipv4/ip_forward", "1"},
           {"net/ipv6/conf/all/forwarding", "1"},
           {"net/ipv4/conf/all/rp_filter", "0"},
           {"net/ipv4/conf/default/rp_filter", "0"},
           {"net/ipv6/conf/default/accept_dad", "0"},
           {"net/ipv6/conf/default/autoconf", "0"},
           {"net/ipv6/conf/default/addr_gen_mode", "1"},
       }) {
    const std::string error = net.write_sysctl(path, value);
    if (!error.empty()) throw not_here("/proc/sys/" + path + " to write: " + error);
  }
  // Linux counts what a fragment takes in memory, we count its bytes: neither should fill up first.
  // A user namespace may not write these; there the default stays.
  for (const char* path :
       {"net/ipv4/ipfrag_high_thresh", "net/netfilter/nf_conntrack_frag6_high_thresh"}) {
    (void)net.write_sysctl(path, "67108864");
  }
}

}  // namespace

void prepare_header(std::span<std::byte> ip, std::uint8_t dscp) noexcept {
  if (ip.size() >= ipv4_header_bytes && byte_at(ip, 0) >> 4 == 4) return prepare_ipv4(ip, dscp);
  if (ip.size() >= ipv6_header_bytes && byte_at(ip, 0) >> 4 == 6) return prepare_ipv6(ip, dscp);
}

packet_path::packet_path(const private_netns& net) {
  write_settings(net);
  net.inside([this] {
    in_ = open_tun(in_name);
    out_ = open_tun(out_name);
    const descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (socket.get() < 0) fail("a socket");
    bring_up(socket, in_name);
    bring_up(socket, out_name);
    add_routes(socket);
  });
  const std::string error =
      net.write_sysctl(std::string("net/ipv4/conf/") + in_name + "/rp_filter", "0");
  if (!error.empty()) throw not_here("rp_filter of a TUN device: " + error);
}

bool packet_path::read_packet() noexcept {
  const ssize_t bytes = read(out_.get(), came_.data(), came_.size());
  came_bytes_ = bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
  return bytes > 0;
}

bool packet_path::wait_for_packet() const noexcept {
  pollfd readable{.fd = out_.get(), .events = POLLIN, .revents = 0};
  return poll(&readable, 1, reply_ms_max) == 1;
}

bool packet_path::is_own(std::span<const std::byte> sent) const noexcept {
  const bool is_v4 = byte_at(came_, 0) >> 4 == 4;
  const std::size_t at = is_v4 ? 12 : 8;
  const std::size_t bytes = is_v4 ? 8 : 32;
  return came_bytes_ >= at + bytes && sent.size() >= at + bytes &&
         (byte_at(sent, 0) >> 4 == 4) == is_v4 &&
         std::memcmp(came_.data() + at, sent.data() + at, bytes) == 0;
}

/// The packet that was read is the one that was sent. If it is a fragment, the others of the same
/// packet, which was put together on the way, follow and tell nothing new.
passage packet_path::take() noexcept {
  const passage done = {.came_back = true, .dscp = dscp_of(came_)};
  const bool is_fragment = byte_at(came_, 0) >> 4 == 4
                               ? ((byte_at(came_, 6) & 0x3f) | byte_at(came_, 7)) != 0
                               : byte_at(came_, 6) == fragment_header;
  while (is_fragment && read_packet()) {
  }
  return done;
}

passage packet_path::send(std::span<const std::byte> ip,
                          std::size_t ip_bytes,
                          std::uint8_t dscp) noexcept {
  const std::size_t bytes = std::min(std::max(ip_bytes, ip.size()), packet_bytes_max);
  const std::size_t given = std::min(ip.size(), bytes);
  const auto end = std::ranges::copy(ip.first(given), sent_.begin()).out;
  std::fill_n(end, bytes - given, std::byte{0});
  const auto packet = std::span(sent_).first(bytes);
  prepare_header(packet, dscp);
  // What is no IP at all is refused by the device: dropped.
  if (write(in_.get(), packet.data(), bytes) < 0) return {};
  while (read_packet()) {
    if (is_own(packet)) return take();
  }
  return send_marker(packet);
}

passage packet_path::send_marker(std::span<const std::byte> sent) noexcept {
  std::array<unsigned char, marker.size()> packet = marker;
  const unsigned checksum = header_checksum(packet);
  packet[10] = static_cast<unsigned char>(checksum >> 8);
  packet[11] = static_cast<unsigned char>(checksum & 0xff);
  const auto bytes = std::as_bytes(std::span(packet));
  if (write(in_.get(), bytes.data(), bytes.size()) < 0) return {.is_broken = true};
  passage found;
  do {
    while (read_packet()) {
      if (is_own(bytes)) return found;
      if (is_own(sent)) found = take();
    }
  } while (wait_for_packet());
  return {.is_broken = true};
}

}  // namespace ct::live
