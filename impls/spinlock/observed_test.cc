// SPDX-License-Identifier: BSD-2-Clause
/// What planted mistakes make an observed system do is no run of the contract machine.
#include "impls/core/observed_suite.h"
#include "impls/spinlock/spinlock.h"

namespace ct::system_test {
namespace {

using plain = core::observed_table<spinlock::table>;

/// Forgets to unlink, until the last reference goes.
struct late_unlink : plain {
  using plain::plain;
  void unlink(local& cpu, entry& ct) noexcept {
    core::mark(cpu, action::unlink_original, ct);
    core::mark(cpu, action::unlink_reply, ct);
  }
  void free(local& cpu, entry& ct) noexcept {
    if (ct.is_confirmed()) spinlock::table::unlink(cpu, ct);
    plain::free(cpu, ct);
  }
};

/// Finds what has expired an hour ago.
struct slow_clock : plain {
  using plain::plain;
  template <class Reap>
  found<entry> find_get(local& cpu, const key& k, std::uint32_t now, Reap&& reap) noexcept {
    return plain::find_get(cpu, k, now - seconds(3600), reap);
  }
};

/// Looks in the neighbour's house: misses what is there.
struct blind : plain {
  using plain::plain;
  template <class Reap>
  found<entry> find_get(local& cpu, const key& k, std::uint32_t, Reap&&) noexcept {
    core::mark(cpu, action::packet, k);
    core::mark(cpu, action::find_miss);
    return {};
  }
};

TEST_CASE("planted: what was not unlinked is found, and rejected there") {
  stage s(core::make_observed<late_unlink>);
  s.pass(request());
  skb held = s.in(*s.other, answer());
  CHECK(s.one->kill(std::array{tuple_of(request())}) == 1);
  CHECK(s.seen.rejected == "");
  s.pass(request());
  CHECK(s.seen.rejected == "FindGet(p1, e1)");
  s.free(*s.other, held);
}

TEST_CASE("planted: what expired is found, and rejected there") {
  stage s(core::make_observed<slow_clock>);
  s.set("nf_conntrack_udp_timeout", "1");
  s.wait(10);
  s.pass(request());
  s.wait(hz - 5);
  s.wait(10);
  CHECK(s.seen.rejected == "");
  s.pass(request());
  CHECK(s.seen.rejected == "FindGet(p1, e1)");
}

TEST_CASE("planted: a miss of what is there is rejected there") {
  stage s(core::make_observed<blind>);
  s.pass(request());
  CHECK(s.seen.rejected == "");
  s.pass(request());
  CHECK(s.seen.rejected == "FindMiss(p1)");
}

}  // namespace
}  // namespace ct::system_test
