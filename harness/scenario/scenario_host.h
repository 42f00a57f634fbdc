// SPDX-License-Identifier: BSD-2-Clause
/// What a scenario acts on: a system, a CPU, packets on their way, listeners; a function a verb.
///
/// scenario_run.h says what the verbs mean.
#pragma once

#include "spec/event_ledger.h"
#include "spec/impl.h"
#include "workloads/scenario.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ct::harness {

/// What came of a step.
struct observation {
  std::vector<std::string> words;
  std::map<std::string, std::string> values{};
  bool are_counters = false;  ///< a value that an outcome does not name must be 0
  std::optional<std::vector<std::string>> lines{};
  std::string failure{};  ///< not as it must be, whatever is written
};

/// Writes down what it takes.
class scenario_listener final : public listener {
 public:
  explicit scenario_listener(const bool& is_refusing) : is_refusing_(is_refusing) {}
  bool deliver(const event_message& message) noexcept override {
    if (is_refusing_) return false;
    books_.add(message);
    taken_.push_back(message);
    return true;
  }
  /// What was taken since the last call.
  std::vector<event_message> take() { return std::exchange(taken_, {}); }
  const event_ledger& books() const { return books_; }
  /// It listened to everything before there was an entry, so its books must agree with letter H.1.
  bool hears_all = false;

 private:
  const bool& is_refusing_;
  std::vector<event_message> taken_;
  event_ledger books_;
};

class scenario_host {
 public:
  /// Throws text_error or std::invalid_argument for an option that does not exist.
  scenario_host(const workloads::scenario& what, const impl& on);
  ~scenario_host();
  scenario_host(const scenario_host&) = delete;
  scenario_host& operator=(const scenario_host&) = delete;

  // Packets.
  observation in(workloads::word_reader& words);
  observation confirm(workloads::word_reader& words);
  observation free(workloads::word_reader& words);
  observation pass(workloads::word_reader& words);
  observation alter_reply(workloads::word_reader& words);
  // Time, size.
  observation wait(workloads::word_reader& words);
  observation gc(workloads::word_reader& words);
  observation resize(workloads::word_reader& words);
  // Entries on request.
  observation find(workloads::word_reader& words);
  observation create(workloads::word_reader& words);
  observation kill(workloads::word_reader& words);
  observation flush(workloads::word_reader& words);
  observation update(workloads::word_reader& words);
  observation exit_netns(workloads::word_reader& words);
  // Policy.
  observation set_sysctl(workloads::word_reader& words);
  observation labels(workloads::word_reader& words);
  observation policy(workloads::word_reader& words);
  // Events.
  observation listen(workloads::word_reader& words);
  observation unlisten(workloads::word_reader& words);
  observation refuse(workloads::word_reader& words);
  observation take(workloads::word_reader& words);
  observation redeliver(workloads::word_reader& words);
  observation events(workloads::word_reader& words);
  // What is there.
  observation list(workloads::word_reader& words);
  observation expectations(workloads::word_reader& words);
  observation count(workloads::word_reader& words);
  observation buckets(workloads::word_reader& words);
  observation stat(workloads::word_reader& words);
  observation event_stat(workloads::word_reader& words);
  observation entry(workloads::word_reader& words);

  /// Ends everything that is left; the first thing that is not as it must be then.
  std::string finish();

 private:
  /// Packets that came of one name, on their way or gone; conn_id stays when they have left.
  struct traveller {
    std::vector<skb> packets;
    bool is_held = false;
  };

  const std::vector<workloads::text_packet>& packets_of(workloads::word_reader& words) const;
  std::vector<tuple> tuples_of(workloads::word_reader& words) const;
  skb skb_of(const workloads::text_packet& packet) const;
  std::pair<const std::string, traveller>& held(workloads::word_reader& words);
  std::pair<const std::string, traveller>& depart(workloads::word_reader& words);
  /// The one outcome of all its packets, or the failure that they differ.
  observation seen(std::pair<const std::string, traveller>& who, bool is_confirm);
  std::string entry_name(const std::string& handle, std::uint64_t id);
  std::string handle_of(std::uint64_t id) const;
  std::vector<conn> dump();
  scenario_listener& listener_of(netns_id net);

  const workloads::scenario& what_;
  bool is_refusing_ = false;
  std::map<netns_id, std::unique_ptr<scenario_listener>> listeners_;
  std::map<std::string, const timeout_policy*> policies_;
  std::map<std::string, traveller> travellers_;         // [handle]
  std::map<std::uint64_t, std::string> first_handles_;  // [conn id]
  // The system tells listeners to its end; the CPU must be gone before the system.
  std::unique_ptr<ct_system> system_;
  std::unique_ptr<ct::cpu> cpu_;
};

}  // namespace ct::harness
