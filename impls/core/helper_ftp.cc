// SPDX-License-Identifier: BSD-2-Clause
/// From a packet of the control connection to an expectation.
#include "impls/core/helper_ftp.h"

#include "impls/core/expect.h"
#include "impls/core/ftp_command.h"
#include "impls/core/proto/tcp_segment.h"

#include <algorithm>
#include <mutex>
#include <optional>

namespace ct::core {

bool is_line_begin(const ftp_lines& lines, dir d, std::uint32_t seq) noexcept {
  const auto& begins = lines.begins[index(d)];
  const auto* const end = begins.begin() + lines.count[index(d)];
  return std::find(begins.begin(), end, seq) != end;
}

void remember_line_begin(ftp_lines& lines, dir d, std::uint32_t seq) noexcept {
  if (is_line_begin(lines, d, seq)) return;
  auto& begins = lines.begins[index(d)];
  std::uint8_t& count = lines.count[index(d)];
  if (count < begins.size()) {
    begins[count++] = seq;
    return;
  }
  std::uint32_t& oldest = is_before(begins[0], begins[1]) ? begins[0] : begins[1];
  if (is_after(seq, oldest)) oldest = seq;
}

namespace {

struct text_segment {
  std::uint32_t seq = 0;
  std::span<const std::byte> text;
};

/// The payload, if there is some and all of it is here.
std::optional<text_segment> read_text(const packet& pkt) {
  tcp_segment header;
  if (pkt.is_fragment || pkt.l4.size() != pkt.l4_bytes) return std::nullopt;
  if (read_segment(pkt, header) != segment_status::ok) return std::nullopt;
  constexpr std::size_t data_offset_at = 12;
  const std::size_t header_bytes = std::to_integer<std::size_t>(pkt.l4[data_offset_at]) >> 4 << 2;
  if (header_bytes >= pkt.l4.size()) return std::nullopt;
  return text_segment{.seq = header.seq, .text = pkt.l4.subspan(header_bytes)};
}

constexpr std::size_t address_bytes(l3num family) { return family == l3num::ipv6 ? 16 : 4; }

/// Expects what `d` offered. False: it cannot be expected, so the packet must not pass.
bool expect_data(nf_conn& ct, dir d, const ftp_offer& offer, help_context& context) {
  const tuple own = ct.tuple(d);
  const tuple other = ct.tuple(!d);
  const bool is_own_address = offer.addr == own.src.addr;
  if (!is_own_address && !context.ftp_loose) return true;
  expectation* const exp = expect_table::alloc(ct);
  if (exp == nullptr) return false;
  // In the words of the other direction's tuple, which NAT may have changed.
  exp->tuple.src = {.addr = other.src.addr, .id = 0, .l3num = own.src.l3num};
  exp->tuple.dst = {.addr = is_own_address ? other.dst.addr : offer.addr,
                    .id = offer.port,
                    .protonum = ipproto::tcp};
  std::fill_n(exp->mask.addr.begin(), address_bytes(own.src.l3num), std::uint8_t{0xff});
  const expect_status outcome = context.expects.insert(*exp, context.now, context.stat);
  expect_table::put(*exp);
  return outcome == expect_status::inserted;
}

verdict help_ftp(nf_conn& ct, help_context& context) noexcept {
  if (context.info != ctinfo::established && context.info != ctinfo::established_reply) {
    return verdict::accept;
  }
  const std::optional<text_segment> segment = read_text(context.pkt);
  if (!segment) return verdict::accept;
  const dir d = direction(context.info);
  const std::lock_guard guard(ct.lock);
  ftp_lines& lines = ct.help->ftp;
  verdict outcome = verdict::accept;
  if (is_line_begin(lines, d, segment->seq)) {
    ftp_offer offer{.addr = ct.tuple(d).src.addr};
    switch (read_ftp_offer(segment->text, d, ct.tuple(d).src.l3num, offer)) {
      case ftp_offer_status::none:
        break;
      case ftp_offer_status::incomplete:
        context.reason = "ftp: an offer that breaks off";
        return verdict::drop;
      case ftp_offer_status::found:
        if (expect_data(ct, d, offer, context)) break;
        context.reason = "ftp: the offer cannot be expected";
        outcome = verdict::drop;
        break;
    }
  }
  if (segment->text.back() == std::byte{'\n'}) {
    const auto bytes = static_cast<std::uint32_t>(segment->text.size());
    remember_line_begin(lines, d, segment->seq + bytes);
  }
  return outcome;
}

}  // namespace

const conntrack_helper ftp_helper = {.name = "ftp",
                                     .protonum = ipproto::tcp,
                                     .classes = {{{.max_expected = 1, .timeout_s = 5 * 60}}},
                                     .class_count = 1,
                                     .help = help_ftp};

}  // namespace ct::core
