// SPDX-License-Identifier: BSD-2-Clause
/// SCTP: plans of chunks that two ends would exchange, left at random; and probes, which take the
/// shortest way to a state of the tracker and then try chunk after chunk in it.
///
/// The ends are modelled only as far as their verification tags go. Side steps carry the tag of the
/// wrong side, none, an old one, or one that nobody asked for; bundle chunks that may not be
/// bundled; repeat packets; and lie about lengths. A walk begins one association after another, on
/// other ports: none has to end well. CRC32c is right, but where it is broken on purpose.
/// Source: RFC 9260, sections 3.3, 5.2 and 8.4.
#include "workloads/walks/walks.h"

#include <array>
#include <utility>
#include <vector>

namespace ct::workloads {
namespace {

using build::bytes;

namespace type {
constexpr std::uint8_t data = 0;
constexpr std::uint8_t init = 1;
constexpr std::uint8_t init_ack = 2;
constexpr std::uint8_t sack = 3;
constexpr std::uint8_t heartbeat = 4;
constexpr std::uint8_t heartbeat_ack = 5;
constexpr std::uint8_t abort = 6;
constexpr std::uint8_t shutdown = 7;
constexpr std::uint8_t shutdown_ack = 8;
constexpr std::uint8_t error = 9;
constexpr std::uint8_t cookie_echo = 10;
constexpr std::uint8_t cookie_ack = 11;
constexpr std::uint8_t shutdown_complete = 14;
}  // namespace type

constexpr std::uint8_t listed[] = {type::init,
                                   type::init_ack,
                                   type::heartbeat,
                                   type::heartbeat_ack,
                                   type::abort,
                                   type::shutdown,
                                   type::shutdown_ack,
                                   type::error,
                                   type::cookie_echo,
                                   type::cookie_ack,
                                   type::shutdown_complete};
/// DATA, SACK, ECNE, CWR, reserved, AUTH, ASCONF_ACK, RE-CONFIG, PAD, FORWARD TSN, ASCONF,
/// reserved.
constexpr std::uint8_t others[] = {0, 0, 0, 3, 3, 12, 13, 15, 16, 128, 130, 132, 192, 193, 255};

constexpr dir o = dir::original;
constexpr dir r = dir::reply;

enum class tag : std::uint8_t {
  right,  ///< what the receiver asked for; 0 for INIT; the sender's own with the T bit
  other,  ///< of the other side
  zero,
  old,      ///< what it was before the last change
  strange,  ///< anything
};

constexpr std::uint8_t nothing = 0xff;  // in place of a bundled chunk

/// A packet of a plan.
struct step {
  dir d = o;
  std::uint8_t chunk = type::data;
  tag carries = tag::right;
  std::uint8_t bundled = nothing;  ///< a second chunk
  bool is_reflected = false;       ///< the T bit
  bool is_fresh = false;           ///< an INIT or INIT_ACK that asks for a tag not used before
};
using plan = std::vector<step>;

const plan openings[] = {
    {{o, type::init}, {r, type::init_ack}, {o, type::cookie_echo}, {r, type::cookie_ack}},
    // All of it retransmitted, data with the cookie.
    {{o, type::init},
     {o, type::init},
     {r, type::init_ack},
     {r, type::init_ack},
     {o, type::cookie_echo, tag::right, type::data},
     {o, type::cookie_echo, tag::right, type::data},
     {r, type::cookie_ack, tag::right, type::sack},
     {r, type::cookie_ack}},
    // Both begin (RFC 9260, section 5.2.1): the same tags again, then others in the answers.
    {{o, type::init},
     {r, type::init},
     {r, type::init_ack},
     {o, type::init_ack},
     {o, type::cookie_echo},
     {r, type::cookie_echo},
     {r, type::cookie_ack},
     {o, type::cookie_ack}},
    {{o, type::init},
     {r, type::init},
     {o, type::init_ack, tag::right, nothing, false, true},
     {r, type::init_ack, tag::right, nothing, false, true},
     {r, type::cookie_echo},
     {o, type::cookie_ack}},
    // The client asks again, for another tag; a late answer to the first.
    {{o, type::init},
     {o, type::init, tag::right, nothing, false, true},
     {r, type::init_ack, tag::old},
     {r, type::init_ack},
     {r, type::init_ack, tag::right, nothing, false, true},
     {o, type::cookie_echo},
     {r, type::cookie_ack}},
    {{o, type::init}, {r, type::init_ack}, {o, type::cookie_echo}, {r, type::error}},
    {{o, type::init}, {r, type::abort}},
    {{o, type::init}, {r, type::abort, tag::right, nothing, true}},
    // Another path of an association that is there already.
    {{o, type::heartbeat, tag::strange}, {r, type::heartbeat_ack, tag::strange}, {o, type::data}},
    {{o, type::heartbeat, tag::strange},
     {r, type::heartbeat, tag::strange},
     {o, type::heartbeat_ack},
     {r, type::heartbeat_ack}},
    {{o, type::heartbeat, tag::strange, type::data}, {r, type::sack}},
    // What is left of one: the answer reflects the tag.
    {{o, type::shutdown_ack, tag::strange},
     {r, type::shutdown_complete, tag::right, nothing, true}},
    {{o, type::data, tag::strange}, {o, type::cookie_ack, tag::zero}, {o, type::init_ack}},
};

const plan exchanges[] = {
    {{o, type::data}, {r, type::sack}, {r, type::data}, {o, type::sack}},
    {{o, type::sack, tag::right, type::data}, {r, type::sack, tag::right, type::heartbeat}},
    {{o, type::heartbeat},
     {r, type::heartbeat_ack},
     {r, type::heartbeat},
     {o, type::heartbeat_ack}},
    {{o, type::error}, {r, type::error}, {o, type::data, tag::right, type::error}},
    // A heartbeat of an end that began again: accepted, and believed when it is answered likewise.
    {{o, type::heartbeat, tag::strange}, {r, type::heartbeat_ack, tag::strange}, {o, type::data}},
    {{r, type::heartbeat, tag::strange},
     {o, type::heartbeat_ack, tag::strange},
     {r, type::heartbeat, tag::strange}},
    {{r, type::heartbeat, tag::strange},
     {r, type::heartbeat},
     {o, type::heartbeat_ack, tag::strange}},
    {{o, type::heartbeat, tag::strange, type::data}, {o, type::heartbeat_ack, tag::strange}},
    // One end restarts.
    {{o, type::init, tag::right, nothing, false, true},
     {r, type::init_ack, tag::right, nothing, false, true},
     {o, type::cookie_echo},
     {r, type::cookie_ack}},
    {{r, type::init, tag::right, nothing, false, true},
     {o, type::init_ack},
     {r, type::cookie_echo},
     {o, type::cookie_ack}},
    {{o, type::data, tag::other}, {r, type::data, tag::old}, {o, type::data, tag::zero}},
};

const plan closings[] = {
    {{o, type::shutdown}, {r, type::shutdown_ack}, {o, type::shutdown_complete}},
    {{r, type::shutdown}, {o, type::shutdown_ack}, {r, type::shutdown_complete}},
    {{o, type::shutdown},
     {r, type::shutdown},
     {r, type::shutdown_ack},
     {o, type::shutdown_ack},
     {o, type::shutdown_complete},
     {r, type::shutdown_complete}},
    {{o, type::shutdown},
     {o, type::shutdown},
     {r, type::data},
     {o, type::sack, tag::right, type::shutdown},
     {r, type::shutdown_ack, tag::right, type::error},
     {o, type::shutdown_complete, tag::right, nothing, true}},
    {{r, type::shutdown}, {o, type::init}, {o, type::shutdown_ack}, {r, type::abort}},
    {{o, type::shutdown}, {o, type::init, tag::right, nothing, false, true}, {r, type::init_ack}},
    {{o, type::abort}, {r, type::abort}},
    {{r, type::abort, tag::right, nothing, true}, {o, type::data}},
    {{r, type::abort, tag::other}, {o, type::abort, tag::other, nothing, true}, {o, type::abort}},
};

/// The shortest ways to the states, from none on.
const plan ways[] = {
    {},
    {{o, type::init}},
    {{o, type::init}, {r, type::init_ack}},
    {{o, type::init}, {r, type::init_ack}, {o, type::cookie_echo}},
    {{o, type::init}, {r, type::init_ack}, {o, type::cookie_echo}, {r, type::cookie_ack}},
    {{o, type::heartbeat, tag::strange},
     {r, type::heartbeat_ack, tag::strange},
     {o, type::shutdown}},
    {{o, type::heartbeat, tag::strange},
     {r, type::heartbeat_ack, tag::strange},
     {r, type::shutdown}},
    {{o, type::shutdown_ack, tag::strange}},
    {{o, type::init},
     {r, type::init_ack},
     {o, type::cookie_echo},
     {r, type::cookie_ack},
     {r, type::shutdown},
     {o, type::shutdown_ack}},
    {{o, type::heartbeat, tag::strange}},
};

class sctp_walk final : public walk {
 public:
  sctp_walk(walk_place place, random_source& random)
      : place_(std::move(place)), client_port_(static_cast<std::uint16_t>(random.below(65536))) {
    side_percent_ = one_of(random, {0U, 10U, 30U, 60U});
    begin(random);
  }

  bytes next(random_source& random) override {
    if (at_ >= plan_.size() && happens(random, 40)) begin(random);
    if (at_ >= plan_.size() || happens(random, side_percent_)) return side_step(random);
    return follow(plan_[at_++], random);
  }

 private:
  /// Another association.
  void begin(random_source& random) {
    ++client_port_;
    tags_ = {};
    old_tags_ = {};
    last_ = {};
    plan_.clear();
    at_ = 0;
    if (happens(random, 50)) {
      add(one_of(random, ways));
      for (std::uint32_t i = 1 + random.below(5); i > 0; --i) plan_.push_back(probe(random));
      return;
    }
    // The first opening is the usual one: it gets a third.
    add(happens(random, 33) ? openings[0] : one_of(random, openings));
    for (std::uint32_t i = random.below(3); i > 0; --i) add(one_of(random, exchanges));
    add(one_of(random, closings));
  }

  void add(const plan& more) { plan_.insert(plan_.end(), more.begin(), more.end()); }

  static step probe(random_source& random) {
    return {.d = any_dir(random),
            .chunk = one_of(random, listed),
            .is_reflected = happens(random, 10)};
  }

  std::uint32_t strange_tag(random_source& random) const {
    return happens(random, 10) ? random.below(3) : static_cast<std::uint32_t>(random.next());
  }

  std::uint32_t tag_of(const step& s, random_source& random) {
    switch (s.carries) {
      case tag::right:
        if (s.chunk == type::init) return 0;
        return tags_[index(s.is_reflected ? !s.d : s.d)];
      case tag::other:
        return tags_[index(!s.d)];
      case tag::zero:
        return 0;
      case tag::old:
        return old_tags_[index(s.d)];
      case tag::strange:
        break;
    }
    const std::uint32_t strange = strange_tag(random);
    // A path begins with the tag that its first packet carries.
    if (tags_[index(s.d)] == 0 || s.chunk == type::heartbeat_ack) set_tag(s.d, strange);
    return strange;
  }

  void set_tag(dir d, std::uint32_t value) {
    if (tags_[index(d)] == value) return;
    old_tags_[index(d)] = std::exchange(tags_[index(d)], value);
  }

  /// What the sender of an INIT or INIT_ACK wants to be sent.
  std::uint32_t wanted_tag(dir d, bool is_fresh, random_source& random) {
    if (tags_[index(!d)] == 0 || is_fresh) {
      set_tag(!d, happens(random, 3) ? 0 : static_cast<std::uint32_t>(random.next()));
    }
    return tags_[index(!d)];
  }

  bytes chunk_of(const step& s, std::uint8_t chunk_type, random_source& random) {
    if (chunk_type == type::init || chunk_type == type::init_ack) {
      return build::init_chunk(chunk_type, wanted_tag(s.d, s.is_fresh, random));
    }
    const auto flags = static_cast<std::uint8_t>(chunk_type == type::data ? 3 : s.is_reflected);
    return build::chunk({.type = chunk_type, .flags = flags},
                        bytes(one_of(random, {0U, 4U, 12U, 13U, 40U})));
  }

  build::layer4 packet_of(dir d, std::uint32_t vtag, const bytes& chunks) const {
    const bool is_original = d == o;
    return build::sctp({.source_port = is_original ? client_port_ : server_port,
                        .dest_port = is_original ? server_port : client_port_,
                        .vtag = vtag},
                       chunks);
  }

  bytes send(dir d, build::layer4 l4) {
    last_[index(d)] = place_.wrap(d, std::move(l4));
    return last_[index(d)];
  }

  bytes follow(const step& s, random_source& random) {
    // The tag first: an INIT_ACK that asks for another changes what the other side carries.
    const std::uint32_t vtag = tag_of(s, random);
    bytes chunks = chunk_of(s, s.chunk, random);
    if (s.bundled != nothing) build::append(chunks, chunk_of(s, s.bundled, random));
    return send(s.d, packet_of(s.d, vtag, chunks));
  }

  static std::uint8_t any_chunk(random_source& random) {
    return happens(random, 75) ? one_of(random, listed) : one_of(random, others);
  }

  bytes side_step(random_source& random) {
    const dir d = any_dir(random);
    if (happens(random, 10) && !last_[index(d)].empty()) return last_[index(d)];
    if (happens(random, 12)) return broken(d, random);
    static constexpr tag tags[] = {tag::other, tag::zero, tag::old, tag::strange};
    const step s = {.d = d,
                    .chunk = any_chunk(random),
                    .carries = happens(random, 65) ? tag::right : one_of(random, tags),
                    .bundled = happens(random, 25) ? any_chunk(random) : nothing,
                    .is_reflected = happens(random, 15),
                    .is_fresh = happens(random, 20)};
    const auto before = tags_;
    bytes packet = follow(s, random);
    // Half of the time the ends do not know that it was sent.
    if (happens(random, 50)) tags_ = before;
    return packet;
  }

  /// Lengths that lie, chunks and headers that are cut, a sum that is wrong.
  bytes broken(dir d, random_source& random) {
    const step s = {.d = d, .chunk = any_chunk(random)};
    const std::uint32_t vtag = tag_of(s, random);
    bytes chunks = chunk_of(s, s.chunk, random);
    const std::size_t second = chunks.size();
    if (happens(random, 40)) build::append(chunks, chunk_of(s, any_chunk(random), random));
    const std::size_t at = second < chunks.size() && happens(random, 50) ? second : 0;
    switch (random.below(7)) {
      case 0:
        build::put16(chunks, at + 2, 0);
        break;
      case 1:
        build::put16(chunks, at + 2, 1 + random.below(4));  // shorter than its header, or no value
        break;
      case 2:
        build::put16(chunks,
                     at + 2,
                     static_cast<unsigned>(chunks.size() - at) + 1 + random.below(2000));
        break;
      case 3:
        chunks.resize(random.below(static_cast<std::uint32_t>(chunks.size())));
        break;
      case 4:
        for (std::uint32_t i = 1 + random.below(3); i > 0; --i) chunks.push_back(std::byte{0});
        break;
      case 5: {
        build::layer4 l4 = packet_of(d, vtag, chunks);
        build::put32(l4.data, 8, static_cast<std::uint32_t>(random.next()));
        return send(d, std::move(l4));
      }
      default: {
        build::layer4 l4 = packet_of(d, vtag, chunks);
        cut(l4, random.below(16));
        return send(d, std::move(l4));
      }
    }
    return send(d, packet_of(d, vtag, chunks));
  }

  static constexpr std::uint16_t server_port = 3868;

  walk_place place_;
  std::uint16_t client_port_;
  std::uint32_t side_percent_ = 0;
  std::array<std::uint32_t, 2> tags_{};      // [dir]: what packets that way have to carry
  std::array<std::uint32_t, 2> old_tags_{};  // [dir]
  std::array<bytes, 2> last_{};              // [dir], sent last
  plan plan_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<walk> begin_sctp(walk_place place, random_source& random) {
  return std::make_unique<sctp_walk>(std::move(place), random);
}

}  // namespace ct::workloads
