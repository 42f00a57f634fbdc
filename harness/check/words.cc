// SPDX-License-Identifier: BSD-2-Clause
/// Findings in words; see words.h.
#include "harness/check/words.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <string>

namespace ct::check {
namespace {

constexpr std::array<std::string_view, allowance_count> allowance_names = {
    "two_phase_delete",
    "loser_returns_early",
    "lazy_expiry",
    "miss_during_resize",
    "chain_too_long",
    "clash_merge",
    "clash_reply_only",
    "half_confirm",
};
constexpr std::array<std::string_view, 15> verb_names = {"find",
                                                         "in",
                                                         "confirm",
                                                         "put",
                                                         "look",
                                                         "create",
                                                         "kill",
                                                         "flush",
                                                         "dump",
                                                         "shown",
                                                         "gc",
                                                         "advance",
                                                         "resize",
                                                         "exit",
                                                         "count"};
constexpr std::array<std::string_view, 11> answer_names = {"none",
                                                           "found",
                                                           "missed",
                                                           "made",
                                                           "refused",
                                                           "invalid",
                                                           "inserted",
                                                           "merged",
                                                           "clashed",
                                                           "won",
                                                           "lost"};

std::string id_of(const entry& e) {
  return e.id == 0 ? "that was created" : fmt::format("{:#x}", e.id);
}

/// Some entry that is linked by one of two keys, in any configuration.
const entry* linked_under(const partition& p, std::uint32_t key, std::uint32_t other) {
  for (const configuration& c : p.configurations()) {
    for (const slot& s : c.slots) {
      if ((p.spec().links_under(s, key) | p.spec().links_under(s, other)) != 0)
        return &p.spec().of(s);
    }
  }
  return nullptr;
}

std::string since(const entry& e) { return fmt::format("from stamp {} on", e.linked_ret); }

finding explained_hit(const partition& p, const called& c) {
  const entry& e = (*p.spec().entries)[c.entry];
  const std::string begins =
      fmt::format("{} of key {} found entry {}", name_of(c.op.verb), c.op.key, id_of(e));
  if (c.deed == deed::hit && (c.op.is_reply ? e.key_reply : e.key_original) != c.op.key) {
    return {.what = begins + fmt::format(", whose keys are {} and {}", e.key_original, e.key_reply),
            .letter = letter::a2};
  }
  bool is_linked = false;
  bool is_half = false;
  for (const configuration& o : p.configurations()) {
    const slot* const s = history_spec::find(o, c.entry);
    is_linked = is_linked || (s != nullptr && p.spec().links_under(*s, c.op.key) != 0);
    is_half = is_half || (s != nullptr && s->links != 0);
  }
  if (is_linked) {
    return {.what = begins + fmt::format(", which had expired before stamp {}", c.op.call),
            .letter = letter::e1};
  }
  if (e.is_foundling && !e.is_settled) {
    return {.what = begins + ", which nobody had made", .letter = letter::a2};
  }
  if (!e.is_confirmed || e.linked_call > c.op.ret) {
    return {.what = begins + ", which was not confirmed yet", .letter = letter::a2};
  }
  if (is_half) {
    return {.what = begins + ", which was unlinked from that key, though not from the other",
            .letter = letter::d2};
  }
  if (e.linked_ret >= c.op.call) {
    return {.what = begins + ", in no order with what else was found and missed meanwhile",
            .letter = letter::a1};
  }
  return {.what = begins + fmt::format(", which was removed before stamp {}", c.op.call),
          .letter = letter::d2};
}

finding explained_miss(const partition& p, const called& c) {
  const entry* const e = linked_under(p, c.op.key, c.op.key);
  const bool is_kill = c.deed == deed::lose;
  std::string what = fmt::format("{} of key {} {}",
                                 name_of(c.op.verb),
                                 c.op.key,
                                 is_kill ? "lost" : name_of(c.op.answer));
  if (e != nullptr) {
    what += fmt::format(", but entry {} could be found under it {} and nobody {} it",
                        id_of(*e),
                        since(*e),
                        is_kill ? "else claimed" : "removed");
  } else {
    what += ", in no order with what was found meanwhile";
  }
  return {.what = std::move(what), .letter = is_kill ? letter::d1 : letter::a1};
}

finding explained_link(const partition& p, const called& c) {
  std::string what = c.op.verb == verb::create
                         ? fmt::format("create of key {} inserted an entry", c.op.key)
                         : fmt::format("confirm of entry {:#x} inserted it", c.op.id);
  const entry* const w = linked_under(p, c.op.key, c.op.other);
  if (w != nullptr) {
    what += fmt::format(", though entry {} stood under key {} or {} {}",
                        id_of(*w),
                        c.op.key,
                        c.op.other,
                        since(*w));
  } else {
    what += ", in no order with the others of its keys";
  }
  return {.what = std::move(what), .letter = letter::c2};
}

}  // namespace

std::string_view name_of(allowance a) { return allowance_names[static_cast<std::size_t>(a)]; }
std::string_view name_of(verb v) { return verb_names[static_cast<std::size_t>(v)]; }
std::string_view name_of(answer a) { return answer_names[static_cast<std::size_t>(a)]; }

finding explained(const partition& p, std::size_t place) {
  const called& c = p.spec().calls[place];
  switch (c.deed) {
    case deed::hit:
      return explained_hit(p, c);
    case deed::miss:
    case deed::lose:
      return explained_miss(p, c);
    case deed::link:
      return explained_link(p, c);
    case deed::join:
      return {.what = fmt::format("confirm of entry {:#x} went over to entry {:#x}, which did not "
                                  "hold its place",
                                  c.op.id,
                                  c.op.number),
              .letter = letter::c2};
    case deed::clash:
      return {.what = fmt::format("{} of key {} clashed, though nobody had key {} or {}",
                                  name_of(c.op.verb),
                                  c.op.key,
                                  c.op.key,
                                  c.op.other),
              .letter = letter::c2};
    case deed::kill:
      return {
          .what = fmt::format("kill of key {} won, but there was no entry that another kill had "
                              "not won",
                              c.op.key),
          .letter = letter::d1};
    case deed::walk:
      return {.what = fmt::format("{} returned at stamp {}, but an entry that was linked when it "
                                  "began still is",
                                  name_of(c.op.verb),
                                  c.op.ret),
              .letter = letter::d2};
    case deed::nothing:
      break;
  }
  return {};
}

}  // namespace ct::check
