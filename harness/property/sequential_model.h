// SPDX-License-Identifier: BSD-2-Clause
/// The contract machine (spec/model/conntrack.h) beside a real system, a whole operation at a time.
///
/// A command is the machine's actions in the order in which a system takes them; one that is not
/// possible is a difference. For one thread most of what follows is determined. Where the contract
/// leaves a choice (who goes when a table is full, whether something expired is gone already, when
/// a refused DESTROY is told again), the machine goes where the system went, if it may.
///
/// What a tracker says of a packet is an input of the machine: the UDP of this file is written from
/// Linux 6.18 (nf_conntrack_udp_packet()), not from impls/.
///
/// Afterwards all that can be seen is compared: ctinfo, verdict and entry of the packet, answers,
/// messages, walk, dump, lookups under every key, count.
#pragma once

#include "harness/property/command.h"
#include "harness/property/observation.h"
#include "spec/events.h"
#include "spec/impl.h"
#include "spec/jiffies.h"
#include "spec/model/conntrack.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ct::property {

/// Room of the machine: as many entries as a sequence needs, if it lets them go.
struct few_at_once {
  static constexpr bool is_search = false;
  static constexpr std::size_t entries = 32;
  static constexpr std::size_t cpus = slots + 1;
  static constexpr std::size_t netns = nets;
  static constexpr std::size_t tuples = flows;
  using number = std::uint32_t;
  class set {
   public:
    bool has(std::size_t i) const { return (bits_ >> i & 1U) != 0; }
    void add(std::size_t i) { bits_ |= 1U << i; }
    void remove(std::size_t i) { bits_ &= ~(1U << i); }
    void clear() { bits_ = 0; }
    bool is_empty() const { return bits_ == 0; }

   private:
    std::uint32_t bits_ = 0;
  };
};

/// What a run may leave behind.
struct record {
  std::string scenario;  ///< commands that meant something, and what must come of them
  std::map<std::string, std::size_t, std::less<>> taken;  ///< [action of the machine]: how often
};

class sequential_model {
 public:
  explicit sequential_model(std::size_t limit_index, record* into = nullptr);

  /// Does the command mean something here?
  bool takes(const command& c) const;
  /// Does what the system did; empty, or the first difference in what came of the command and in
  /// who is there.
  std::string follow(const command& c, const observation& seen);
  /// Bits: keys of netns 0 under which a lookup would bury nobody.
  std::uint32_t safe_keys() const;
  /// Of the lookups behind a command; empty, or the first difference.
  std::string compare_lookups(std::uint32_t asked, const observation& seen) const;
  std::string compare_statistics(const ip_conntrack_stat& seen) const;

  bool is_held(std::size_t slot) const { return slots_[slot].is_held; }
  std::size_t count() const;
  bool is_deaf() const { return state_.deaf; }
  /// What had to come of the last command.
  const observation& expected() const { return expected_; }

 private:
  using machine = model::basic_conntrack<few_at_once>;
  using entry_state = machine::entry_state;
  using model_index = model::index_t;

  /// What the machine does not know of an entry.
  struct connection {
    std::uint64_t id = 0;
    std::uint64_t stream_ts = 0;  ///< jiffies from which a replied flow is a stream
    std::uint32_t pending = 0;    ///< events that wait, but birth and death
    bool seen_reply = false;
  };
  struct carried {
    bool is_held = false;
    bool is_judged = false;  ///< the tracker's word is the machine's already
    ctinfo info = ctinfo::invalid;
  };
  static constexpr model_index requests = slots;  ///< the CPU of all that is over at once

  static const machine& machine_of(std::size_t limit_index);

  // Machine. `p` is a CPU, `e` an entry.
  void must(bool is_done, std::string_view action);
  entry_state& entry(std::size_t e) { return state_.entry[e]; }
  entry_state& at_hand(model_index p) { return state_.entry[state_.cpu[p].at - 1]; }
  std::size_t at(model_index p) const { return state_.cpu[p].at - 1; }
  model::place where(model_index p) const { return state_.cpu[p].pc; }
  bool is_linked(std::size_t e) const;
  /// Who answers to this key, expired or not; entries: nobody.
  std::size_t answers(std::uint32_t number) const;
  void look_up(model_index p, std::size_t key);
  void make_room(model_index p, const observation& seen);
  bool make(model_index p, const observation& seen, std::uint64_t id);
  void judge(model_index p, bool is_reply);
  bool insert(model_index p, bool resolves_clash);
  bool merge(model_index p, std::size_t winner);
  void deliver(model_index p);
  bool bury(model_index p);
  void leave(model_index p);
  void settle();

  // Commands.
  void run_in(model_index p, const command& c, const observation& seen);
  void run_confirm(model_index p);
  void run_free(model_index p);
  void run_pass(const command& c, const observation& seen);
  void run_alter_reply(const command& c);
  void run_find(const command& c);
  void run_kill(const command& c);
  void run_create(const command& c, const observation& seen);
  void run_wait(const command& c, const observation& seen);
  void run_gc(const observation& seen);
  void reap(std::size_t e);
  void follow_ends(const observation& seen);
  std::size_t walk(model_index scope);
  void run_redeliver(const command& c);
  void redeliver(std::size_t e);
  void run_exit(const command& c);
  void run(const command& c, const observation& seen);

  // Comparison.
  void tell(std::size_t e, std::uint32_t bits);
  void require(bool holds, const std::string& what);
  void compare_outcome(const observation& seen);
  void compare_told(const observation& seen);
  void compare_entries(const observation& seen);
  void compare_entry(const conn& is, std::size_t e);
  std::size_t entry_of(std::uint64_t id) const;
  std::string name_of(std::uint64_t id) const;

  const machine& machine_;
  record* const record_;
  machine::state state_{};
  std::uint64_t now_ = initial_jiffies;
  std::array<connection, few_at_once::entries> connections_{};
  std::array<carried, slots + 1> slots_{};
  std::vector<std::uint64_t> ids_;  ///< of every entry that there was
  ip_conntrack_stat statistics_{};
  // Of the last command.
  observation expected_;
  std::string difference_;
};

/// The system of a sequence and the machine, side by side. Returns the first difference, with the
/// command it came with; empty: none.
std::string first_difference(const impl& on, const sequence& what, record* into = nullptr);

}  // namespace ct::property
