// SPDX-License-Identifier: BSD-2-Clause
/// A cursor over the line, and a reader for each of the four forms.
#include "impls/core/ftp_command.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <optional>
#include <string_view>

namespace ct::core {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// What is left of the segment; every step checks that there is something.
class cursor {
 public:
  explicit cursor(std::string_view text) : left_(text) {}

  std::size_t size() const { return left_.size(); }
  std::string_view left() const { return left_; }
  char peek() const { return left_.front(); }
  void skip(std::size_t count) { left_.remove_prefix(std::min(count, left_.size())); }
  /// Behind the first `wanted`. False: there is none.
  bool skip_behind(char wanted) {
    const std::size_t at = left_.find(wanted);
    if (at == std::string_view::npos) return false;
    skip(at + 1);
    return true;
  }

 private:
  std::string_view left_;
};

/// `Count` decimal numbers with `separator` between them, up to what ends the last one: `end`, or
/// whatever is no digit if `end` is nothing. Empty numbers are zero, large ones wrap at 2^32.
template <std::size_t Count>
std::optional<std::array<std::uint32_t, Count>> read_numbers(cursor& at,
                                                             char separator,
                                                             std::optional<char> end) {
  std::array<std::uint32_t, Count> numbers{};
  for (std::size_t i = 0; at.size() > 0; at.skip(1)) {
    const char c = at.peek();
    if (is_digit(c)) {
      numbers[i] = numbers[i] * 10 + static_cast<std::uint32_t>(c - '0');
    } else if (c == separator) {
      if (++i == Count) return std::nullopt;
    } else {
      if (i != Count - 1 || (end && c != *end)) return std::nullopt;
      return numbers;
    }
  }
  return std::nullopt;
}

void put_ipv4(address& out, const std::uint32_t* numbers) {
  const std::uint32_t host = numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3];
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(host >> (24 - 8 * i));
}

/// "10,1,0,2,135,47": address and port, a byte a number.
bool read_host_port(cursor at, std::optional<char> end, ftp_offer& out) {
  const auto numbers = read_numbers<6>(at, ',', end);
  if (!numbers) return false;
  put_ipv4(out.addr, numbers->data());
  out.port = static_cast<std::uint16_t>((*numbers)[4] << 8 | (*numbers)[5]);
  return true;
}

/// A port other than 0, and `delimiter` behind it. Wraps at 2^16.
bool read_port(cursor at, char delimiter, ftp_offer& out) {
  std::uint16_t port = 0;
  for (; at.size() > 0; at.skip(1)) {
    const char c = at.peek();
    if (c == delimiter) {
      out.port = port;
      return port != 0;
    }
    if (!is_digit(c)) return false;
    port = static_cast<std::uint16_t>(port * 10 + (c - '0'));
  }
  return false;
}

constexpr bool is_delimiter(char c) { return c >= 33 && c <= 126 && !is_digit(c); }

/// An IPv6 address up to `delimiter` (or a zero byte), which it skips as well.
bool read_ipv6(cursor& at, char delimiter, address& out) {
  const std::string_view text = at.left();
  const std::size_t length = std::min({text.find(delimiter), text.find('\0'), text.size()});
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (length == 0 || length >= terminated.size()) return false;
  std::ranges::copy(text.substr(0, length), terminated.begin());
  address read{};
  if (inet_pton(AF_INET6, terminated.data(), read.data()) != 1) return false;
  out = read;
  at.skip(length + 1);
  return true;
}

/// PORT: behind the first space.
bool read_port_command(cursor at, l3num, ftp_offer& out) {
  return at.skip_behind(' ') && read_host_port(at, '\r', out);
}

/// EPRT |1|10.1.0.2|40561| or EPRT |2|2001:db8::1|40561|
bool read_eprt_command(cursor at, l3num family, ftp_offer& out) {
  if (!at.skip_behind(' ') || at.size() <= 3) return false;
  const char delimiter = at.peek();
  const char protocol = at.left()[1];
  const bool is_ipv6 = family == l3num::ipv6;
  if (!is_delimiter(delimiter) || at.left()[2] != delimiter || protocol != (is_ipv6 ? '2' : '1')) {
    return false;
  }
  at.skip(3);
  if (is_ipv6) {
    if (!read_ipv6(at, delimiter, out.addr)) return false;
  } else {
    const auto numbers = read_numbers<4>(at, '.', delimiter);
    if (!numbers) return false;
    put_ipv4(out.addr, numbers->data());
    at.skip(1);
  }
  return read_port(at, delimiter, out);
}

/// 227 Entering Passive Mode (10,2,0,2,68,36): from the first digit on.
bool read_pasv_reply(cursor at, l3num, ftp_offer& out) {
  while (at.size() > 0 && !is_digit(at.peek())) at.skip(1);
  return read_host_port(at, std::nullopt, out);
}

/// 229 Entering Extended Passive Mode (|||17310|)
bool read_epsv_reply(cursor at, l3num, ftp_offer& out) {
  if (!at.skip_behind('(') || at.size() <= 3) return false;
  const char delimiter = at.peek();
  if (!is_delimiter(delimiter) || at.left()[1] != delimiter || at.left()[2] != delimiter) {
    return false;
  }
  at.skip(3);
  return read_port(at, delimiter, out);
}

struct form {
  std::string_view begin;  // in small letters
  bool (*read)(cursor behind, l3num family, ftp_offer& out);
};
constexpr std::array<std::array<form, 2>, 2> forms = {{
    {{{"port", read_port_command}, {"eprt", read_eprt_command}}},
    {{{"227 ", read_pasv_reply}, {"229 ", read_epsv_reply}}},
}};

}  // namespace

ftp_offer_status read_ftp_offer(std::span<const std::byte> segment,
                                dir from,
                                l3num family,
                                ftp_offer& out) noexcept {
  const std::string_view text(reinterpret_cast<const char*>(segment.data()), segment.size());
  for (const form& f : forms[index(from)]) {
    const std::size_t common = std::min(text.size(), f.begin.size());
    const bool begins_alike =
        std::ranges::equal(text.substr(0, common), f.begin.substr(0, common), {}, lower);
    if (!begins_alike) continue;
    // A segment that ends with the word, or within it, leaves open what was meant.
    if (text.size() <= f.begin.size()) return ftp_offer_status::incomplete;
    return f.read(cursor(text.substr(f.begin.size())), family, out) ? ftp_offer_status::found
                                                                    : ftp_offer_status::incomplete;
  }
  return ftp_offer_status::none;
}

}  // namespace ct::core
