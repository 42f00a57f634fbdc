// SPDX-License-Identifier: BSD-2-Clause
/// Episodes dealt out to threads, each with its own pair of systems; differences shrunk on the
/// spot.
#include "harness/conform/campaign.h"

#include "harness/conform/explained.h"
#include "harness/conform/lanes.h"
#include "harness/conform/packet_reading.h"
#include "harness/conform/shrink.h"
#include "spec/random.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

namespace ct::harness::conform {
namespace {

constexpr std::size_t shrink_tries_max = 600;
constexpr std::size_t settings_an_episode = 3;
/// So many fragments take less memory than either system allows those that wait.
constexpr std::size_t fragments_max = 8'000;

std::uint64_t seed_of(std::uint64_t seed, std::uint64_t episode) {
  random_source random(seed);
  return random.next() + episode * 0x9e3779b97f4a7c15ULL;
}

std::uint64_t episodes_of(const campaign_options& options) {
  return (options.packets + episode_packets - 1) / episode_packets;
}

/// A value that is not the default, and lets nothing expire while an episode runs.
std::uint64_t other_value(const sysctl& one, random_source& random) {
  if (one.unit == "s") {
    constexpr std::uint64_t values[] = {40, 100, 700, 5000, 500000};
    return values[random.below(5)];
  }
  if (one.max == 1) return one.value == 0 ? 1 : 0;
  return random.below(3);
}

/// Settings that an episode could vary: of one netns, with an effect on packets, not given by the
/// user.
bool is_varied(const sysctl& one, const system_options& given) {
  constexpr std::string_view prefix = "nf_conntrack_";
  constexpr std::array<std::string_view, 2> without_effect = {"nf_conntrack_log_invalid",
                                                              "nf_conntrack_checksum"};
  if (!one.is_writable || !one.is_per_netns) return false;
  if (std::ranges::find(without_effect, one.name) != without_effect.end()) return false;
  return std::ranges::none_of(given.sysctls, [&](const sysctl_setting& s) {
    return s.name.ends_with(one.name.substr(prefix.size()));
  });
}

std::vector<sysctl> varied_of(const std::vector<sysctl>& all, const campaign_options& options) {
  std::vector<sysctl> varied;
  if (!options.varies_sysctls) return varied;
  std::ranges::copy_if(all, std::back_inserter(varied), [&](const sysctl& one) {
    return is_varied(one, options.system);
  });
  return varied;
}

/// Of every second episode, in turn: so that few episodes vary all of them.
std::vector<sysctl_setting> settings_of(std::vector<sysctl> varied,
                                        const campaign_options& options,
                                        std::uint64_t episode) {
  if (episode % 2 == 0) return {};
  random_source order(options.seed);
  for (std::size_t i = varied.size(); i > 1; --i) {
    std::swap(varied[i - 1], varied[order.below(static_cast<std::uint32_t>(i))]);
  }
  random_source random(seed_of(options.seed, ~episode));
  std::vector<sysctl_setting> chosen;
  for (std::size_t i = 0; i < std::min(settings_an_episode, varied.size()); ++i) {
    const sysctl& one = varied[(episode / 2 * settings_an_episode + i) % varied.size()];
    chosen.push_back(
        {.name = std::string(one.name), .value = std::to_string(other_value(one, random))});
  }
  return chosen;
}

/// One thread's part: its own systems, and what it has found.
class worker {
 public:
  worker(const impl& ours, const impl& theirs, const campaign_options& options)
      : ours_(ours), theirs_(theirs), options_(options) {
    renew({});
    defaults_ = pair_->sysctls();
    varied_ = varied_of(defaults_, options);
    result.seen = coverage(options.system);
    result.sysctls_varied = varied_.size();
  }

  void run_episode(std::uint64_t number) {
    const std::vector<walked_packet> packets = episode_of(options_, number);
    fragments_ += fragments_in(packets);
    if (fragments_ > fragments_max) {
      renew({});
      fragments_ = fragments_in(packets);
    }
    const std::vector<sysctl_setting> settings = settings_of(varied_, options_, number);
    std::vector<sysctl_setting> in_force;
    for (const sysctl_setting& one : settings) {
      if (!pair_->set_sysctl(one.name, one.value)) continue;
      in_force.push_back(one);
      result.seen.note_sysctl(one.name);
    }
    const bool is_deep = options_.is_always_deep || number % deep_every == 0;
    finding found = {.episode = number, .settings = in_force};
    run_list(packets, is_deep, found);
    for (const sysctl_setting& one : in_force) restore(one.name);
  }

  void run_capture(const captured_list& list) {
    finding found = {.capture = list.name};
    run_list(list.packets, true, found);
  }

  campaign_result result;

 private:
  void restore(const std::string& name) {
    const auto found = std::ranges::find(defaults_, name, &sysctl::name);
    (void)pair_->set_sysctl(name, std::to_string(found->value));
  }

  /// Fresh systems, with these settings.
  void renew(const std::vector<sysctl_setting>& settings) {
    pair_.reset();
    pair_.emplace(ours_, theirs_, options_.system, options_.clock());
    for (const sysctl_setting& one : settings) (void)pair_->set_sysctl(one.name, one.value);
  }

  run_options judging(bool is_deep, bool is_counted) {
    run_options options = {.is_deep = is_deep};
    options.is_explained = [this, is_counted](const difference& d, const walked_packet* packet) {
      const explanation* const row = explain(d, packet);
      if (row != nullptr && is_counted) ++result.explained[row->id];
      return row != nullptr;
    };
    return options;
  }

  void run_list(const std::vector<walked_packet>& packets, bool is_deep, finding& found) {
    run_options options = judging(is_deep, true);
    if (is_deep) options.seen = [this](const seen_packet& seen) { result.seen.note(seen); };
    const std::optional<difference> what = pair_->run(packets, options);
    pace& to = is_deep ? result.states : result.outcomes;
    to.packets += what ? std::min(what->packet + 1, packets.size()) : packets.size();
    to.busy_s += pair_->busy_s();
    if (!what) return;
    found.what = *what;
    found.packets = packets;
    if (options_.shrinks) shrink_finding(found);
    result.findings.push_back(std::move(found));
  }

  static std::size_t fragments_in(const std::vector<walked_packet>& packets) {
    return static_cast<std::size_t>(std::ranges::count_if(packets, [](const walked_packet& p) {
      const auto reading = read_packet(p.ip);
      return reading && reading->is_fragment;
    }));
  }

  /// Which of `all` are left.
  static std::vector<walked_packet> pick(const std::vector<walked_packet>& all,
                                         const index_list& kept) {
    std::vector<walked_packet> some;
    some.reserve(kept.size());
    for (const std::size_t at : kept) some.push_back(all[at]);
    return some;
  }

  /// Those that share a host with the packet that was judged otherwise; at the end, with the entry.
  static index_list related(const std::vector<walked_packet>& packets, const difference& what) {
    std::vector<address> hosts;
    if (what.packet < packets.size()) hosts = addresses_of(packets[what.packet].ip);
    if (what.about) hosts.insert(hosts.end(), {what.about->src.addr, what.about->dst.addr});
    index_list kept;
    for (std::size_t i = 0; i < packets.size() && i <= what.packet; ++i) {
      const bool is_related = std::ranges::any_of(
          addresses_of(packets[i].ip),
          [&](const address& a) { return std::ranges::find(hosts, a) != hosts.end(); });
      if (is_related) kept.push_back(i);
    }
    return kept;
  }

  void shrink_finding(finding& found) {
    const std::vector<walked_packet> all = std::move(found.packets);
    found.packets_before = all.size();
    bool is_deep = true;
    difference last = found.what;
    const auto differs = [&](const std::vector<walked_packet>& packets, bool must_be_same) {
      // Fragments wait for longer than a try takes, and nothing ends that but new systems.
      if (fragments_in(packets) != 0) renew(found.settings);
      const auto what = pair_->run(packets, judging(is_deep, false));
      if (!what || (must_be_same && what->field != last.field)) return false;
      last = *what;
      return true;
    };
    // A deep run may see it earlier, and call it something else.
    found.is_repeated = differs(all, false);
    if (!found.is_repeated) {
      is_deep = false;
      found.is_repeated = differs(all, true);
    }
    if (!found.is_repeated) {
      found.packets = pick(all, related(all, found.what));
      found.lanes = make_lanes(*pair_, found.packets);
      return;
    }
    index_list kept = related(all, last);
    if (kept.empty() || !differs(pick(all, kept), true)) {
      kept.resize(std::min(all.size(), last.packet + 1));
      std::iota(kept.begin(), kept.end(), std::size_t{0});
    }
    const auto fails = [&](const index_list& some) { return differs(pick(all, some), true); };
    kept = shrink(std::move(kept), fails, shrink_tries_max);
    found.packets = pick(all, kept);
    if (differs(found.packets, true)) found.what = last;
    if (fragments_in(found.packets) != 0) renew(found.settings);
    found.lanes = make_lanes(*pair_, found.packets);
  }

  const impl& ours_;
  const impl& theirs_;
  const campaign_options& options_;
  std::optional<lockstep> pair_;
  std::vector<sysctl> defaults_;
  std::vector<sysctl> varied_;
  std::size_t fragments_ = 0;  // that the systems were given
};

void merge(campaign_result& to, campaign_result& from) {
  for (const auto& [a, b] :
       {std::pair(&to.outcomes, &from.outcomes), std::pair(&to.states, &from.states)}) {
    a->packets += b->packets;
    a->busy_s += b->busy_s;
  }
  for (finding& one : from.findings) to.findings.push_back(std::move(one));
  for (const auto& [row, count] : from.explained) to.explained[row] += count;
  to.seen.merge(from.seen);
  to.sysctls_varied = from.sysctls_varied;
}

}  // namespace

std::vector<walked_packet> episode_of(const campaign_options& options, std::uint64_t number) {
  const std::uint64_t before = number * episode_packets;
  const auto count = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(episode_packets, options.packets - before));
  workloads::walk_mix mix({.kinds = options.kinds,
                           .seed = seed_of(options.seed, number),
                           .packets = count,
                           .first_place = static_cast<std::uint32_t>(number * episode_packets),
                           .has_pause = number % pause_every == 1,
                           .has_zones_and_marks = true});
  std::vector<walked_packet> packets;
  packets.reserve(count);
  while (packets.size() < count) {
    walked_packet packet = mix.next();
    // An altered header may name other hosts, or hold options that a router refuses.
    if (is_forwarded(packet.ip)) packets.push_back(std::move(packet));
  }
  return packets;
}

campaign_result run_campaign(const impl& ours,
                             const impl& theirs,
                             const campaign_options& options,
                             const campaign_hooks& hooks) {
  campaign_result total;
  total.seen = coverage(options.system);
  const std::uint64_t episodes = episodes_of(options);
  const std::uint64_t tasks = options.captures.size() + episodes;
  total.threads = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(options.threads, 1, std::max<std::uint64_t>(tasks, 1)));
  std::mutex lock;  // guards total, next_task, done and thrown
  std::uint64_t next_task = 0;
  std::uint64_t done = 0;
  std::exception_ptr thrown;
  const auto take = [&](const worker& by, std::uint64_t& task) {
    const std::lock_guard guard(lock);
    total.was_stopped |= hooks.should_stop && hooks.should_stop();
    const bool is_enough =
        total.findings.size() + by.result.findings.size() >= options.findings_max;
    if (thrown || total.was_stopped || is_enough || next_task == tasks) return false;
    task = next_task++;
    return true;
  };
  const auto work = [&] {
    try {
      worker mine(ours, theirs, options);
      for (std::uint64_t task = 0; take(mine, task);) {
        const std::uint64_t before = mine.result.packets();
        if (task < options.captures.size()) {
          mine.run_capture(options.captures[task]);
        } else {
          mine.run_episode(task - options.captures.size());
        }
        const std::lock_guard guard(lock);
        done += mine.result.packets() - before;
        if (hooks.progress) hooks.progress(done);
      }
      const std::lock_guard guard(lock);
      merge(total, mine.result);
    } catch (...) {
      const std::lock_guard guard(lock);
      thrown = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < total.threads; ++i) threads.emplace_back(work);
  for (std::thread& one : threads) one.join();
  if (thrown) std::rethrow_exception(thrown);
  std::ranges::sort(total.findings, {}, &finding::episode);
  return total;
}

}  // namespace ct::harness::conform
