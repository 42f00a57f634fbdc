// SPDX-License-Identifier: BSD-2-Clause
/// The face of a whole ct system, the same for every implementation: packets go in, verdicts come
/// out.
///
/// The program, the oracles and the benchmarks see nothing else. Calls are virtual per batch, not
/// per packet. A `ct_system` is shared by all threads; a `cpu` belongs to the thread that attached
/// it.
///
/// A packet's way, as in the kernel: `in` (prerouting: find or create, track, ctinfo), then
/// `confirm` (postrouting: a new entry enters the table), then `free_skb` (the packet has left: its
/// reference goes). free_skb without confirm is a drop: an unconfirmed entry dies with it. `pass`
/// runs all three for each packet before it looks at the next.
///
/// Time is virtual: the clock stands still until `advance` or a packet's own time moves it. The
/// live kernel's (impl::is_live) is real and moves by itself; there the times of packets, `advance`
/// and `gc_worker` have no effect, and an entry expires when it does. Source: nf_conntrack_in(),
/// nf_conntrack_confirm(), struct sk_buff, Linux 6.18.
#pragma once

#include "spec/events.h"
#include "spec/expect.h"
#include "spec/jiffies.h"
#include "spec/nf_conn.h"
#include "spec/policy.h"
#include "spec/table.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ct {

/// Link-layer headers, by their pcap LINKTYPE number.
enum class link_type : std::uint16_t {
  null = 0,
  ethernet = 1,
  raw = 101,
  loop = 108,
  linux_sll = 113,
  ipv4 = 228,
  ipv6 = 229,
  linux_sll2 = 276,
};

/// What is known of a packet's transport checksum when it arrives: the word of who received it.
enum class ip_summed : std::uint8_t {
  none,         ///< CHECKSUM_NONE: nobody has looked; nf_conntrack_checksum says whether we do
  unnecessary,  ///< CHECKSUM_UNNECESSARY: it is right, or not there yet
};

/// What happens to a packet after conntrack: NF_ACCEPT, NF_DROP or NF_STOLEN.
enum class verdict : std::uint8_t {
  accept,
  drop,
  stolen,  ///< a fragment that waits for others; the packet that they make goes on with the last
           ///< one
};

/// A packet on its way through a system. The first group is given, the second is written by the
/// system.
struct skb {
  std::span<const std::byte> frame;  ///< as captured, from the link-layer header on
  std::uint32_t wire_bytes =
      0;  ///< length on the wire; more than frame.size() if the capture was cut
  link_type link = link_type::ethernet;
  netns_id net = 0;
  ct::zone zone{};
  ct::ip_summed ip_summed = ct::ip_summed::none;
  std::uint64_t jiffies64 =
      0;  ///< arrival; the clock advances to it in `pass` (0: leave the clock)
  std::optional<std::uint32_t> ct_mark{};    ///< a rule sets the entry's mark to it, after `in`
  const timeout_policy* timeouts = nullptr;  ///< a rule gives it to the entry that this one makes

  /// The packet that this fragment completed, as IP; what is tracked in place of the frame.
  std::shared_ptr<const std::vector<std::byte>> whole{};
  void* nfct = nullptr;       ///< the entry, referenced by this packet; opaque
  std::uint64_t conn_id = 0;  ///< id of that entry, 0 for none
  ctinfo info = ctinfo::invalid;
  ct::verdict verdict = verdict::accept;
  const char* reason = nullptr;  ///< why info is INVALID, as nf_conntrack_log_invalid says it
};

/// Answer of `cpu::find`; the reference that the lookup took is put again.
struct lookup_answer {
  std::uint64_t conn_id = 0;  ///< 0: not found
  ct::dir dir = dir::original;
};

/// What one run of gc_worker did.
struct gc_report {
  std::size_t buckets = 0;     ///< looked at
  std::size_t entries = 0;     ///< tuplehashes looked at
  std::size_t reaped = 0;      ///< expired entries removed
  std::size_t dropped = 0;     ///< live entries removed because their netns is nearly full
  std::uint32_t next_run = 0;  ///< jiffies until it wants to run again
};

/// An entry that keeps a netns from ending.
struct netns_holder {
  std::uint64_t conn_id = 0;
  std::uint32_t use = 0;  ///< references; packets hold them, and children of the entry
  std::string_view
      where;  ///< the list that it is on: "unconfirmed", "dying", or "in flight" between them
};

enum class hash_kind : std::uint8_t { siphash, xxh3 };

struct system_options {
  std::size_t buckets = 65536;  ///< nf_conntrack_buckets
  std::size_t max_entries = 0;  ///< nf_conntrack_max a netns; 0: no limit
  hash_kind hash = hash_kind::siphash;
  std::uint64_t seed = 1;  ///< of the hash keys, netns mixes and the chain limit
  bool acct = false;       ///< nf_conntrack_acct
  /// Written in every netns when it is made, as at boot. What is wrong with one is thrown
  /// (std::invalid_argument) by `make`.
  std::vector<sysctl_setting> sysctls{};
  std::vector<helper_rule> helpers{};  ///< as rules attach them; none by default, as in Linux
  bool ftp_loose = false;              ///< also expect what an FTP offer says of a third host
  /// Track DCCP, as Linux did until 6.14; without, it is generic, as it is today.
  bool dccp = false;
  /// False: a full table refuses, and nothing goes before its time. Linux has no such switch; it is
  /// there to show what early drop is worth.
  bool early_drop = true;
};

/// One packet-processing CPU. Not shared between threads; detached by destruction.
class cpu {
 public:
  virtual ~cpu() = default;

  virtual void in(std::span<skb> packets) noexcept = 0;
  virtual void confirm(std::span<skb> packets) noexcept = 0;
  virtual void free_skb(std::span<skb> packets) noexcept = 0;
  virtual void pass(std::span<skb> packets) noexcept = 0;

  /// find_get and put of each tuple in zone 0 of netns 0; answers[i] belongs to tuples[i].
  virtual void find(std::span<const tuple> tuples, std::span<lookup_answer> answers) noexcept = 0;
  /// Creates and confirms an entry per original tuple, as `conntrack -I` does. Returns how many.
  virtual std::size_t create(std::span<const tuple> originals,
                             std::uint32_t timeout_s) noexcept = 0;
  /// Kills the entries of these tuples, as `conntrack -D`. Returns how many kills were won.
  virtual std::size_t kill(std::span<const tuple> tuples) noexcept = 0;
  /// Changes the entry of this tuple, as `conntrack -U`; also while its packets pass. The listener
  /// is told at once.
  virtual update_status update(const tuple&, const conn_update&) noexcept {
    return update_status::not_found;
  }

  /// The entry of this tuple, either direction, as `conntrack -G` shows it; none: not found, or the
  /// system cannot say.
  virtual std::optional<conn> get(const tuple&, std::uint16_t /*zone_id*/) noexcept {
    return std::nullopt;
  }

  /// Kills every entry in the table of which `chosen(copy)` says so, as `conntrack -D` with a
  /// filter and `conntrack -F` do. Misses none that was there when it began, beside a resize too:
  /// the two exclude each other. Not within a callback. Returns how many.
  virtual std::size_t kill_if(const std::function<bool(const conn&)>& chosen) = 0;
  /// Gives the unconfirmed entry of a packet another reply tuple, as NAT does between `in` and
  /// `confirm`. False: it has none, or it is too late.
  virtual bool alter_reply(skb& packet, const tuple& reply) noexcept = 0;
  /// One pass of a netns' exit: from the first on it takes no new entries; what is in the table is
  /// killed. Returns what is left: entries that packets, or children, still hold. Call again until
  /// that is empty; then the number stands for a new netns. Not within a callback.
  virtual std::vector<netns_holder> exit_netns(netns_id id) = 0;

  /// Moves the clock forward to `jiffies64` (never back) and runs gc_worker as often as it falls
  /// due.
  virtual void advance(std::uint64_t jiffies64) noexcept = 0;
  /// One run of gc_worker now, due or not.
  virtual gc_report gc_worker() noexcept = 0;
  /// One run of the redelivery worker of a netns now, due or not: destroy events that were refused
  /// are told again. `advance` runs it as often as it falls due.
  virtual redelivery_report redeliver(netns_id net) noexcept = 0;
  /// Sets nf_conntrack_buckets, while other CPUs go on. A call of a CPU, as it may have to wait
  /// until every other one has left the old array: who waits must not be waited for. Not within a
  /// callback.
  virtual resize_status resize(std::size_t buckets) noexcept = 0;
  /// Nothing of the system is looked at until the next call: lets grace periods end. Every other
  /// call ends with it too: a CPU between two calls holds nobody up.
  virtual void quiescent() noexcept = 0;
};

class ct_system {
 public:
  virtual ~ct_system() = default;

  /// A CPU for the calling thread. Every cpu must be gone before the system is.
  virtual std::unique_ptr<cpu> attach() = 0;

  virtual std::uint64_t jiffies64() const noexcept = 0;
  /// nf_conntrack_count, summed over netns: entries allocated and not freed yet.
  virtual std::size_t count() const noexcept = 0;
  /// nf_conntrack_buckets: as they are now.
  virtual std::size_t buckets() const noexcept = 0;
  /// Shows every entry in the table that has not expired, in no order; entries that come or go
  /// meanwhile may be missed. Needs an attached CPU of the calling thread.
  virtual void dump(cpu& on, const std::function<void(const conn&)>& show) = 0;
  /// Expectations that have not expired, in no order; a system without helpers has none.
  virtual std::vector<expect> expectations() const { return {}; }
  /// [cpu], in order of attachment; CPUs that were detached keep their row.
  virtual std::vector<ip_conntrack_stat> statistics() const = 0;
  /// Makes `to` the listener of a netns, in place of whoever it was; nullptr: nobody listens. It
  /// gets the messages with one of the events in `mask` (bits of ct::event), of entries that have
  /// an event cache (events_mode). The former one is not called any more when this returns.
  virtual void listen(netns_id net, listener* to, std::uint32_t mask) = 0;
  virtual event_stat event_statistics() const = 0;
  virtual std::size_t memory_bytes() const noexcept = 0;
  /// The entry that a packet holds, confirmed or not: what a rule sees of it. None: it has none.
  virtual std::optional<conn> entry_of(const skb&) const { return std::nullopt; }

  // Policy; a system without has none of it.
  /// Every sysctl with its value in that netns.
  virtual std::vector<sysctl> sysctls(netns_id) { return {}; }
  /// Writes one; in force at once, for packets of other threads too. nf_conntrack_buckets is
  /// cpu::resize; the calling thread may have a CPU, between two calls. Empty, or one line that
  /// says what is wrong and what to do.
  [[nodiscard]] virtual std::string set_sysctl(netns_id,
                                               std::string_view name,
                                               std::string_view /*value*/) {
    return "unknown sysctl '" + std::string(name) + "'; this system has none";
  }
  /// Do rules of that netns use labels? Entries made from now on have them or not.
  virtual void use_labels(netns_id, bool /*are_used*/) {}
  /// Adds a timeout policy for a protocol, as `nfct timeout add`; what is not given is as in the
  /// netns now. For skb::timeouts, as long as the system lives. nullptr: `error` is one line that
  /// says what is wrong and what to do.
  virtual const timeout_policy* add_timeouts(netns_id,
                                             std::uint8_t /*protonum*/,
                                             std::span<const timeout_setting>,
                                             std::string& error) {
    error = "timeout policies do not exist in this system; leave them out";
    return nullptr;
  }
  /// Makes the two directions of a PPTP tunnel known to a netns, as its control connection agrees
  /// on them: GRE tuples with a call id on either side, by which a packet, which carries only its
  /// receiver's, is brought to one entry. True: known, now or before. False: one of them is known
  /// with another source key, or this system has no such map.
  virtual bool add_gre_keys(netns_id, const tuple& /*original*/, const tuple& /*reply*/) {
    return false;
  }
  /// The tunnel's control connection is gone; its entries stay until they expire.
  virtual void remove_gre_keys(netns_id, const tuple& /*original*/, const tuple& /*reply*/) {}
  /// At rest, no packet in flight: empty, or the invariant that does not hold.
  virtual std::string broken_invariant(cpu& on) = 0;
};

}  // namespace ct
