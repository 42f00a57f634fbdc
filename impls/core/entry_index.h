// SPDX-License-Identifier: BSD-2-Clause
/// A walk over the entries of a map that cannot be walked while others write: gives it `scan`.
///
/// Beside the map, every linked tuplehash is on a chain chosen by its hash (`next` and `prev` of
/// the node, no memory of its own but 16 bytes a chain). The map alone answers lookups, the index
/// alone answers scans; the table joins them by doing both under whatever makes one key's writers
/// wait for each other:
///
/// | verb | order, with the key's exclusion held from begin to end |
/// |---|---|
/// | insert | map, `after_link` (CONFIRMED), index: a scan never meets an entry that a lookup could not find |
/// | unlink | index, map: likewise; and an entry that a scan references is alive, as the table's reference is put later |
///
/// So scans are a subset of lookups at any moment, and equal to them at rest. The two nodes of an
/// entry come and go one after the other: a scan may show one of them alone while an insert or
/// unlink runs.
/// Lock order: the map's locks, then one chain. A scan holds nothing but one chain.
/// Guarantees: E.2 of the table that owns it. Cost: one lock and at most three cache lines a node
/// and verb.
#pragma once

#include "impls/core/chain_array.h"
#include "impls/core/nf_conn.h"

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace ct::core {

class entry_index {
 public:
  explicit entry_index(std::size_t chains_wanted) : chains_(chains_wanted) {}

  void insert(nf_conn& e) noexcept {
    for (tuplehash& node : e.tuplehash) {
      if (!is_linked_by(e, node.dir())) continue;
      locked_chain& chain = chains_.of(node.hash());
      const std::lock_guard guard(chain);
      chain.push_front(node);
    }
  }

  void remove(nf_conn& e) noexcept {
    for (tuplehash& node : e.tuplehash) {
      if (!is_linked_by(e, node.dir())) continue;
      const std::lock_guard guard(chains_.of(node.hash()));
      locked_chain::remove(node);
    }
  }

  template <class Want, class Take>
  bool scan(std::size_t bucket, Want&& want, Take&& take) noexcept {
    const auto end = chains_[bucket].scan([] { return true; }, want, take);
    return end == locked_chain::scan_end::finished;
  }
  std::size_t bucket_count() const noexcept { return chains_.size(); }
  std::size_t bucket_of(std::uint32_t hash) const noexcept { return chains_.index_of(hash); }
  std::size_t memory_bytes() const noexcept { return chains_.memory_bytes(); }

  /// At rest: every chain is sound, every node lies where its hash says, with its entry's other
  /// node, and `is_known(node)` for each.
  template <class Known>
  bool is_valid(Known&& is_known) const {
    for (const locked_chain& chain : chains_.chains()) {
      if (!chain.is_valid()) return false;
      for (tuplehash* node = chain.first(); node != nullptr; node = locked_chain::next(*node)) {
        if (&chains_.of(node->hash()) != &chain || !is_known(*node)) return false;
        const nf_conn& e = entry_of(*node, node->dir());
        const dir other = !node->dir();
        if (is_linked_by(e, other) != locked_chain::is_linked(e.hash_node(other))) return false;
      }
    }
    return true;
  }

 private:
  chain_array chains_;
};

}  // namespace ct::core
