// SPDX-License-Identifier: BSD-2-Clause
/// The window conditions, in the order of the kernel: learn from first packets, put in what a
/// packet does not say, compare, move the bounds. Meaning and source in tcp_window.h.
#include "impls/core/proto/tcp_window.h"

#include "impls/faults/planted.h"

#include <algorithm>

namespace ct::core {

namespace {

/// An ACK may lag this far behind whatever the window: 64 KiB and a little.
constexpr std::uint32_t ack_lag_min = 66000;

/// A segment's numbers as they are compared: after normalise().
struct numbers {
  std::uint32_t seq;
  std::uint32_t end;
  std::uint32_t ack;
  std::uint32_t sack;
};

constexpr std::uint32_t at_least_one(std::uint32_t window) { return std::max(window, 1U); }

/// A (new) SYN of this sender: its numbers begin here.
void begin_sender(tcp_direction& sender, tcp_direction& receiver, dir d, const tcp_segment& syn) {
  sender.td_end = syn.end;
  sender.td_maxend = syn.end;
  sender.td_maxwin = at_least_one(syn.window);  // the window of a SYN is never scaled
  apply_options(sender, syn);
  if (planted("window_scaled_in_syn")) sender.td_maxwin <<= sender.td_scale;
  // RFC 7323: scaling holds only if both sides asked for it; the answer decides.
  if (d == dir::reply && (sender.flags & receiver.flags & tcp_flag::window_scale) == 0) {
    sender.td_scale = 0;
    receiver.td_scale = 0;
  }
}

/// First packet of this sender, and no SYN: its history is unknown, so this packet is taken as the
/// measure.
void adopt_sender(tcp_direction& sender,
                  tcp_direction& receiver,
                  const tcp_segment& segment,
                  std::uint32_t sack) {
  sender.td_end = segment.end;
  sender.td_maxwin = at_least_one(std::uint32_t{segment.window} << sender.td_scale);
  sender.td_maxend = segment.end + sender.td_maxwin;
  if (receiver.td_maxwin == 0) {
    receiver.td_end = sack;
    receiver.td_maxend = sack;
  } else if (sack == receiver.td_end + 1) {
    receiver.td_end += 1;  // answers a keep-alive, whose one byte lies before the known end
  }
}

/// Is this a SYN that begins this sender again, with larger numbers, while the handshake runs?
bool begins_again(const tcp_data& tcp, const tcp_direction& sender, const tcp_segment& segment) {
  return segment.has(tcp_header::syn) && is_after(segment.end, sender.td_end) &&
         (tcp.state == tcp_state::syn_sent || tcp.state == tcp_state::syn_recv);
}

/// Learns from a first packet or a repeated SYN. True: a SYN of a simultaneous open, nothing to
/// compare with.
bool initialise(tcp_data& tcp, dir d, const tcp_segment& segment, std::uint32_t sack) {
  tcp_direction& sender = tcp.seen[index(d)];
  tcp_direction& receiver = tcp.seen[index(!d)];
  const bool is_bare_syn = segment.kind == tcp_kind::syn;
  if (sender.td_maxwin == 0) {
    if (!segment.has(tcp_header::syn)) {
      adopt_sender(sender, receiver, segment, sack);
      return false;
    }
    begin_sender(sender, receiver, d, segment);
    return is_bare_syn;
  }
  if (!begins_again(tcp, sender, segment)) return false;
  begin_sender(sender, receiver, d, segment);
  return is_bare_syn && d == dir::reply;
}

/// Puts in what a packet does not say: an acknowledgement without an ACK flag (or with the zero of
/// some RSTs), and the sequence number of a RST that answers a SYN.
numbers normalise(const tcp_data& tcp, dir d, const tcp_segment& segment, std::uint32_t sack) {
  const tcp_direction& sender = tcp.seen[index(d)];
  const tcp_direction& receiver = tcp.seen[index(!d)];
  numbers n{segment.seq, segment.end, segment.ack, sack};
  const bool is_rst = segment.has(tcp_header::rst);
  if (!segment.has(tcp_header::ack) || (is_rst && segment.ack == 0)) {
    n.ack = receiver.td_end;
    n.sack = receiver.td_end;
  }
  if (is_rst && segment.seq == 0 && tcp.state == tcp_state::syn_sent) {
    n.seq = sender.td_end;
    n.end = sender.td_end;
  }
  return n;
}

window_finding compare(const tcp_direction& sender,
                       const tcp_direction& receiver,
                       const numbers& n) {
  const std::uint32_t ack_lag = std::max(sender.td_maxwin, ack_lag_min);
  const bool one = is_at_most(n.seq + off_by_one("window_begin_one_early"), sender.td_maxend);
  const bool two =
      receiver.td_maxwin == 0 ||
      is_at_least(n.end, sender.td_end - receiver.td_maxwin + off_by_one("window_end_one_late"));
  const bool three = is_at_most(n.sack, receiver.td_end + off_by_one("window_ack_one_high"));
  const bool four =
      is_at_least(n.sack, receiver.td_end - ack_lag + off_by_one("window_ack_one_low"));
  if (!one) {
    const std::uint32_t beyond = n.end - sender.td_maxend + 1;
    const bool is_small = beyond <= receiver.td_maxwin;  // not while that is unknown: 0
    return is_small && two && three && four ? window_finding::overshoot
                                            : window_finding::seq_too_high;
  }
  if (!three) return window_finding::ack_too_high;
  if (!two) return window_finding::seq_too_low;
  return four ? window_finding::in_window : window_finding::ack_too_low;
}

void extend_sender(tcp_direction& sender, std::uint32_t end) {
  sender.td_end = end;
  sender.flags |= tcp_flag::data_unacknowledged;
}

/// Moves the bounds of both sides by a segment that is in the window.
void update(tcp_direction& sender,
            tcp_direction& receiver,
            const tcp_segment& segment,
            const numbers& n) {
  const std::uint32_t window = segment.has(tcp_header::syn)
                                   ? std::uint32_t{segment.window}
                                   : std::uint32_t{segment.window} << sender.td_scale;
  sender.td_maxwin = std::max(sender.td_maxwin, window + (n.sack - n.ack));
  if (is_after(n.end, sender.td_end)) extend_sender(sender, n.end);
  if (segment.has(tcp_header::ack)) {
    const bool is_first = (sender.flags & tcp_flag::maxack_set) == 0;
    if (is_first || is_after(n.ack, sender.td_maxack)) sender.td_maxack = n.ack;
    sender.flags |= tcp_flag::maxack_set;
  }

  if (receiver.td_maxwin != 0 && is_after(n.end, sender.td_maxend)) {
    receiver.td_maxwin += n.end - sender.td_maxend;
  }
  if (is_at_least(n.sack + window, receiver.td_maxend)) {
    receiver.td_maxend = n.sack + at_least_one(window);  // a closed window may be probed by a byte
  }
  if (n.ack == receiver.td_end) {
    receiver.flags &= static_cast<std::uint8_t>(~tcp_flag::data_unacknowledged);
  }
}

/// Counts how often the same pure ACK came in a row; only ACKs begin the count again.
void count_retransmission(tcp_data& tcp, dir d, const tcp_segment& segment, const numbers& n) {
  if (segment.kind != tcp_kind::ack) return;
  if (tcp.last_dir == d && tcp.last_seq == n.seq && tcp.last_ack == n.ack &&
      tcp.last_end == n.end && tcp.last_win == segment.window) {
    tcp.retrans = static_cast<std::uint8_t>(tcp.retrans + 1);  // wraps at 256, as the kernel's
    return;
  }
  tcp.last_dir = d;
  tcp.last_seq = n.seq;
  tcp.last_ack = n.ack;
  tcp.last_end = n.end;
  tcp.last_win = segment.window;
  tcp.retrans = 0;
}

}  // namespace

void apply_options(tcp_direction& sender, const tcp_segment& segment) noexcept {
  if (!segment.has_options) return;
  const syn_options options = read_syn_options(segment);
  sender.td_scale = options.scale;
  sender.flags &= tcp_flag::be_liberal;
  if (options.window_scale) sender.flags |= tcp_flag::window_scale;
  if (options.sack_permitted) sender.flags |= tcp_flag::sack_perm;
}

tcp_data opened_by(const tcp_segment& syn) noexcept {
  tcp_data tcp;
  tcp_direction& sender = tcp.seen[index(dir::original)];
  sender.td_end = syn.end;
  sender.td_maxend = syn.end;
  sender.td_maxwin = at_least_one(syn.window);
  apply_options(sender, syn);
  return tcp;
}

tcp_data picked_up_at(const tcp_segment& ack) noexcept {
  tcp_data tcp;
  tcp_direction& sender = tcp.seen[index(dir::original)];
  sender.td_end = ack.end;
  sender.td_maxwin = at_least_one(ack.window);
  sender.td_maxend = ack.end + sender.td_maxwin;
  // The handshake's window scale is unknown: what does not fit the unscaled window must pass too.
  for (tcp_direction& side : tcp.seen) side.flags = tcp_flag::sack_perm | tcp_flag::be_liberal;
  return tcp;
}

window_finding check_window(tcp_data& tcp, dir d, const tcp_segment& segment) noexcept {
  tcp_direction& sender = tcp.seen[index(d)];
  tcp_direction& receiver = tcp.seen[index(!d)];
  const bool may_sack =
      (receiver.flags & tcp_flag::sack_perm) != 0 && !planted("window_sack_ignored");
  const std::uint32_t sack = may_sack ? highest_sack(segment) : segment.ack;

  if (initialise(tcp, d, segment, sack)) return window_finding::opening;
  const numbers n = normalise(tcp, d, segment, sack);
  const window_finding finding = compare(sender, receiver, n);
  if (finding == window_finding::in_window) {
    update(sender, receiver, segment, n);
    count_retransmission(tcp, d, segment, n);
  } else if (finding == window_finding::overshoot) {
    extend_sender(sender, n.end);
  }
  return finding;
}

}  // namespace ct::core
