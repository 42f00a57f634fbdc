// SPDX-License-Identifier: BSD-2-Clause
/// Bodies of gre_keymap.
#include "impls/core/proto/gre_keymap.h"

#include <algorithm>
#include <mutex>

namespace ct::core {
namespace {

/// Is it the same but for the source key, which the map is asked for, and the direction?
bool is_found_by(const tuple& known, const tuple& t) {
  return known.src.l3num == t.src.l3num && known.src.addr == t.src.addr &&
         known.dst.addr == t.dst.addr && known.dst.id == t.dst.id &&
         known.dst.protonum == t.dst.protonum;
}

}  // namespace

const tuple* gre_keymap::search(const tuple& t) const noexcept {
  const auto at =
      std::ranges::find_if(known_, [&t](const tuple& known) { return is_found_by(known, t); });
  return at == known_.end() ? nullptr : &*at;
}

bool gre_keymap::add(const tuple& original, const tuple& reply) {
  const std::lock_guard guard(lock_);
  const tuple* const there = search(original);
  const tuple* const back = search(reply);
  if ((there != nullptr && !same_flow(*there, original)) ||
      (back != nullptr && !same_flow(*back, reply))) {
    return false;
  }
  const bool is_new_there = there == nullptr;  // adding one may move the other
  const bool is_new_back = back == nullptr;
  if (is_new_there) known_.push_back(original);
  if (is_new_back) known_.push_back(reply);
  update_size();
  return true;
}

void gre_keymap::remove(const tuple& original, const tuple& reply) noexcept {
  const std::lock_guard guard(lock_);
  std::erase_if(known_, [&](const tuple& known) {
    return same_flow(known, original) || same_flow(known, reply);
  });
  update_size();
}

void gre_keymap::clear() noexcept {
  const std::lock_guard guard(lock_);
  known_.clear();
  update_size();
}

std::uint16_t gre_keymap::find(const tuple& t) const noexcept {
  if (size() == 0) return 0;
  const std::lock_guard guard(lock_);
  const tuple* const known = search(t);
  return known == nullptr ? std::uint16_t{0} : known->src.id;
}

}  // namespace ct::core
