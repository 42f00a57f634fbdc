// SPDX-License-Identifier: BSD-2-Clause
/// What can be seen of a system: what came of a command, what was told meanwhile, and who is there
/// behind it.
#pragma once

#include "harness/property/command.h"
#include "spec/ct_system.h"
#include "spec/impl.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ct::property {

/// One that was taken.
struct told_message {
  std::uint64_t id = 0;
  std::uint32_t bits = 0;
  auto operator<=>(const told_message&) const = default;
};

struct holder {
  std::uint64_t id = 0;
  std::uint32_t use = 0;
  std::string_view where;
  auto operator<=>(const holder&) const = default;
};

struct observation {
  // Of the command; what it has not is as here.
  ctinfo info = ctinfo::invalid;
  ct::verdict verdict = verdict::accept;
  std::uint64_t conn_id = 0;  ///< the packet's entry, or what was found
  ct::dir dir = dir::original;
  std::size_t number = 0;  ///< killed, created, reaped, delivered; 1 for done
  std::size_t waiting = 0;
  bool is_congested = false;
  std::vector<holder> holders;  ///< sorted
  // Meanwhile.
  std::vector<told_message> told;
  // Behind it.
  std::vector<conn> linked;  ///< by a walk that misses none: expired and reply-only ones too
  std::vector<conn> listed;  ///< by a dump
  std::array<lookup_answer, keys_of_net> found{};  ///< [key], where asked for
  std::array<std::uint64_t, keys_of_net> got{};    ///< [key], likewise: ids
  std::size_t count = 0;
};

/// A system with one CPU, whose listeners write down what they are told.
class observed_system {
 public:
  observed_system(const impl& on, const sequence& what);
  ~observed_system();
  observed_system(const observed_system&) = delete;
  observed_system& operator=(const observed_system&) = delete;

  void run(const command& c, observation& out);
  /// Who is there; asks only for keys of which `asks` has the bit: a lookup buries the expired.
  void look(std::uint32_t asks, observation& out);
  ip_conntrack_stat statistics() const;
  /// At rest; empty: none.
  std::string broken_invariant() { return system_->broken_invariant(*cpu_); }

 private:
  class recorder final : public listener {
   public:
    explicit recorder(observed_system& of) : of_(of) {}
    bool deliver(const event_message& message) noexcept override;

   private:
    observed_system& of_;
  };

  skb packet(std::size_t key) const;
  void run_packet(const command& c, observation& out);
  void run_request(const command& c, observation& out);
  void exit_netns(netns_id net, observation& out);
  void see(const skb& s, observation& out) const;

  bool is_refusing_ = false;
  std::vector<told_message> told_;
  recorder recorder_{*this};
  std::array<skb, slots> skbs_{};
  // Tells its listener to its end; the CPU goes before it.
  std::unique_ptr<ct_system> system_;
  std::unique_ptr<ct::cpu> cpu_;
};

}  // namespace ct::property
