// SPDX-License-Identifier: BSD-2-Clause
/// Captures that are whole, cut at every length, gzipped, of other formats, or none.
#include "workloads/capture.h"

#include "workloads/capture_maker.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace ct::workloads {
namespace {

using testing::gzipped;
using testing::made_packet;
using testing::make_pcap;
using testing::make_pcapng;
using testing::make_pcapng_head;
using testing::scratch;

const std::vector<made_packet> three = {
    {1'700'000'000'123'456'789, "first frame"},
    {1'700'000'001'000'000'001, "x", 1500},
    {1'700'000'001'999'999'999, std::string(300, 'z')},
};

struct read_all {
  std::vector<made_packet> packets;
  std::string damage;
};

read_all read(const std::string& path, std::size_t most = batch_packets_max) {
  capture from(path);
  read_all all;
  for (;;) {
    const auto batch = from.next(most);
    if (batch.empty()) break;
    for (const captured_packet& packet : batch) {
      const auto* first = reinterpret_cast<const char*>(packet.frame.data());
      all.packets.push_back({packet.time_ns, {first, packet.frame.size()}, packet.wire_bytes});
    }
  }
  CHECK(from.packet_count() == all.packets.size());
  CHECK(from.next(most).empty());  // the end stays the end
  all.damage = from.damage();
  return all;
}

void expect_three(const read_all& all) {
  REQUIRE(all.packets.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(all.packets[i].frame == three[i].frame);
    CHECK(all.packets[i].time_ns == three[i].time_ns);
  }
  CHECK(all.packets[0].wire_bytes == 11);
  CHECK(all.packets[1].wire_bytes == 1500);
  CHECK(all.damage.empty());
}

std::string refusal(const std::string& path) {
  try {
    const capture from(path);
  } catch (const input_error& error) {
    return error.what();
  }
  return "accepted";
}

TEST_CASE("pcap and pcapng with nanoseconds are read exactly, gzipped or not") {
  const scratch files;
  for (const std::string& bytes : {make_pcap(three), make_pcapng(three)}) {
    expect_three(read(files.write("plain", bytes)));
    expect_three(read(files.write("packed", gzipped(bytes))));
  }
}

TEST_CASE("a gzip file of several members is read to its end") {
  const scratch files;
  const std::string bytes = make_pcap(three);
  expect_three(read(files.write("two", gzipped(bytes.substr(0, 30)) + gzipped(bytes.substr(30)))));
}

TEST_CASE("microsecond stamps lose what they do not hold and nothing else") {
  const scratch files;
  const read_all all = read(files.write("micro", make_pcap(three, 1, false)));
  REQUIRE(all.packets.size() == 3);
  CHECK(all.packets[0].time_ns == 1'700'000'000'123'456'000);
  CHECK(all.packets[2].time_ns == 1'700'000'001'999'999'000);
}

TEST_CASE("standard input is read as a file is, gzipped too") {
  const scratch files;
  for (const std::string& bytes : {make_pcap(three), gzipped(make_pcapng(three))}) {
    const testing::stdin_from input(files.write("in", bytes));
    expect_three(read("-"));
  }
}

TEST_CASE("the size of a batch changes nothing") {
  const scratch files;
  std::vector<made_packet> many;
  for (int i = 0; i < 1000; ++i) many.push_back({i, "frame " + std::to_string(i)});
  const std::string path = files.write("many", make_pcap(many));
  for (const std::size_t most : {std::size_t{1}, std::size_t{7}, std::size_t{256}}) {
    const read_all all = read(path, most);
    REQUIRE(all.packets.size() == 1000);
    for (std::size_t i = 0; i < 1000; ++i) REQUIRE(all.packets[i].frame == many[i].frame);
  }
}

TEST_CASE("a batch ends early when its frames are large") {
  const scratch files;
  const std::vector<made_packet> large(60, {0, std::string(60'000, 'j')});
  capture from(files.write("large", make_pcap(large)));
  const std::size_t first = from.next().size();
  CHECK(first < 60);
  CHECK(first * 60'000 < batch_bytes_max + 60'000);
}

/// Cuts `bytes` at every offset. `ends` are the offsets at which a packet (or the header) is
/// complete: a cut there cannot be seen, a cut anywhere else must be named with the number of the
/// packet before it.
void cut_everywhere(const std::string& bytes, const std::vector<std::size_t>& ends) {
  const scratch files;
  for (std::size_t at = 4; at < bytes.size(); ++at) {
    INFO("cut at " << at);
    const read_all all = read(files.write("cut", bytes.substr(0, at)));
    std::size_t whole = 0;
    bool is_boundary = false;
    for (const std::size_t end : ends) {
      if (end <= at && end != ends.front()) ++whole;
      is_boundary = is_boundary || end == at;
    }
    REQUIRE(all.packets.size() == whole);
    for (std::size_t i = 0; i < whole; ++i) REQUIRE(all.packets[i].frame == three[i].frame);
    if (is_boundary) {
      REQUIRE(all.damage.empty());
    } else {
      const std::string named = "cut after packet " + std::to_string(whole) + " (";
      REQUIRE_THAT(all.damage, Catch::Contains(named));
      REQUIRE_THAT(all.damage, Catch::StartsWith("capture " + files.path("cut")));
    }
  }
}

TEST_CASE("a pcap cut at any byte gives its whole packets and names its end") {
  std::vector<std::size_t> ends;
  for (std::size_t count = 0; count <= 3; ++count) {
    ends.push_back(
        make_pcap({three.begin(), three.begin() + static_cast<std::ptrdiff_t>(count)}).size());
  }
  cut_everywhere(make_pcap(three), ends);
}

TEST_CASE("a pcapng cut at any byte gives its whole packets and names its end") {
  std::vector<std::size_t> ends;
  for (std::size_t count = 0; count <= 3; ++count) {
    ends.push_back(
        make_pcapng({three.begin(), three.begin() + static_cast<std::ptrdiff_t>(count)}).size());
  }
  cut_everywhere(make_pcapng(three), ends);
}

TEST_CASE("a gzipped capture cut at any byte is never taken for whole") {
  const scratch files;
  const std::string bytes = gzipped(make_pcap(three));
  for (std::size_t at = 2; at < bytes.size(); ++at) {
    INFO("cut at " << at);
    const std::string path = files.write("cut.gz", bytes.substr(0, at));
    const std::string error = refusal(path);
    if (error != "accepted") continue;  // not even a magic number: refused, which is as good
    const read_all all = read(path);
    REQUIRE_THAT(all.damage, Catch::Contains("cut after packet"));
    REQUIRE_THAT(all.damage, Catch::Contains("gzip stream ends early"));
    for (std::size_t i = 0; i < all.packets.size(); ++i) {
      REQUIRE(all.packets[i].frame == three[i].frame);
    }
  }
}

TEST_CASE("bytes that no packet can have are damage, named with what libpcap says") {
  const scratch files;
  std::string bytes = make_pcap(three);
  const std::size_t second = make_pcap({three[0]}).size();
  for (std::size_t i = 8; i < 12; ++i) bytes[second + i] = '\x7f';  // captured length of packet 2
  const read_all all = read(files.write("damaged", bytes));
  CHECK(all.packets.size() == 1);
  CHECK_THAT(all.damage, Catch::Contains("damaged after packet 1 (libpcap: "));

  std::string packed = gzipped(make_pcap(std::vector<made_packet>(50'000, three[0])));
  packed[packed.size() - 6] = static_cast<char>(packed[packed.size() - 6] ^ 0x55);  // the checksum
  CHECK_THAT(read(files.write("damaged.gz", packed)).damage,
             Catch::Contains("damaged after packet") &&
                 Catch::Contains("(gzip: incorrect data check); record or copy it again"));
}

TEST_CASE("what is no capture is refused in one line that says what and what to do") {
  const scratch files;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {files.path("missing"), "No such file or directory; name a pcap"},
      {files.path(""), "is a directory; name the captures inside it"},
      {files.write("empty", ""), "is empty; record one with: tcpdump"},
      {files.write("empty.gz", gzipped("")), "is empty; record one with: tcpdump"},
      {files.write("text", "Hello, world\n"), "begins with the text \"Hell\"; record one"},
      {files.write("text.gz", gzipped("Hello, world\n")), "begins with the text \"Hell\""},
      {files.write("short", "\n"), "begins with the bytes 0a; record one"},
      {files.write("zeros", std::string(100, '\0')), "begins with the bytes 00000000"},
      {files.write("ppp", make_pcap(three, 9)), "link type PPP"},
      {files.write("wlan", make_pcapng(three, 105)),
       "link type IEEE802_11 (802.11) is not understood"},
  };
  for (const auto& [path, what] : cases) {
    const std::string said = refusal(path);
    CHECK_THAT(said, Catch::StartsWith("capture " + path + ": "));
    CHECK_THAT(said, Catch::Contains(what));
    CHECK(said.find('\n') == std::string::npos);
    CHECK_THROWS_AS(expect_usable(path), input_error);
  }
  CHECK_NOTHROW(expect_usable(files.write("good", make_pcap(three))));
}

TEST_CASE("the link types of the contract are told apart, raw IP under each of its numbers") {
  const scratch files;
  for (const std::uint32_t number : {0U, 1U, 101U, 108U, 113U, 228U, 229U, 276U}) {
    const capture from(files.write("link", make_pcap(three, number)));
    CHECK(static_cast<std::uint32_t>(from.link()) == number);
  }
}

TEST_CASE("a capture without packets is whole") {
  const scratch files;
  for (const std::string& bytes : {make_pcap({}), make_pcapng_head()}) {
    const read_all all = read(files.write("none", bytes));
    CHECK(all.packets.empty());
    CHECK(all.damage.empty());
  }
}

TEST_CASE("reading tells how much of the file it has seen") {
  const scratch files;
  const std::string bytes = make_pcap(three);
  capture from(files.write("sized", bytes));
  CHECK(from.bytes_total() == bytes.size());
  while (!from.next().empty()) {
  }
  CHECK(from.bytes_read() == bytes.size());
}

}  // namespace
}  // namespace ct::workloads
