// SPDX-License-Identifier: BSD-2-Clause
/// The TCP tracker: one packet against one entry.
///
/// Steps, in the kernel's order: the header (tcp_segment.h); for an entry that is not confirmed
/// yet, what its first packet tells; the transition table (tcp_table.h); the rules that overrule
/// the table (reopening, resynchronisation, challenge ACKs, RSTs); the window (tcp_window.h); then
/// state, timeout, ASSURED, accounting. Everything up to the choice of the timeout happens under
/// the entry's lock; checksum, killing, status bits and counters do not. Limits: no SYN proxy, no
/// sequence adjustment by NAT. Source: nf_conntrack_tcp_packet(),
/// nf_tcp_handle_invalid(), tcp_can_early_drop(), Linux 6.18 with the direction test of late RSTs
/// that its stable releases have (commit bed6e04be8e6).
#include "impls/core/checksum.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/tcp_segment.h"
#include "impls/core/proto/tcp_table.h"
#include "impls/core/proto/tcp_window.h"
#include "impls/faults/planted.h"
#include "spec/jiffies.h"

#include <algorithm>
#include <mutex>

namespace ct::core {

namespace {

/// Below this, an entry is left to expire by itself when both sides sent a FIN or RST that did not
/// fit.
constexpr std::int32_t shrink_left_min = static_cast<std::int32_t>(seconds(120));

/// One packet on its entry; alive while the entry's lock is held.
struct judged {
  nf_conn& ct;
  tcp_data& tcp;
  const tcp_segment& segment;
  track_context& context;
  dir d;

  bool is(tcp_kind kind) const { return segment.kind == kind; }
  /// Established for certain: the handshake (or a picked-up connection's answer) was seen.
  bool is_established() const {
    return tcp.state == tcp_state::established && ct.has(status::assured);
  }
  bool last_was(tcp_kind kind) const { return tcp.last_index == kind; }
};

struct transition {
  tcp_state from;
  tcp_state to;
};

/// What the rules around the table make of a packet.
enum class ruling : std::uint8_t {
  check_window,
  skip_window,  ///< take it as if it were in the window
  leave,        ///< accepted; state and timeout stay
  reopen,       ///< the entry must make room for a new connection
  invalid_state,
  invalid_rst,
};

/// A SYN on a finished connection begins a new one if a side closed it in good order, or if the
/// SYN's own side reset it.
bool may_reopen(const judged& j) {
  const unsigned flags = j.tcp.seen[0].flags | j.tcp.seen[1].flags;
  return (flags & tcp_flag::close_init) != 0 ||
         ((j.tcp.last_dir == j.d || planted("tcp_rst_any_direction")) && j.last_was(tcp_kind::rst));
}

/// Does this SYN/ACK answer the SYN that was passed unjudged just before? Then both ends agree, and
/// only we do not.
bool answers_ignored_syn(const judged& j) {
  return j.is(tcp_kind::synack) && j.last_was(tcp_kind::syn) && j.tcp.last_dir != j.d &&
         j.segment.ack == j.tcp.last_end;
}

/// Starts over from the remembered SYN; the SYN/ACK's side is learnt from the SYN/ACK by the window
/// check.
void resynchronise(tcp_data& tcp, dir d) {
  tcp.last_flags &= static_cast<std::uint8_t>(~tcp_flag::expect_challenge_ack);
  tcp_direction& opener = tcp.seen[index(tcp.last_dir)];
  opener.td_end = tcp.last_end;
  opener.td_maxend = tcp.last_end;
  opener.td_maxwin = std::max<std::uint32_t>(tcp.last_win, 1);
  opener.td_scale = tcp.last_wscale;
  opener.flags = tcp.last_flags;

  tcp_direction fresh;
  fresh.flags = tcp.seen[index(d)].flags & tcp_flag::be_liberal;
  tcp.seen[index(d)] = fresh;
}

/// Remembers a packet that passes unjudged, for the answer that will tell what it was.
void remember_ignored(const judged& j) {
  j.tcp.last_index = j.segment.kind;
  j.tcp.last_dir = j.d;
  j.tcp.last_seq = j.segment.seq;
  j.tcp.last_end = j.segment.end;
  j.tcp.last_win = j.segment.window;
  if (j.is(tcp_kind::syn) && j.d == dir::original) {
    tcp_direction options;
    apply_options(options, j.segment);
    j.tcp.last_flags = options.flags;
    j.tcp.last_wscale = options.td_scale;
    // The peer, which waits for the ACK of its FIN, may answer the SYN with a challenge ACK (RFC
    // 5961, section 4).
    if (j.tcp.state == tcp_state::last_ack) j.tcp.last_flags |= tcp_flag::expect_challenge_ack;
  }
  // Or this is such a challenge ACK, to a SYN: the client's RST will carry its number.
  if (j.is(tcp_kind::ack) && j.d == dir::reply && j.tcp.state == tcp_state::syn_sent) {
    j.tcp.last_ack = j.segment.ack;
  }
}

ruling rule_on_ignored(const judged& j, transition& t) {
  if (answers_ignored_syn(j)) {
    t = {tcp_state::syn_sent, tcp_state::syn_recv};
    resynchronise(j.tcp, j.d);
    return ruling::check_window;
  }
  remember_ignored(j);
  return ruling::leave;
}

ruling rule_on_syn_sent(const judged& j, transition& t) {
  if (t.from != tcp_state::time_wait && t.from != tcp_state::close) return ruling::check_window;
  return may_reopen(j) ? ruling::reopen : rule_on_ignored(j, t);
}

/// LAST_ACK waits for the ACK of a FIN; one that answers a SYN that we let pass is not it.
ruling rule_on_time_wait(const judged& j, const transition& t) {
  const bool is_challenge_ack = t.from == tcp_state::last_ack && j.is(tcp_kind::ack) &&
                                j.tcp.last_dir != j.d && j.last_was(tcp_kind::syn) &&
                                (j.tcp.last_flags & tcp_flag::expect_challenge_ack) != 0;
  if (!is_challenge_ack) return ruling::check_window;
  j.tcp.last_flags &= static_cast<std::uint8_t>(~tcp_flag::expect_challenge_ack);
  return ruling::leave;
}

/// After a simultaneous open no SYN/ACK need come: the reply side's ACK completes it.
ruling rule_on_syn_recv(const judged& j, transition& t) {
  if (j.d == dir::reply && j.is(tcp_kind::ack) &&
      (j.tcp.last_flags & tcp_flag::simultaneous_open) != 0) {
    t.to = tcp_state::established;
  }
  return ruling::check_window;
}

/// Does the RST follow its own side's last segment directly? Then it ends a train of data.
bool closes_data_train(const judged& j) {
  return j.last_was(tcp_kind::ack) && j.tcp.last_dir == j.d && j.segment.seq == j.tcp.last_end;
}

/// Does the RST acknowledge a SYN or ACK that passed without a judgement: a half-open connection
/// ends.
bool rejects_unjudged(const judged& j) {
  const bool is_other_dir = j.tcp.last_dir != j.d || planted("tcp_rst_without_direction");
  const bool rejects_syn =
      j.ct.has(status::seen_reply) && j.last_was(tcp_kind::syn) && is_other_dir;
  const bool rejects_ack = !j.ct.has(status::assured) && j.last_was(tcp_kind::ack);
  return (rejects_syn || rejects_ack) && j.segment.ack == j.tcp.last_end;
}

/// Is this the client's RST to the challenge ACK that answered its SYN?
bool rejects_challenge_ack(const judged& j, const transition& t) {
  return t.from == tcp_state::syn_sent && j.last_was(tcp_kind::ack) &&
         j.tcp.last_dir == dir::reply && j.segment.seq == j.tcp.last_ack;
}

/// A RST is believed by its sequence number: it should be what the other side acknowledged last.
ruling rule_on_rst(const judged& j, transition& t) {
  if (is_closing(t.from)) return ruling::skip_window;

  const tcp_direction& other = j.tcp.seen[index(!j.d)];
  // After a SYN that passed unjudged, td_maxack may belong to an older connection.
  if ((other.flags & tcp_flag::maxack_set) != 0 && !j.last_was(tcp_kind::syn)) {
    if (j.segment.seq == 0 && !j.is_established()) return ruling::check_window;  // answers a SYN
    if (is_before(j.segment.seq, other.td_maxack) && !j.context.policy.tcp_ignore_invalid_rst &&
        !planted("tcp_rst_believed")) {
      return ruling::invalid_rst;
    }
    if (!j.is_established() || j.segment.seq == other.td_maxack || closes_data_train(j)) {
      return ruling::check_window;
    }
    // Inside the window but not exact: the receiver will ask back with a challenge ACK (RFC 5961,
    // section 3).
    t.to = t.from;
    return ruling::check_window;
  }
  return rejects_unjudged(j) || rejects_challenge_ack(j, t) ? ruling::skip_window
                                                            : ruling::check_window;
}

/// The rules that stand beside the table, by what the table says.
ruling rule_on(const judged& j, transition& t) {
  switch (t.to) {
    case tcp_state::syn_sent:
      return rule_on_syn_sent(j, t);
    case tcp_state::ignore:
      return rule_on_ignored(j, t);
    case tcp_state::max:
      return ruling::invalid_state;
    case tcp_state::time_wait:
      return rule_on_time_wait(j, t);
    case tcp_state::syn_sent2:
      j.tcp.last_flags |= tcp_flag::simultaneous_open;
      return ruling::check_window;
    case tcp_state::syn_recv:
      return rule_on_syn_recv(j, t);
    case tcp_state::close:
      return j.is(tcp_kind::rst) ? rule_on_rst(j, t) : ruling::check_window;
    case tcp_state::none:
    case tcp_state::established:
    case tcp_state::fin_wait:
    case tcp_state::close_wait:
    case tcp_state::last_ack:
      return ruling::check_window;
  }
  return ruling::invalid_state;
}

window_result in_window(const judged& j, const char*& reason) {
  const window_finding finding = check_window(j.tcp, j.d, j.segment);
  const bool is_liberal =
      j.context.policy.tcp_be_liberal || (j.tcp.seen[index(j.d)].flags & tcp_flag::be_liberal) != 0;
  if (is_liberal) return window_result::accept;
  reason = finding == window_finding::ack_too_high ? "tcp: acknowledges data that was not seen"
                                                   : "tcp: data beyond the receiver's window";
  return result_of(finding);
}

/// A FIN or RST that does not fit: if the other side sent one just before, both may be gone, and 5
/// days are too long.
void shrink_timeout(const judged& j) {
  const bool ends = j.is(tcp_kind::fin) || j.is(tcp_kind::rst);
  if (!ends || !j.ct.has(status::assured) || j.ct.has(status::fixed_timeout)) return;
  const bool other_ended =
      j.tcp.last_dir != j.d && (j.last_was(tcp_kind::fin) || j.last_was(tcp_kind::rst));
  if (!other_ended) {
    j.tcp.last_index = j.segment.kind;
    j.tcp.last_dir = j.d;
    return;
  }
  // relaxed: a timeout stands for itself.
  const std::uint32_t deadline = j.ct.timeout.load(std::memory_order_relaxed);
  const std::int32_t left = jiffies_between(j.context.now, deadline);
  const std::uint32_t unack = j.context.timeouts.tcp_timeout[tcp_timeout_unack];
  if (left >= shrink_left_min && static_cast<std::uint32_t>(left) > unack) {
    // relaxed: as above
    j.ct.timeout.store(j.context.now + unack, std::memory_order_relaxed);
  }
}

/// The timeout that an accepted packet sets, first match wins.
std::uint32_t choose_timeout(const judged& j, tcp_state state) {
  const auto& timeouts = j.context.timeouts.tcp_timeout;
  const std::uint32_t normal = timeouts[static_cast<std::size_t>(state)];
  const std::uint32_t retrans = timeouts[tcp_timeout_retrans];
  const std::uint32_t unack = timeouts[tcp_timeout_unack];
  const unsigned flags = j.tcp.seen[0].flags | j.tcp.seen[1].flags;

  const std::uint32_t retrans_max =
      j.context.policy.tcp_max_retrans + off_by_one("tcp_retrans_one_late");
  if (j.tcp.retrans >= retrans_max && normal > retrans) return retrans;
  if (j.is(tcp_kind::rst)) return timeouts[static_cast<std::size_t>(tcp_state::close)];
  if ((flags & tcp_flag::data_unacknowledged) != 0 && normal > unack) return unack;
  if (j.tcp.last_win == 0 && normal > retrans && !planted("tcp_zero_window_unseen")) {
    return retrans;
  }
  return normal;
}

/// Writes an accepted packet into the entry and says which timeout it sets.
std::uint32_t commit(const judged& j, const transition& t) {
  j.tcp.last_index = j.segment.kind;
  j.tcp.last_dir = j.d;
  j.tcp.state = t.to;
  if (t.from != t.to && t.to == tcp_state::fin_wait) {
    j.tcp.seen[index(j.d)].flags |= tcp_flag::close_init;
  }
  return choose_timeout(j, planted("tcp_timeout_of_old_state") ? t.from : t.to);
}

/// What an accepted packet is to the entry as a whole; without the entry's lock.
void finish(nf_conn& ct,
            const packet& pkt,
            track_context& context,
            tcp_kind kind,
            const transition& t,
            std::uint32_t timeout) {
  if (t.from != t.to) ct.ecache.cache(event::protoinfo);
  if (planted("tcp_assured_early") && t.to == tcp_state::syn_recv) ct.set(status::assured);
  if (!ct.has(status::seen_reply)) {
    // Nobody listens there: no entry is needed.
    if (kind == tcp_kind::rst && !planted("tcp_reset_entry_stays")) {
      count_acct(ct, pkt, context);
      // Lost against another kill: the entry is going all the same.
      (void)context.kill(ct);
      return;
    }
    // A repeated SYN does not keep the entry alive, else a client could do so for ever; nor does
    // the other side's, seen live on 6.18.44.
    if (kind == tcp_kind::syn && t.from == tcp_state::syn_sent && !planted("tcp_syn_prolongs")) {
      return;
    }
    if (t.to == tcp_state::established) {
      timeout = std::min(timeout, context.timeouts.tcp_timeout[tcp_timeout_unack].get());
    }
  } else if (t.to == tcp_state::established &&
             (t.from == tcp_state::syn_recv || t.from == tcp_state::established)) {
    if (ct.set(status::assured)) ct.ecache.cache(event::assured);
  }
  refresh_acct(ct, pkt, context, timeout);
}

/// Takes the first packet of an entry, under its lock; later ones find it confirmed.
bool begin(nf_conn& ct, const tcp_segment& segment, const policy& settings) {
  switch (next_state(dir::original, segment.kind, tcp_state::none)) {
    case tcp_state::syn_sent:
      ct.proto.tcp = opened_by(segment);
      return true;
    case tcp_state::established:
      if (!settings.tcp_loose) return false;
      ct.proto.tcp = picked_up_at(segment);
      return true;
    default:
      return false;
  }
}

const char* reason_of(segment_status status) {
  switch (status) {
    case segment_status::ok:
      return nullptr;
    case segment_status::cut:
      return "tcp: header is cut";
    case segment_status::bad_length:
      return "tcp: header length is impossible";
    case segment_status::bad_flags:
      return "tcp: flags that do not go together";
  }
  return nullptr;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  tcp_segment segment;
  const segment_status header = read_segment(pkt, segment);
  const bool has_header = header == segment_status::ok || header == segment_status::bad_flags;
  if (has_header && !is_checksum_right(pkt, ipproto::tcp)) {
    return context.invalid("tcp: bad checksum");
  }
  if (header != segment_status::ok) return context.invalid(reason_of(header));

  std::unique_lock lock(ct.lock);
  if (!ct.is_confirmed() && !begin(ct, segment, context.policy)) {
    return context.invalid("tcp: does not begin a connection");
  }
  const judged j{ct, ct.proto.tcp, segment, context, context.dir()};
  transition t{j.tcp.state, next_state(j.d, segment.kind, j.tcp.state)};
  switch (rule_on(j, t)) {
    case ruling::leave:
      return track::accept;
    case ruling::invalid_state:
      return context.invalid("tcp: impossible in this state");
    case ruling::invalid_rst:
      return context.invalid("tcp: RST is older than what was acknowledged");
    case ruling::reopen:
      lock.unlock();
      if (context.kill(ct)) return track::repeat;
      context.invalid("tcp: reopened by another packet, or its end could not be told");
      return track::drop;
    case ruling::skip_window:
      break;
    case ruling::check_window: {
      const char* reason = nullptr;
      const window_result result = in_window(j, reason);
      if (result == window_result::ignore) return track::accept;
      if (result == window_result::invalid) {
        shrink_timeout(j);
        return context.invalid(reason);
      }
      break;
    }
  }
  const std::uint32_t timeout = commit(j, t);
  lock.unlock();
  finish(ct, pkt, context, segment.kind, t, timeout);
  return track::accept;
}

bool can_early_drop(const nf_conn& ct) noexcept {
  const std::lock_guard guard(ct.lock);
  return is_closing(ct.proto.tcp.state);
}

}  // namespace

const l4proto tcp_l4proto = {
    .protonum = ipproto::tcp,
    .name = "tcp",
    .pkt_to_tuple = ports_to_tuple,
    .invert = invert_ports,
    .handle = handle,
    .resolves_clash = false,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
