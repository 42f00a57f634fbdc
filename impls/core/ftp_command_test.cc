// SPDX-License-Identifier: BSD-2-Clause
/// Offers of a data connection: what is read, what is not, and no byte beyond the segment.
///
/// Segments are heap blocks of their exact length, so that AddressSanitizer sees a read beyond.
/// Generated lines are judged by an oracle of regular expressions, and the oracle by readers with a
/// planted fault each.
#include "impls/core/ftp_command.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <catch2/catch.hpp>
#include <cctype>
#include <functional>
#include <optional>
#include <rapidcheck.h>
#include <regex>
#include <string>
#include <vector>

namespace ct::core {
namespace {

using status = ftp_offer_status;
using reader =
    std::function<status(const std::string& segment, dir from, l3num family, ftp_offer& out)>;

address addr(const char* text) {
  address out{};
  const bool is_ipv6 = std::string(text).find(':') != std::string::npos;
  REQUIRE(inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text, out.data()) == 1);
  return out;
}

status read(const std::string& segment, dir from, l3num family, ftp_offer& out) {
  std::vector<std::byte> exact(segment.size());
  std::ranges::transform(segment, exact.begin(), [](char c) { return static_cast<std::byte>(c); });
  return read_ftp_offer(exact, from, family, out);
}

struct answer {
  ftp_offer_status status;
  ftp_offer offer;
};
answer client(const std::string& segment, l3num family = l3num::ipv4) {
  answer a{status::none, {.addr = addr("10.1.0.2")}};
  a.status = read(segment, dir::original, family, a.offer);
  return a;
}
answer server(const std::string& segment, l3num family = l3num::ipv4) {
  answer a{status::none, {.addr = addr("10.2.0.2")}};
  a.status = read(segment, dir::reply, family, a.offer);
  return a;
}

TEST_CASE("the four offers are read, in small letters too") {
  const answer port = client("PORT 10,1,0,2,135,47\r\n");
  CHECK(port.status == status::found);
  CHECK(port.offer.addr == addr("10.1.0.2"));
  CHECK(port.offer.port == (135 << 8 | 47));
  CHECK(client("port 10,1,0,2,135,47\r\n").status == status::found);

  const answer eprt = client("EPRT |1|10.1.0.2|40561|\r\n");
  CHECK(eprt.status == status::found);
  CHECK(eprt.offer.addr == addr("10.1.0.2"));
  CHECK(eprt.offer.port == 40561);
  const answer eprt6 = client("EPRT |2|2001:db8:1::2|43771|\r\n", l3num::ipv6);
  CHECK(eprt6.status == status::found);
  CHECK(eprt6.offer.addr == addr("2001:db8:1::2"));
  CHECK(eprt6.offer.port == 43771);

  const answer pasv = server("227 Entering Passive Mode (10,2,0,2,68,36).\r\n");
  CHECK(pasv.status == status::found);
  CHECK(pasv.offer.addr == addr("10.2.0.2"));
  CHECK(pasv.offer.port == (68 << 8 | 36));
  CHECK(server("227 =10,2,0,2,68,36\r\n").status == status::found);

  const answer epsv = server("229 Entering Extended Passive Mode (|||17310|)\r\n");
  CHECK(epsv.status == status::found);
  CHECK(epsv.offer.addr == addr("10.2.0.2"));  // as it was given: the reply names none
  CHECK(epsv.offer.port == 17310);
}

TEST_CASE("each side is read for its own offers only, and only at the begin of the segment") {
  CHECK(server("PORT 10,1,0,2,135,47\r\n").status == status::none);
  CHECK(client("227 Entering Passive Mode (10,2,0,2,68,36).\r\n").status == status::none);
  CHECK(client("NOOP\r\nPORT 10,1,0,2,135,47\r\n").status == status::none);
  CHECK(client(" PORT 10,1,0,2,135,47\r\n").status == status::none);
  CHECK(client("USER anonymous\r\n").status == status::none);
  CHECK(server("230 Login successful.\r\n").status == status::none);
  CHECK(server("22 7").status == status::none);
  CHECK(client("").status == status::incomplete);  // the begin of anything
}

TEST_CASE("an offer that breaks off at any place is incomplete, never none and never found") {
  const std::vector<std::string> clients = {"PORT 10,1,0,2,135,47\r", "EPRT |1|10.1.0.2|40561|"};
  const std::vector<std::string> servers = {"227 Entering Passive Mode (10,2,0,2,68,36)",
                                            "229 Extended (|||17310|"};
  for (const std::string& line : clients) {
    for (std::size_t bytes = 1; bytes < line.size(); ++bytes) {
      INFO(line.substr(0, bytes));
      CHECK(client(line.substr(0, bytes)).status == status::incomplete);
    }
    CHECK(client(line).status == status::found);
  }
  for (const std::string& line : servers) {
    for (std::size_t bytes = 1; bytes < line.size(); ++bytes) {
      INFO(line.substr(0, bytes));
      CHECK(server(line.substr(0, bytes)).status == status::incomplete);
    }
    CHECK(server(line).status == status::found);
  }
  const std::string ipv6 = "EPRT |2|2001:db8:1::2|43771|";
  for (std::size_t bytes = 1; bytes < ipv6.size(); ++bytes) {
    CHECK(client(ipv6.substr(0, bytes), l3num::ipv6).status == status::incomplete);
  }
}

TEST_CASE("an offer that makes no sense is incomplete") {
  for (const char* line : {"PORT 10,1,0,2,135\r\n",
                           "PORT 10,1,0,2,135,47,9\r\n",
                           "PORT 10,1,0,2,135,47 \r\n",
                           "PORT 10.1.0.2.135.47\r\n",
                           "PORT10,1,0,2,135,47\r\n",
                           "EPRT |2|10.1.0.2|40561|\r\n",
                           "EPRT |1|10.1.0.2|0|\r\n",
                           "EPRT |1|10.1.0.2|40561\r\n",
                           "EPRT 1110.1.0.2140561|\r\n",
                           "EPRT |1!10.1.0.2|40561|\r\n",
                           "EPRT |1|10.1.0|40561|\r\n"}) {
    INFO(line);
    CHECK(client(line).status == status::incomplete);
  }
  for (const char* line :
       {"EPRT |1|10.1.0.2|40561|\r\n",
        "EPRT |2|2001:db8:::2|40561|\r\n",
        "EPRT |2||40561|\r\n",
        "EPRT |2|1111:2222:3333:4444:5555:6666:7777:8888:9999|40561|\r\n",
        "EPRT |2|1111:2222:3333:4444:5555:6666:7777:88888888888888888888888|1|"}) {
    INFO(line);
    CHECK(client(line, l3num::ipv6).status == status::incomplete);
  }
  for (const char* line : {"227 Entering Passive Mode.\r\n",
                           "227 (10,2,0,2,68)\r\n",
                           "229 |||17310|\r\n",
                           "229 (||17310|)\r\n",
                           "229 (|||0|)\r\n",
                           "229 (|1||17310|)\r\n"}) {
    INFO(line);
    CHECK(server(line).status == status::incomplete);
  }
}

TEST_CASE("numbers wrap as Linux lets them") {
  CHECK(client("EPRT |1|10.1.0.2|65557|\r\n").offer.port == 21);
  CHECK(client("PORT 10,1,0,2,256,21\r\n").offer.port == 21);
  CHECK(client("PORT 10,1,0,258,0,21\r\n").offer.addr == addr("10.1.1.2"));
  CHECK(client("PORT 4294967306,1,0,2,0,21\r\n").offer.addr == addr("10.1.0.2"));
  CHECK(client("PORT 10,1,0,2,,21\r\n").status == status::found);  // nothing is zero
}

TEST_CASE("PORT over IPv6 writes four bytes of an address that no IPv6 host has") {
  answer a{status::none, {.addr = addr("2001:db8:1::2")}};
  a.status = read("PORT 10,1,0,2,135,47\r\n", dir::original, l3num::ipv6, a.offer);
  CHECK(a.status == status::found);
  CHECK(a.offer.addr != addr("2001:db8:1::2"));
}

TEST_CASE("whatever the bytes are, no read passes them") {
  const bool holds = rc::check("arbitrary bytes, and offers cut and changed anywhere", [] {
    const std::vector<std::string> seeds = {"",
                                            "PORT 10,1,0,2,135,47\r\n",
                                            "EPRT |1|10.1.0.2|40561|\r\n",
                                            "EPRT |2|2001:db8:1::2|43771|\r\n",
                                            "227 Entering Passive Mode (10,2,0,2,68,36).\r\n",
                                            "229 Extended (|||17310|)\r\n"};
    std::string segment = *rc::gen::elementOf(seeds);
    if (segment.empty()) segment = *rc::gen::arbitrary<std::string>();
    if (!segment.empty()) {
      segment.resize(*rc::gen::inRange<std::size_t>(0, segment.size() + 1));
      const auto changes = *rc::gen::inRange(0, 4);
      for (int i = 0; i < changes && !segment.empty(); ++i) {
        segment[*rc::gen::inRange<std::size_t>(0, segment.size())] =
            *rc::gen::oneOf(rc::gen::arbitrary<char>(),
                            rc::gen::elementOf(std::string("|,.()\r 9")));
      }
    }
    const dir from = *rc::gen::element(dir::original, dir::reply);
    const l3num family = *rc::gen::element(l3num::ipv4, l3num::ipv6);
    ftp_offer offer;
    const status read_as = read(segment, from, family, offer);
    // Found needs a port's digits and what ends them, so never less than nine characters.
    RC_ASSERT(read_as != status::found || segment.size() >= 9);
    // Reading again gives the same.
    ftp_offer again;
    RC_ASSERT(read(segment, from, family, again) == read_as);
    RC_ASSERT(again.addr == offer.addr && again.port == offer.port);
  });
  CHECK(holds);
}

// --- the oracle: regular expressions of well-formed IPv4 offers
// -----------------------------------

struct expected {
  ftp_offer_status status = status::none;
  std::uint32_t host = 0;
  std::uint16_t port = 0;
};

expected by_regex(const std::string& segment, dir from) {
  const auto options = std::regex::icase | std::regex::ECMAScript;
  static const std::regex port_line(
      "^PORT[^ ]* (\\d+),(\\d+),(\\d+),(\\d+),(\\d+),(\\d+)\\r[\\s\\S]*",
      options);
  static const std::regex eprt_line(
      "^EPRT[^ ]* ([^\\d\\s])1\\1(\\d+)\\.(\\d+)\\.(\\d+)\\.(\\d+)\\1(\\d+)\\1[\\s\\S]*",
      options);
  static const std::regex begins("^(PORT|EPRT)[\\s\\S]*", options);
  std::smatch m;
  const auto number = [&](std::size_t i) { return static_cast<std::uint32_t>(std::stoul(m[i])); };
  const auto host = [&](std::size_t i) {
    return number(i) << 24 | number(i + 1) << 16 | number(i + 2) << 8 | number(i + 3);
  };
  if (from != dir::original || !std::regex_match(segment, begins)) return {};
  if (std::regex_match(segment, m, port_line)) {
    return {status::found, host(1), static_cast<std::uint16_t>(number(5) << 8 | number(6))};
  }
  if (std::regex_match(segment, m, eprt_line) && number(6) != 0) {
    return {status::found, host(2), static_cast<std::uint16_t>(number(6))};
  }
  return {status::incomplete, 0, 0};
}

/// A line that a client may send: right, or wrong in one place.
rc::Gen<std::string> lines() {
  return rc::gen::exec([] {
    const auto byte = [] { return std::to_string(*rc::gen::inRange(0, 256)); };
    std::string line = *rc::gen::element(std::string("PORT "), std::string("port "));
    for (int i = 0; i < 6; ++i) line += byte() + (i < 5 ? "," : "\r\n");
    if (*rc::gen::arbitrary<bool>()) {
      line = "EPRT |1|" + byte() + "." + byte() + "." + byte() + "." + byte() + "|";
      line += std::to_string(*rc::gen::inRange(0, 65536)) + "|\r\n";
    }
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        line.resize(*rc::gen::inRange<std::size_t>(5, line.size()));
        break;
      case 1:
        line[*rc::gen::inRange<std::size_t>(5, line.size())] =
            *rc::gen::elementOf(std::string("x,.;"));
        break;
      case 2:
        line = "NOOP\r\n" + line;
        break;
      default:
        break;
    }
    return line;
  });
}

/// The first line on which a reader and the oracle differ; nothing: none of `count`.
///
/// Seeded by the count, not by RapidCheck's check(), which would print a failure that is wanted.
std::optional<std::string> first_difference(const reader& read_line, int count) {
  rc::Random random(static_cast<std::uint64_t>(count));
  for (int i = 0; i < count; ++i) {
    const std::string line = lines()(random.split(), 100).value();
    ftp_offer offer;
    const status got = read_line(line, dir::original, l3num::ipv4, offer);
    const expected want = by_regex(line, dir::original);
    std::uint32_t host = 0;
    for (std::size_t b = 0; b < 4; ++b) host = host << 8 | offer.addr[b];
    const bool is_same = got == want.status &&
                         (got != status::found || (host == want.host && offer.port == want.port));
    if (!is_same) return line;
  }
  return std::nullopt;
}

TEST_CASE("the reader agrees with an oracle of regular expressions, which finds planted faults") {
  constexpr int count = 2000;
  CHECK(first_difference(read, count).value_or("") == "");

  const std::vector<reader> faulty = {
      // capitals only
      [](const std::string& s, dir d, l3num f, ftp_offer& o) {
        return std::islower(static_cast<unsigned char>(s[0])) != 0 ? status::none
                                                                   : read(s, d, f, o);
      },
      // what breaks off is nobody's business
      [](const std::string& s, dir d, l3num f, ftp_offer& o) {
        const status got = read(s, d, f, o);
        return got == status::incomplete ? status::none : got;
      },
      // an offer anywhere in the segment
      [](const std::string& s, dir d, l3num f, ftp_offer& o) {
        const std::size_t at = s.find("\r\n");
        return read(at != std::string::npos && at + 2 < s.size() ? s.substr(at + 2) : s, d, f, o);
      },
      // the halves of the port exchanged
      [](const std::string& s, dir d, l3num f, ftp_offer& o) {
        const status got = read(s, d, f, o);
        o.port = static_cast<std::uint16_t>(o.port << 8 | o.port >> 8);
        return got;
      },
      // the line need not end
      [](const std::string& s, dir d, l3num f, ftp_offer& o) { return read(s + "\r\n", d, f, o); },
  };
  for (std::size_t i = 0; i < faulty.size(); ++i) {
    INFO("fault " << i);
    CHECK(first_difference(faulty[i], count).has_value());
  }
}

}  // namespace
}  // namespace ct::core
