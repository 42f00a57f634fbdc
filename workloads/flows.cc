// SPDX-License-Identifier: BSD-2-Clause
/// See workloads/flows.h.
#include "workloads/flows.h"

#include <numeric>
#include <utility>

namespace ct::workloads {
namespace {

constexpr unsigned pool_shift = 29;
static_assert(std::size_t{1} << pool_shift == flows_per_pool);
static_assert((static_cast<unsigned>(flow_pool::traffic) + 1) << pool_shift != 0,
              "pools fit 32 bits");

/// The client's number: 14 bits of port, 18 bits of host.
constexpr unsigned port_bits = 14;
constexpr std::uint32_t first_port = 32768;
static_assert(first_port + (1U << port_bits) <= 65536);

constexpr std::size_t server_count = 1024;

/// A permutation of the 32-bit numbers: every step can be undone.
constexpr std::uint32_t scatter(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  x ^= x >> 16;
  return x;
}

void put_low32(address& to, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) {
    to[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i) & 0xff);
  }
}

address ipv4_address(std::uint32_t value) {
  address out{};
  put_low32(out, 0, value);
  return out;
}

address ipv6_address(std::uint8_t network, std::uint32_t host) {
  address out{0x20, 0x01, 0x0d, 0xb8, 0, network};
  put_low32(out, 12, host);
  return out;
}

}  // namespace

tuple flow_source::original(flow_pool pool, std::size_t i) const noexcept {
  const auto number = static_cast<std::uint32_t>(static_cast<std::size_t>(pool) << pool_shift | i);
  const std::uint32_t client = scatter(scatter(number ^ static_cast<std::uint32_t>(seed_)) ^
                                       static_cast<std::uint32_t>(seed_ >> 32));
  const std::uint32_t host = client >> port_bits;
  random_source choice(seed_ ^ std::uint64_t{client} << 32);
  const bool is_ipv6 = choice.below(100) < mix_.ipv6;
  const bool is_udp = choice.below(100) < mix_.udp;
  const std::uint32_t server = choice.below(server_count);

  tuple out;
  out.src.l3num = is_ipv6 ? l3num::ipv6 : l3num::ipv4;
  out.src.addr = is_ipv6 ? ipv6_address(0x0c, host) : ipv4_address(10U << 24 | host);
  out.src.id = static_cast<std::uint16_t>(first_port + (client & ((1U << port_bits) - 1)));
  out.dst.addr =
      is_ipv6 ? ipv6_address(0x05, server) : ipv4_address(198U << 24 | 18U << 16 | server);
  out.dst.protonum = is_udp ? ipproto::udp : ipproto::tcp;
  out.dst.id = is_udp ? std::uint16_t{53} : std::uint16_t{443};
  return out;
}

std::vector<tuple> flow_source::originals(flow_pool pool,
                                          std::size_t first,
                                          std::size_t count) const {
  std::vector<tuple> out;
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.push_back(original(pool, first + i));
  return out;
}

tuple reply_of(const tuple& original) noexcept {
  tuple out;
  out.src.addr = original.dst.addr;
  out.src.id = original.dst.id;
  out.src.l3num = original.src.l3num;
  out.dst.addr = original.src.addr;
  out.dst.id = original.src.id;
  out.dst.protonum = original.dst.protonum;
  out.dst.dir = !original.dst.dir;
  return out;
}

std::vector<std::uint32_t> shuffled(std::size_t count, std::uint64_t seed) {
  std::vector<std::uint32_t> out(count);
  std::iota(out.begin(), out.end(), 0U);
  random_source random(seed);
  for (std::size_t left = count; left > 1; --left) {
    std::swap(out[left - 1], out[random.below(static_cast<std::uint32_t>(left))]);
  }
  return out;
}

}  // namespace ct::workloads
