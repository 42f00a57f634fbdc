// SPDX-License-Identifier: BSD-2-Clause
/// The connections of the live kernel, read and changed over netlink as conntrack(8) does.
///
/// One request, one answer, on one socket; events come on another. Messages are put together and
/// taken apart with libmnl and the constants of <linux/netfilter/nfnetlink_conntrack.h>.
/// (libnetfilter_conntrack keeps one ICMP type for both tuples, so that the reply tuple could not
/// be compared.) Timeouts come in whole seconds, rounded down. Source: nf_conntrack_netlink.c,
/// Linux 6.18.
#pragma once

#include "impls/linux/private_netns.h"
#include "spec/events.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

struct mnl_socket;
struct nlmsghdr;

namespace ct::live {

class netlink_socket {
 public:
  /// In the network namespace of the calling thread; `groups` as nfnetlink numbers them. Throws
  /// not_here.
  explicit netlink_socket(unsigned groups);

  mnl_socket* get() const { return socket_.get(); }

 private:
  std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket_;
};

class ctnetlink {
 public:
  /// As netlink_socket.
  ctnetlink();

  /// The entry of this tuple, either direction; none if there is none.
  std::optional<conn> get(const tuple& t, std::uint16_t zone_id) noexcept;
  void dump(const std::function<void(const conn&)>& show);
  /// True: it is gone. With an id, only that entry.
  bool remove(const tuple& t, std::uint16_t zone_id) noexcept;
  bool create(const tuple& original, const tuple& reply, std::uint32_t timeout_s) noexcept;
  void flush() noexcept;
  /// Row by CPU.
  std::vector<ip_conntrack_stat> statistics();
  std::size_t count() noexcept;

 private:
  nlmsghdr* begin(int message, int flags, std::uint8_t family) noexcept;
  /// Sends what was begun; `take` sees each answer. 0 or the errno that the kernel answered.
  int ask(nlmsghdr* request, const std::function<void(const nlmsghdr&)>& take) noexcept;

  netlink_socket socket_;
  std::vector<char> request_;
  std::vector<char> answer_;
  std::uint32_t sequence_ = 0;
};

/// What the kernel tells of connections. Bits are those that a message shows: what it is as a
/// whole, and no more.
class event_stream {
 public:
  event_stream();

  /// What has been told since the last call, in order. False: messages were lost.
  bool read(const std::function<void(const event_message&)>& take);

 private:
  netlink_socket socket_;
  std::vector<char> buffer_;
};

}  // namespace ct::live
