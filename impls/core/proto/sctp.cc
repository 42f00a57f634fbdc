// SPDX-License-Identifier: BSD-2-Clause
/// SCTP: the chunks of a packet move the association through the table (sctp_table.h), if the
/// packet carries the verification tag that its side has to.
///
/// Both tags are learnt from INIT and INIT_ACK, which each carry what the other side must send;
/// from a first HEARTBEAT, which opens a second path of an association; or from a SHUTDOWN_ACK that
/// is all that is left of one. A packet without chunks of their own tag rule must carry the tag of
/// its direction. Two INITs that cross each other (a collision) are told apart by which of them is
/// still unanswered. A heartbeat with a strange tag passes without a refresh; if the other side
/// answers it with another tag of its own, an association was restarted and that tag is taken.
///
/// A chunk is judged when its turn comes: what the ones before it changed stays, even where it
/// makes the packet INVALID; as in the kernel. An INIT repeated in CLOSED prolongs nothing, so
/// that no client keeps an entry for ever. Limit: SCTP in UDP (RFC 6951) is UDP.
/// Source: nf_conntrack_sctp_packet(), sctp_new(), do_basic_checks(), Linux 6.18; RFC 9260 sections
/// 8.4 and 8.5.
#include "impls/core/checksum.h"
#include "impls/core/nf_conn.h"
#include "impls/core/packet.h"
#include "impls/core/proto/l4proto.h"
#include "impls/core/proto/sctp_chunks.h"
#include "impls/core/proto/sctp_data.h"
#include "impls/core/proto/sctp_table.h"
#include "impls/faults/planted.h"
#include "spec/nf_conn.h"
#include "spec/tuple.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

namespace ct::core {
namespace {

namespace type = sctp_chunk_type;

constexpr std::size_t vtag_at = 4;

/// Why these chunks do not go together, or nullptr; which there are, into `found`.
const char* check_chunks(const packet& pkt, sctp_chunk_set& found) {
  const char* why = nullptr;
  bool must_be_alone = false;  // one of those that may have no company was met
  for_each_sctp_chunk(pkt.l4, [&](const sctp_chunk& chunk, std::size_t number) {
    must_be_alone |= chunk.type == type::init || chunk.type == type::init_ack ||
                     chunk.type == type::shutdown_complete;
    const bool must_be_first = chunk.type == type::cookie_echo || chunk.type == type::cookie_ack;
    if (chunk.length == 0) {
      why = "sctp: chunk of length 0";
    } else if (number != 0 && must_be_alone) {
      why = "sctp: INIT, INIT_ACK or SHUTDOWN_COMPLETE with another chunk";
    } else if (number != 0 && must_be_first) {
      why = "sctp: COOKIE_ECHO or COOKIE_ACK is not the first chunk";
    }
    found.set(chunk.type);
    return why == nullptr;
  });
  return why == nullptr && found.none() ? "sctp: no chunk" : why;
}

/// Is the packet's tag judged chunk by chunk?
bool has_tag_rule(const sctp_chunk_set& chunks) {
  return chunks[type::init] || chunks[type::shutdown_complete] || chunks[type::cookie_echo] ||
         chunks[type::abort] || chunks[type::shutdown_ack] || chunks[type::heartbeat] ||
         chunks[type::heartbeat_ack];
}

/// One packet on its entry; alive while the entry's lock is held.
struct judged {
  nf_conn& ct;
  sctp_data& sctp;
  const packet& pkt;
  const sctp_chunk_set& chunks;
  const std::uint32_t vtag;
  const dir d;
  bool refreshes = true;         ///< may it prolong the entry's life?
  const char* reason = nullptr;  ///< why it is invalid, once it is

  std::uint32_t& own_vtag() { return sctp.vtag[index(d)]; }
  std::uint32_t& peer_vtag() { return sctp.vtag[index(!d)]; }
};

/// What the rules about verification tags make of a chunk.
enum class tag_ruling : std::uint8_t {
  take,       ///< the table decides
  pass_over,  ///< accepted, and changes nothing
  refuse,
};

tag_ruling take_if(bool is_right, judged& j) {
  if (is_right) return tag_ruling::take;
  j.reason = "sctp: wrong verification tag";
  return tag_ruling::refuse;
}

/// ABORT and SHUTDOWN_COMPLETE: the sender may have no state left, and reflect the tag that came.
tag_ruling rule_on_last(judged& j, const sctp_chunk& chunk) {
  const bool is_reflected = (chunk.flags & sctp_chunk::t_flag) != 0;
  return take_if(j.vtag == (is_reflected ? j.peer_vtag() : j.own_vtag()), j);
}

tag_ruling rule_on_heartbeat(judged& j) {
  if (j.own_vtag() == 0) {
    j.own_vtag() = j.vtag;
    return tag_ruling::take;
  }
  if (j.vtag == j.own_vtag() || planted("sctp_heartbeat_any_tag")) {
    j.sctp.heartbeat_failed = false;
    return tag_ruling::take;
  }
  if (j.chunks[type::data] || !j.refreshes) return take_if(false, j);
  j.sctp.heartbeat_failed = true;
  j.sctp.heartbeat_dir = j.d;
  j.refreshes = false;
  return tag_ruling::pass_over;
}

tag_ruling rule_on_heartbeat_ack(judged& j) {
  if (j.own_vtag() == 0) {
    j.own_vtag() = j.vtag;
    return tag_ruling::take;
  }
  if (j.vtag == j.own_vtag()) {
    j.sctp.heartbeat_failed = false;
    return tag_ruling::take;
  }
  const bool answers_strange_heartbeat = j.sctp.heartbeat_failed && j.sctp.heartbeat_dir != j.d;
  if (j.chunks[type::data] || !j.refreshes || !answers_strange_heartbeat) return take_if(false, j);
  j.sctp.heartbeat_failed = false;
  j.own_vtag() = j.vtag;
  j.peer_vtag() = 0;
  return tag_ruling::take;
}

tag_ruling rule_on_tag(judged& j, const sctp_chunk& chunk) {
  switch (chunk.type) {
    case type::init:
      return take_if(j.vtag == 0, j);
    case type::abort:
    case type::shutdown_complete:
      return rule_on_last(j, chunk);
    case type::cookie_echo:
      return take_if(j.vtag == j.own_vtag(), j);
    case type::cookie_ack:
      j.sctp.has_init = {};
      return tag_ruling::take;
    case type::heartbeat:
      return rule_on_heartbeat(j);
    case type::heartbeat_ack:
      return rule_on_heartbeat_ack(j);
    default:
      return tag_ruling::take;
  }
}

/// An INIT says what the other side has to send.
void learn_from_init(judged& j, std::uint32_t tag, sctp_state from, sctp_state to) {
  auto& has_init = j.sctp.has_init;
  const bool is_repeated = from != sctp_state::none && j.peer_vtag() == tag;
  if (!is_repeated) {
    if (has_init[index(j.d)]) has_init[index(!j.d)] = false;
    has_init[index(j.d)] = true;
  }
  j.peer_vtag() = tag;
  if (from == sctp_state::closed && to == sctp_state::closed && j.ct.is_confirmed() &&
      !planted("sctp_init_prolongs")) {
    j.refreshes = false;
  }
}

/// So does an INIT_ACK, if it answers an INIT. False: it is a late one.
bool learn_from_init_ack(judged& j, std::uint32_t tag) {
  const bool was_asked = j.sctp.has_init[index(!j.d)];
  const bool is_collision = was_asked && j.sctp.has_init[index(j.d)];
  if (!was_asked && j.peer_vtag() != 0 && j.peer_vtag() != tag) return false;
  if (is_collision && j.peer_vtag() != tag) return false;
  j.peer_vtag() = tag;
  return true;
}

bool learn_tags(judged& j, const sctp_chunk& chunk, sctp_state from, sctp_state to) {
  if (chunk.type != type::init && chunk.type != type::init_ack) return true;
  const std::optional<std::uint32_t> tag = chunk.init_tag();
  if (!tag) {
    j.reason = "sctp: INIT or INIT_ACK is cut";
    return false;
  }
  if (chunk.type == type::init) {
    learn_from_init(j, *tag, from, to);
    return true;
  }
  if (learn_from_init_ack(j, *tag)) return true;
  j.reason = "sctp: INIT_ACK changes a tag that is agreed on";
  return false;
}

/// False: the packet is invalid, j.reason says why.
bool take_chunk(judged& j, const sctp_chunk& chunk) {
  switch (rule_on_tag(j, chunk)) {
    case tag_ruling::take:
      break;
    case tag_ruling::pass_over:
      return true;
    case tag_ruling::refuse:
      return false;
  }
  const sctp_state from = j.sctp.state;
  const sctp_state to = next_state(j.d, chunk.type, from);
  if (to == sctp_state::max) {
    j.reason = "sctp: chunk is impossible in this state";
    return false;
  }
  if (!learn_tags(j, chunk, from, to)) return false;
  j.sctp.state = to;
  if (from == to) return true;
  j.ct.ecache.cache(event::protoinfo);
  if (to == sctp_state::established && j.ct.set(status::assured)) {
    j.ct.ecache.cache(event::assured);
  }
  return true;
}

/// Takes the first packet of an entry; which tags can be known is known then. nullptr, or why an
/// association cannot begin like this (RFC 9260, section 8.4).
const char* begin(judged& j) {
  const char* const no_beginning = "sctp: does not begin an association";
  if (j.chunks[type::abort] || j.chunks[type::shutdown_complete] || j.chunks[type::cookie_ack]) {
    return no_beginning;
  }
  const char* why = nullptr;
  j.sctp = sctp_data{};
  for_each_sctp_chunk(j.pkt.l4, [&](const sctp_chunk& chunk, std::size_t) {
    const sctp_state to = next_state(dir::original, chunk.type, sctp_state::none);
    if (to == sctp_state::none || to == sctp_state::max) {
      why = no_beginning;
    } else if (chunk.type == type::init) {
      const std::optional<std::uint32_t> tag = chunk.init_tag();
      if (j.vtag != 0) why = "sctp: INIT with a verification tag";
      if (!tag) why = "sctp: INIT or INIT_ACK is cut";
      j.sctp.vtag[index(dir::reply)] = tag.value_or(0);
    } else if (chunk.type == type::heartbeat) {
      j.sctp.vtag[index(dir::original)] = j.vtag;
    } else if (chunk.type == type::shutdown_ack) {
      j.sctp.vtag[index(dir::reply)] = j.vtag;  // SHUTDOWN_COMPLETE will reflect it
    }
    return why == nullptr;
  });
  return why;
}

/// nullptr, or why the packet is invalid.
const char* judge(judged& j) {
  if (!j.ct.is_confirmed()) {
    if (const char* const why = begin(j); why != nullptr) return why;
  }
  const std::uint32_t tag = planted("sctp_tag_of_other_side") ? j.peer_vtag() : j.own_vtag();
  if (!has_tag_rule(j.chunks) && j.vtag != tag) return "sctp: wrong verification tag";
  for_each_sctp_chunk(j.pkt.l4,
                      [&](const sctp_chunk& chunk, std::size_t) { return take_chunk(j, chunk); });
  return j.reason;
}

track handle(nf_conn& ct, const packet& pkt, track_context& context) noexcept {
  if (pkt.l4.size() < sctp_header_bytes) return context.invalid("sctp: header is cut");
  if (!is_crc32c_right(pkt)) return context.invalid("sctp: bad checksum");
  sctp_chunk_set chunks;
  if (const char* const why = check_chunks(pkt, chunks); why != nullptr) {
    return context.invalid(why);
  }
  std::unique_lock lock(ct.lock);
  judged j{.ct = ct,
           .sctp = ct.proto.sctp,
           .pkt = pkt,
           .chunks = chunks,
           .vtag = read_be32(pkt.l4, vtag_at),
           .d = context.dir()};
  if (const char* const why = judge(j); why != nullptr) return context.invalid(why);
  const auto slot = static_cast<std::size_t>(j.sctp.state);
  lock.unlock();
  if (j.refreshes) refresh_acct(ct, pkt, context, context.timeouts.sctp_timeout[slot]);
  return track::accept;
}

bool can_early_drop(const nf_conn& ct) noexcept {
  const std::lock_guard guard(ct.lock);
  return is_closing(ct.proto.sctp.state);
}

}  // namespace

const l4proto sctp_l4proto = {
    .protonum = ipproto::sctp,
    .name = "sctp",
    .pkt_to_tuple = ports_to_tuple,
    .invert = invert_ports,
    .handle = handle,
    .resolves_clash = false,
    .can_early_drop = can_early_drop,
};

}  // namespace ct::core
