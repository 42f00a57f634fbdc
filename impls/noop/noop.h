// SPDX-License-Identifier: BSD-2-Clause
/// A table that stores nothing: what is left of a measurement when the table is taken out.
///
/// Every lookup misses, every insert is said to have worked, though neither before_link nor
/// after_link ran: the packet's reference stays the only one, and its put frees the entry. So the
/// core works as if each packet were the first of a connection: packets, trackers, allocation,
/// statistics. There is nothing to synchronise but the slab. It promises no letter and takes part
/// in timing only.
/// Source: none; /dev/null among tables.
#pragma once

#include "impls/core/nf_conn.h"
#include "impls/sync/slab.h"
#include "spec/table.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ct::noop {

class table {
 public:
  using entry = core::nf_conn;
  using slab = sync::slab<entry, sync::reuse::exclusive>;

  static constexpr std::string_view summary = "stores nothing: the cost of everything but a table";
  static constexpr claims promises = {};

  struct local {
    explicit local(table& t) : magazine(t.slab_) {}
    slab::magazine magazine;
  };

  explicit table(const table_options&) {}

  template <class Reap>
  found<entry> find_get(local&, const key&, std::uint32_t, Reap&&) noexcept {
    return {};
  }
  void prefetch(local&, std::span<const std::uint32_t>) noexcept {}

  entry* alloc(local& l) noexcept { return slab_.alloc(l.magazine); }
  template <class Steps>
  insert_status insert(local&, entry&, Steps&) noexcept {
    return insert_status::inserted;
  }
  void unlink(local&, entry&) noexcept {}
  void free(local& l, entry& e) noexcept { slab_.free(l.magazine, e); }

  template <class Want, class Take>
  bool scan(local&, std::size_t, Want&&, Take&&) noexcept {
    return true;
  }
  std::size_t bucket_count() const noexcept { return 1; }
  std::size_t bucket_of(std::uint32_t) const noexcept { return 0; }
  resize_status resize(local&, std::size_t) noexcept { return resize_status::not_supported; }

  void quiescent(local&) noexcept {}
  std::size_t memory_bytes() const noexcept { return slab_.memory_bytes(); }
  bool is_valid() const { return true; }

 private:
  slab slab_;
};

}  // namespace ct::noop
