// SPDX-License-Identifier: BSD-2-Clause
/// For tests of events: one implementation with a listener that keeps what it is told, and packets
/// by a line each.
#pragma once

#include "impls/core/system_suite.h"
#include "spec/event_ledger.h"
#include "spec/events.h"
#include "spec/impl.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace ct::testing {

namespace build = core::build;
using build::bytes;
using build::tcp_bit::ack;
using build::tcp_bit::fin;
using build::tcp_bit::rst;
using build::tcp_bit::syn;
using system_test::answer;
using system_test::client;
using system_test::request;
using system_test::server;
using system_test::tcp;

inline constexpr std::uint32_t new_bit = bit(event::new_);
inline constexpr std::uint32_t destroy_bit = bit(event::destroy);
inline constexpr std::uint32_t reply_bit = bit(event::reply);
inline constexpr std::uint32_t assured_bit = bit(event::assured);
inline constexpr std::uint32_t protoinfo_bit = bit(event::protoinfo);
inline constexpr std::uint32_t mark_bit = bit(event::mark);

/// Takes or refuses, keeps what it took, and the books.
class notebook final : public listener {
 public:
  bool deliver(const event_message& m) noexcept override {
    const std::lock_guard guard(lock_);
    if (refuses && refuses(m)) {
      ++refused;
      return false;
    }
    books.add(m);
    if (keeps) taken.push_back(m);
    return true;
  }

  std::vector<std::uint32_t> bits() const {
    std::vector<std::uint32_t> all;
    for (const event_message& m : taken) all.push_back(m.bits);
    return all;
  }

  std::function<bool(const event_message&)> refuses;
  bool keeps = true;
  // Guarded by lock_.
  std::vector<event_message> taken;
  event_ledger books;
  std::size_t refused = 0;

 private:
  std::mutex lock_;
};

/// A host whose netns 0 has a listener.
class host : public system_test::host {
 public:
  explicit host(const impl& which, const system_options& options = {.buckets = 64})
      : system_test::host(which, options) {
    listen(&heard);
  }
  host(const host&) = delete;
  host& operator=(const host&) = delete;
  ~host() { listen(nullptr); }

  void listen(listener* to, std::uint32_t mask = all_events) { system().listen(0, to, mask); }
  std::size_t waiting() { return system().event_statistics().destroy_waiting; }
  /// What the books say of the table as it is now.
  std::string lost() {
    std::vector<std::uint64_t> ids;
    for (const conn& c : dump()) ids.push_back(c.id);
    return heard.books.compare(ids);
  }

  notebook heard;
};

inline tuple udp_tuple(std::uint16_t port = 4000) {
  tuple t;
  t.src.addr = build::addr(client);
  t.dst.addr = build::addr(server);
  t.src.id = port;
  t.dst.id = 53;
  t.dst.protonum = ipproto::udp;
  return t;
}

/// Every table that promises H.1 keeps it; one that stores and does not promise it would be news.
template <class Check>
void for_each_impl(Check&& check) {
  int checked = 0;
  for (const impl& which : implementations()) {
    if (which.is_timing_only()) continue;
    DYNAMIC_SECTION(which.name) {
      REQUIRE(which.promises.has(letter::h1));
      check(which);
    }
    ++checked;
  }
  REQUIRE(checked >= 4);
}

}  // namespace ct::testing
