// SPDX-License-Identifier: BSD-2-Clause
/// See harness/bench/filled_system.h.
#include "harness/bench/filled_system.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <fmt/format.h>
#include <thread>

namespace ct::bench {
namespace {

/// Sum over entries of a hash of tuples and id: equal for equal sets in whatever order.
std::uint64_t entry_hash(const tuple& original, const tuple& reply, std::uint64_t id) {
  std::uint64_t h = id * 0x9e3779b97f4a7c15ULL;
  for (const tuple& t : {original, reply}) {
    for (const std::uint64_t word : words(t)) h = (std::rotl(h, 23) ^ word) * 0xff51afd7ed558ccdULL;
  }
  return h ^ (h >> 31);
}

}  // namespace

system_options options_for(std::size_t connections,
                           std::uint64_t seed,
                           const std::vector<sysctl_setting>& sysctls) {
  system_options out;
  out.buckets = std::bit_ceil(std::max<std::size_t>(connections, 1024));
  out.seed = seed;
  out.sysctls = sysctls;
  return out;
}

std::size_t create_all(cpu& on, std::span<const tuple> originals, std::uint32_t timeout_s) {
  std::size_t created = 0;
  for (std::size_t at = 0; at < originals.size(); at += batch_size) {
    created +=
        on.create(originals.subspan(at, std::min(batch_size, originals.size() - at)), timeout_s);
  }
  return created;
}

std::size_t kill_all(cpu& on, std::span<const tuple> tuples) {
  std::size_t killed = 0;
  for (std::size_t at = 0; at < tuples.size(); at += batch_size) {
    killed += on.kill(tuples.subspan(at, std::min(batch_size, tuples.size() - at)));
  }
  return killed;
}

std::string broken_conservation(const ct_system& system, cpu& on, const ledger& is) {
  const std::size_t expected = is.before + is.created - is.killed - is.reaped;
  // A free may wait for a grace period of a background thread; a leak waits for ever.
  for (int tries = 0; system.count() != expected && tries < 100; ++tries) {
    on.quiescent();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const std::size_t count = system.count();
  if (count == expected) return {};
  return fmt::format("{} entries at the end; {} + {} created - {} killed - {} reaped are {}",
                     count,
                     is.before,
                     is.created,
                     is.killed,
                     is.reaped,
                     expected);
}

filled_system::filled_system(const impl& of, const key_set& keys, const system_options& options)
    : stores_nothing_(of.is_timing_only()), system_(of.make(options)), ids_(keys.connections()) {
  problem_ = fill(keys);
}

std::string filled_system::fill(const key_set& keys) {
  const std::unique_ptr<cpu> on = system_->attach();
  const std::size_t created = create_all(*on, keys.originals(), lasting_s);
  if (stores_nothing_) return {};
  if (created != keys.connections()) {
    return fmt::format("only {} of {} entries could be created", created, keys.connections());
  }
  if (const std::string broken = broken_conservation(*system_, *on, {.created = created});
      !broken.empty()) {
    return broken;
  }
  if (const std::string wrong = learn_ids(*on, keys); !wrong.empty()) return wrong;
  return compare_with_dump(*on, keys);
}

std::string filled_system::learn_ids(cpu& on, const key_set& keys) {
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < keys.connections(); ++i) {
    const std::array<tuple, 2> asked = {keys.originals()[i],
                                        workloads::reply_of(keys.originals()[i])};
    std::array<lookup_answer, 2> answers{};
    on.find(asked, answers);
    ids_[i] = answers[0].conn_id;
    const bool is_right = answers[0].conn_id != 0 && answers[0].dir == dir::original &&
                          answers[1].conn_id == answers[0].conn_id && answers[1].dir == dir::reply;
    wrong += is_right ? 0 : 1;
  }
  if (wrong == 0) return {};
  return fmt::format("{} of {} entries are not found under both tuples", wrong, keys.connections());
}

std::string filled_system::compare_with_dump(cpu& on, const key_set& keys) {
  std::uint64_t expected = 0;
  for (std::size_t i = 0; i < keys.connections(); ++i) {
    expected += entry_hash(keys.originals()[i], workloads::reply_of(keys.originals()[i]), ids_[i]);
  }
  std::uint64_t dumped = 0;
  std::size_t lines = 0;
  system_->dump(on, [&](const conn& c) {
    tuple original = c.tuples[0];
    tuple reply = c.tuples[1];
    original.dst.dir = dir::original;
    reply.dst.dir = dir::reply;
    dumped += entry_hash(original, reply, c.id);
    ++lines;
  });
  if (lines == keys.connections() && dumped == expected) return {};
  return fmt::format("the dump shows {} entries, which are not the {} that lookups find",
                     lines,
                     keys.connections());
}

std::string filled_system::broken_invariant() {
  if (stores_nothing_ || !problem_.empty()) return {};
  const std::unique_ptr<cpu> on = system_->attach();
  return system_->broken_invariant(*on);
}

}  // namespace ct::bench
