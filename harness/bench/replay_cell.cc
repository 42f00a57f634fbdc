// SPDX-License-Identifier: BSD-2-Clause
/// See harness/bench/replay_cell.h.
#include "harness/bench/replay_cell.h"

#include "harness/bench/filled_system.h"
#include "workloads/flow_groups.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace ct::bench {
namespace {

/// Passes `packets` in batches and shows each afterwards. The capture itself stays as it is: a
/// system writes into what it is given.
template <class Show>
void pass_all(cpu& on, std::span<const skb> packets, Show show) {
  std::array<skb, batch_size> batch;
  for (std::size_t at = 0; at < packets.size(); at += batch_size) {
    const std::size_t count = std::min(batch_size, packets.size() - at);
    std::copy_n(packets.begin() + static_cast<std::ptrdiff_t>(at), count, batch.begin());
    on.pass(std::span(batch).first(count));
    for (std::size_t i = 0; i < count; ++i) show(at + i, batch[i]);
  }
}

class replay_cell : public cell {
 public:
  replay_cell(cell_name name, const impl& of, replay_arena& in)
      : cell(std::move(name), of), arena_(in) {}
  bool times_laps() const override { return true; }

 private:
  ct_system* begin() override {
    subject_ = &arena_.subject(subject());
    if (subject_->problem.empty()) return subject_->system.get();
    fail(subject_->problem);
    return nullptr;
  }

  void body(benchmark::State& state, cpu& on) override {
    const auto thread = static_cast<std::size_t>(state.thread_index());
    const replay_share& share = arena_.shares(threads())[thread];
    const replay_outcome& expected = subject_->shares.at(threads())[thread];
    std::size_t laps = 0;
    std::size_t laps_wrong = 0;
    std::size_t killed = 0;
    for ([[maybe_unused]] auto iteration : state) {
      outcome_digest digest;
      lap(state, on, [&] {
        pass_all(on, share.packets, [&](std::size_t, const skb& packet) {
          digest.add(outcome_digest::outcome(packet));
        });
      });
      killed += kill_all(on, expected.originals);
      laps_wrong += digest == expected.digest ? 0 : 1;
      ++laps;
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(laps * share.packets.size()));
    if (stores_nothing()) return;
    const std::size_t created = laps * expected.originals.size();
    book(created, killed);
    if (laps_wrong != 0) {
      fail(fmt::format("in {} of {} laps packets had another outcome than in the first",
                       laps_wrong,
                       laps));
    }
    if (killed != created) {
      fail(fmt::format("{} laps left {} connections, of which only {} could be killed",
                       laps,
                       created,
                       killed));
    }
  }

  void end(cpu& on) override { judge_conservation(*subject_->system, on, 0); }

  replay_arena& arena_;
  replay_subject* subject_ = nullptr;
};

}  // namespace

replay_arena::replay_arena(std::uint64_t seed,
                           std::span<const skb> capture,
                           const std::vector<sysctl_setting>& sysctls,
                           ip_summed summed)
    : seed_(seed), sysctls_(sysctls), capture_(capture.begin(), capture.end()) {
  for (skb& packet : capture_) {
    packet.jiffies64 = 0;  // the clock stands still
    packet.ip_summed = summed;
  }
  connections_ = workloads::flow_count(capture_);
}

const std::vector<replay_share>& replay_arena::shares(int threads) {
  const auto [at, is_new] = shares_.try_emplace(threads, static_cast<std::size_t>(threads));
  if (!is_new) return at->second;
  const std::vector<int> dealt = workloads::deal_out(capture_, threads);
  for (std::size_t place = 0; place < capture_.size(); ++place) {
    replay_share& share = at->second[static_cast<std::size_t>(dealt[place])];
    share.places.push_back(place);
    share.packets.push_back(capture_[place]);
  }
  return at->second;
}

void replay_arena::prepare(const impl& of, std::span<const int> threads) {
  replay_subject& subject = subjects_[std::string(of.name)];
  subject.system =
      of.make(options_for(std::max<std::size_t>(connections_, 65536), seed_, sysctls_));
  subject.outcomes.resize(capture_.size());
  const std::unique_ptr<cpu> on = subject.system->attach();
  learn(subject, *on, 1, of.is_timing_only());
  for (const int count : threads) {
    if (count != 1 && subject.problem.empty()) learn(subject, *on, count, of.is_timing_only());
  }
  if (!of.is_timing_only()) judges_.emplace_back(of.name);
}

void replay_arena::learn(replay_subject& subject, cpu& on, int threads, bool stores_nothing) {
  std::vector<replay_outcome>& known = subject.shares[threads];
  std::size_t changed = 0;
  for (const replay_share& share : shares(threads)) {
    replay_outcome& outcome = known.emplace_back();
    pass_all(on, share.packets, [&](std::size_t i, const skb& packet) {
      const std::uint8_t got = outcome_digest::outcome(packet);
      outcome.digest.add(got);
      std::uint8_t& first = subject.outcomes[share.places[i]];
      if (threads == 1) first = got;
      changed += got == first ? 0 : 1;
    });
    if (stores_nothing) continue;
    subject.system->dump(on, [&](const conn& c) { outcome.originals.push_back(c.tuples[0]); });
    const std::size_t count = subject.system->count();
    const std::size_t killed = kill_all(on, outcome.originals);
    if (count != outcome.originals.size() || killed != count) {
      subject.problem =
          fmt::format("after the capture {} entries are counted, {} dumped, {} killed",
                      count,
                      outcome.originals.size(),
                      killed);
      return;
    }
    subject.problem =
        broken_conservation(*subject.system, on, {.created = count, .killed = killed});
    if (!subject.problem.empty()) return;
  }
  if (changed != 0 && !stores_nothing) {
    subject.problem =
        fmt::format("{} packets have another outcome when the flows are dealt out to {} threads",
                    changed,
                    threads);
  }
}

void replay_arena::compare() {
  const auto votes = [this](const std::string& name) {
    return std::ranges::count_if(judges_, [&](const std::string& other) {
      return subjects_.at(other).outcomes == subjects_.at(name).outcomes;
    });
  };
  if (judges_.empty()) return;
  const std::vector<std::uint8_t>& majority =
      subjects_.at(*std::ranges::max_element(judges_, {}, votes)).outcomes;
  for (const std::string& name : judges_) {
    replay_subject& judged = subjects_.at(name);
    if (judged.outcomes == majority || !judged.problem.empty()) continue;
    std::size_t differ = 0;
    std::size_t first = 0;
    for (std::size_t i = majority.size(); i-- > 0;) {
      if (judged.outcomes[i] == majority[i]) continue;
      ++differ;
      first = i;
    }
    judged.problem = fmt::format(
        "{} of {} packets have another outcome than most implementations say, the first is packet "
        "{}",
        differ,
        majority.size(),
        first + 1);
  }
}

std::unique_ptr<cell> replay_arena::make_cell(const impl& of, int threads) {
  cell_name name{"replay", std::string(of.name), connections_, threads};
  return std::make_unique<replay_cell>(name, of, *this);
}

}  // namespace ct::bench
