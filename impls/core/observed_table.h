// SPDX-License-Identifier: BSD-2-Clause
/// A table with an observer: the same verbs, and the marks that belong to them.
///
/// What the core does itself it marks itself. Here are the marks around a lookup, an unlink and a
/// free, and those between the steps of an insert, which only its table sees. A table links and
/// unlinks both tuplehashes within one verb: the two marks come together, after the links, before
/// the unlinks.
#pragma once

#include "impls/core/observer.h"
#include "spec/table.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace ct::core {

template <ct::table Table>
class observed_table : public Table {
 public:
  using entry = typename Table::entry;

  struct local : Table::local {
    explicit local(observed_table& owner)
        : Table::local(owner), observer(owner.observer_.get()), number(observer->attach()) {}
    local(const local&) = delete;
    local& operator=(const local&) = delete;
    ~local() { observer->detach(number); }

    core::observer* observer;
    std::size_t number;
  };

  explicit observed_table(const table_options& options) : Table(options) {}
  /// Before the first local.
  void observe(std::unique_ptr<core::observer> by) { observer_ = std::move(by); }

  template <class Reap>
  found<entry> find_get(local& cpu, const key& k, std::uint32_t now, Reap&& reap) noexcept {
    mark(cpu, action::packet, k);
    const found<entry> hit = Table::find_get(cpu, k, now, [&](entry& ct) noexcept {
      // Else the lookup was led astray, and only gives its reference back.
      if (ct.is_confirmed() && ct.is_expired(now)) mark(cpu, action::find_expired, ct);
      reap(ct);
    });
    if (hit.entry == nullptr) {
      mark(cpu, action::find_miss);
    } else {
      mark(cpu, action::find_get, *hit.entry);
    }
    return hit;
  }

  template <class Steps>
  insert_status insert(local& cpu, entry& ct, Steps& steps) noexcept {
    observed_steps<Steps> marked{steps, cpu};
    return Table::insert(cpu, ct, marked);
  }
  void unlink(local& cpu, entry& ct) noexcept {
    mark(cpu, action::unlink_original, ct);
    mark(cpu, action::unlink_reply, ct);
    Table::unlink(cpu, ct);
  }
  void free(local& cpu, entry& ct) noexcept {
    mark(cpu, action::free, ct);
    Table::free(cpu, ct);
  }
  resize_status resize(local& cpu, std::size_t wanted) noexcept {
    mark(cpu, action::resize_begin);
    const resize_status is = Table::resize(cpu, wanted);
    mark(cpu, action::resize_end);
    return is;
  }

 private:
  template <class Steps>
  struct observed_steps {
    Steps& steps;
    local& cpu;

    bool may_insert(entry& ct) { return steps.may_insert(ct); }
    std::size_t chain_limit() const { return steps.chain_limit(); }
    clash_answer clash(entry& winner, dir d) { return steps.clash(winner, d); }
    void before_link(entry& ct) {
      steps.before_link(ct);
      mark(cpu, is_linked_by(ct, dir::original) ? action::confirm : action::link_reply, ct);
    }
    void after_link(entry& ct) {
      if (is_linked_by(ct, dir::original)) mark(cpu, action::insert_original, ct);
      mark(cpu, action::insert_reply, ct);
      steps.after_link(ct);
      mark(cpu, action::publish, ct);
    }
  };

  std::unique_ptr<core::observer> observer_;
};

}  // namespace ct::core
