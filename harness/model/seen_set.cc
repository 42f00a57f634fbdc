// SPDX-License-Identifier: BSD-2-Clause
/// Open addressing with linear probing, at most four fifths full.
#include "harness/model/seen_set.h"

#include <algorithm>

namespace ct::model {
namespace {

constexpr std::size_t first_capacity = 64;
constexpr std::size_t large = std::size_t{1} << 15;

bool is_too_full(std::size_t count, std::size_t capacity) { return count > capacity / 5 * 4; }

}  // namespace

seen_set::seen_set(memory_budget& budget) : budget_(budget) {
  budget_.take(sizeof(*this) + shard_count * first_capacity * sizeof(entry), "the seen set");
  for (shard& s : shards_) {
    s.entries = std::make_unique<entry[]>(first_capacity);
    s.capacity = first_capacity;
  }
}

seen_set::~seen_set() {
  std::uint64_t bytes = sizeof(*this);
  for (const shard& s : shards_) bytes += s.capacity * sizeof(entry);
  budget_.give_back(bytes);
}

/// The bits behind those of the shard, as a fraction of the capacity.
std::size_t seen_set::home(std::uint64_t high, std::size_t capacity) {
  __extension__ using wide = unsigned __int128;
  return static_cast<std::size_t>((static_cast<wide>(high << shard_bits) * capacity) >> 64);
}

/// Its entry, or the empty one where it belongs.
seen_set::entry* seen_set::find(const shard& in, const fingerprint& f) {
  std::size_t at = home(f.high, in.capacity);
  while (!in.entries[at].is_empty() && in.entries[at].of != f) {
    if (++at == in.capacity) at = 0;
  }
  return &in.entries[at];
}

void seen_set::make_room(shard& in, std::size_t more) {
  std::size_t capacity = in.capacity;
  while (is_too_full(in.count + more, capacity))
    capacity += capacity < large ? capacity : capacity / 4;
  if (capacity == in.capacity) return;
  budget_.take(capacity * sizeof(entry), "the seen set");
  shard grown;
  grown.entries = std::make_unique<entry[]>(capacity);
  grown.capacity = capacity;
  for (std::size_t i = 0; i < in.capacity; ++i) {
    if (!in.entries[i].is_empty()) *find(grown, in.entries[i].of) = in.entries[i];
  }
  budget_.give_back(in.capacity * sizeof(entry));
  in.entries = std::move(grown.entries);
  in.capacity = capacity;
}

std::uint64_t seen_set::insert(std::size_t shard_index,
                               std::span<const candidate> some,
                               std::uint64_t level) {
  const std::uint64_t stored_level = std::min(level, level_max);
  shard& in = shards_[shard_index];
  const std::lock_guard guard(in.lock);
  make_room(in, some.size());
  for (const candidate& c : some) {
    const entry* at = &in.entries[home(c.of.high, in.capacity)];
    __builtin_prefetch(at, 1);
    __builtin_prefetch(at + 3, 1);  // two of three entries share a line: the next one
  }
  std::uint64_t fresh = 0;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const std::uint64_t parent = some[i].parent >> level_bits;
    entry& at = *find(in, some[i].of);
    if (at.is_empty()) {
      at = {some[i].of, parent << level_bits | stored_level};
      ++in.count;
      fresh |= std::uint64_t{1} << i;
    } else if (at.level() == level && level < level_max && parent < at.parent()) {
      at.parent_and_level = parent << level_bits | stored_level;
    }
  }
  return fresh;
}

bool seen_set::is_older(const fingerprint& f, std::uint64_t level) {
  shard& in = shards_[shard_of(f)];
  const std::lock_guard guard(in.lock);
  const entry& at = *find(in, f);
  return !at.is_empty() && (at.level() < level || at.level() == level_max);
}

/// The entry one level above whose first 48 bits are the parent's; nullptr if there is none. That
/// there are two is less likely than 2^-20 for 10^8 states; whoever follows the path notices.
const seen_set::entry* seen_set::parent_of(const entry& child) const {
  const std::uint64_t least = child.parent() << level_bits;
  const shard& in = shards_[shard_of({least, 0})];
  const std::size_t last = home(least | level_max, in.capacity);
  std::size_t at = home(least, in.capacity);
  for (std::size_t probes = 0; probes < in.capacity; ++probes) {
    const entry& e = in.entries[at];
    if (e.is_empty() && at >= last) return nullptr;
    const bool is_above =
        e.level() + 1 == child.level() || (child.level() == level_max && e.level() == level_max);
    if (!e.is_empty() && e.of.high >> level_bits == child.parent() && is_above) return &e;
    if (++at == in.capacity) at = 0;
  }
  return nullptr;
}

std::vector<fingerprint> seen_set::path_to(const fingerprint& f) const {
  std::vector<fingerprint> path;
  for (const entry* e = find(shards_[shard_of(f)], f); e != nullptr && !e->is_empty();
       e = e->level() == 1 ? nullptr : parent_of(*e)) {
    path.push_back(e->of);
  }
  std::ranges::reverse(path);
  return path;
}

}  // namespace ct::model
