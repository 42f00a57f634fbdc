// SPDX-License-Identifier: BSD-2-Clause
/// Threads, steps and rests; the laws stand in laws.cc.
#include "harness/check/run.h"

#include "harness/check/flows_of_run.h"
#include "harness/check/laws.h"
#include "harness/check/recorder.h"
#include "spec/jiffies.h"
#include "spec/random.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace ct::check {
namespace {

using workloads::run_plan;
using workloads::run_step;

/// A packet that a thread holds.
struct held_packet {
  skb packet{};
  std::uint32_t key = 0;    // original key of its entry
  std::uint32_t other = 0;  // reply key of its entry
  bool is_new = false;      // it made the entry, and is not confirmed yet
};

/// What the threads of a run share.
struct stage {
  const run_plan& plan;
  const run_options& options;
  const flows_of_run& flows;
  ct_system& system;
  run_listener& listener;
};

/// One thread: its CPU, its packets, its random numbers.
class worker {
 public:
  worker(const stage& on, const stamp_clock& clock, std::size_t number)
      : on_(on),
        cpu_(on.system.attach()),
        random_(on.options.seed * 0x9e3779b97f4a7c15ULL + number),
        sink_(on.options.is_recorded ? on.options.slice / on.options.threads + 1 : 0),
        recorder_(std::make_unique<recorder>(clock, sink_, static_cast<std::uint16_t>(number))) {
    std::uint32_t sum = 0;
    for (const std::uint32_t weight : on.plan.weights) upto_.push_back(sum += weight);
  }

  /// About that many operations.
  void work(std::size_t operations) {
    recorder_->rest(now());
    const std::size_t end = done_ + operations;
    while (done_ < end) {
      if (on_.options.jitter != 0 && random_.below(on_.options.jitter) == 0) pause();
      take_step();
    }
    cpu_->quiescent();
  }

  /// Every packet leaves.
  void let_go() {
    recorder_->rest(now());
    while (!held_.empty()) put(held_.size() - 1);
    cpu_->quiescent();
  }

  std::vector<operation> taken() {
    recorder_->flush();
    return sink_.take();
  }
  ct::cpu& cpu() { return *cpu_; }

 private:
  std::uint32_t now() const { return static_cast<std::uint32_t>(on_.system.jiffies64()); }
  const flow_of_run& flow_of(std::uint32_t key) const { return on_.flows[key / 2]; }

  void end(const operation& done) {
    ++done_;
    if (on_.options.is_recorded) recorder_->end(done, now());
  }

  std::uint32_t any_key() {
    const bool is_hot = on_.plan.hot != 0 && random_.below(100) < on_.plan.hot;
    const std::uint32_t flow = is_hot ? 0 : random_.below(on_.plan.flows);
    return 2 * flow + random_.below(2);
  }

  void pause() {
    if (random_.below(8) == 0) return std::this_thread::yield();
    // relaxed: it counts a pause down, and nobody else reads it.
    pause_.store(random_.below(2000), std::memory_order_relaxed);
    while (pause_.fetch_sub(1, std::memory_order_relaxed) > 1) {  // relaxed: see above
    }
  }

  void take_step() {
    const std::uint32_t drawn = random_.below(upto_.back());
    const auto at = std::ranges::upper_bound(upto_, drawn);
    switch (static_cast<run_step>(at - upto_.begin())) {
      case run_step::find:
        return find(any_key());
      case run_step::pass:
        return pass(any_key());
      case run_step::in:
        return hold(any_key(), false);
      case run_step::nat:
        return hold(any_key(), true);
      case run_step::confirm:
        return with_held([&](std::size_t i) {
          confirm(held_[i]);
          if (held_[i].packet.verdict != verdict::accept) put(i);  // dropped: it goes no further
        });
      case run_step::look:
        return with_held([&](std::size_t i) { look(held_[i]); });
      case run_step::put:
        return with_held([&](std::size_t i) { put(i); });
      case run_step::create:
        return create(any_key());
      case run_step::kill:
        return kill(any_key());
      case run_step::flush:
        return counted(verb::flush, cpu_->kill_if([](const conn&) { return true; }));
      case run_step::dump:
        return dump();
      case run_step::gc:
        return counted(verb::gc, pass_of_gc(on_.system, *cpu_));
      case run_step::advance:
        return advance();
      case run_step::resize:
        return resize();
      case run_step::exit:
        return exit_netns();
      case run_step::count:
        return counted(verb::count, on_.system.count());
      case run_step::stall:
        return stall();
    }
  }

  void counted(verb what, std::size_t count) { end({.number = count, .verb = what}); }

  /// A lookup sees netns 0 alone. In a zone it is `get`, as only that can name one.
  void find(std::uint32_t key) {
    const flow_of_run& flow = flow_of(key);
    if (flow.net != 0) return pass(key);
    lookup_answer answer;
    if (flow.zone == 0) {
      cpu_->find({&flow.tuples[key % 2], 1}, {&answer, 1});
    } else if (const auto shown = cpu_->get(flow.tuples[key % 2], flow.zone)) {
      const bool is_original = same_flow(shown->tuples[0], flow.tuples[key % 2]);
      answer = {.conn_id = shown->id, .dir = is_original ? dir::original : dir::reply};
    }
    end({.id = answer.conn_id,
         .key = key,
         .verb = verb::find,
         .answer = answer.conn_id != 0 ? answer::found : answer::missed,
         .is_reply = answer.conn_id != 0 && answer.dir == dir::reply});
  }

  /// The packet comes; true: it holds an entry.
  bool in(held_packet& h, std::uint32_t key) {
    const flow_of_run& flow = flow_of(key);
    h.packet = flow.packet(key % 2);
    h.key = key;
    h.other = key ^ 1U;
    cpu_->in({&h.packet, 1});
    operation done{.id = h.packet.conn_id, .key = key, .verb = verb::in};
    if (h.packet.verdict != verdict::accept) {
      done.answer = answer::refused;
    } else if (h.packet.conn_id == 0) {
      done.answer = answer::invalid;
    } else {
      const std::optional<conn> entry = on_.system.entry_of(h.packet);
      h.is_new = entry && !entry->has(status::confirmed);
      done.answer = h.is_new ? answer::made : answer::found;
      done.is_reply = !h.is_new && direction(h.packet.info) == dir::reply;
      done.timeout = seconds(on_.plan.timeout);
      if (entry && !h.is_new) {
        h.key = on_.flows.key_of(*entry, dir::original);
        h.other = on_.flows.key_of(*entry, dir::reply);
      }
    }
    end(done);
    return h.packet.conn_id != 0;
  }

  void confirm(held_packet& h) {
    const std::uint64_t id = h.packet.conn_id;
    cpu_->confirm({&h.packet, 1});
    if (!std::exchange(h.is_new, false)) return;  // its entry is in the table
    operation done{.id = id,
                   .timeout = seconds(on_.plan.timeout),
                   .key = h.key,
                   .other = h.other,
                   .verb = verb::confirm,
                   .answer = answer::inserted};
    if (h.packet.verdict != verdict::accept) {
      done.answer = answer::clashed;
    } else if (h.packet.conn_id != id) {
      done.answer = answer::merged;
      done.number = h.packet.conn_id;
    }
    end(done);
  }

  void put(held_packet& h) {
    const std::uint64_t id = h.packet.conn_id;
    cpu_->free_skb({&h.packet, 1});
    if (id != 0) end({.id = id, .verb = verb::put});
  }
  void put(std::size_t i) {
    put(held_[i]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  void pass(std::uint32_t key) {
    held_packet h;
    if (in(h, key)) confirm(h);
    put(h);
  }

  void hold(std::uint32_t key, bool is_translated) {
    if (held_.size() >= on_.plan.held) return put(random_.below(on_.plan.held));
    held_packet h;
    if (!in(h, key)) return put(h);
    if (is_translated && h.is_new) {
      const std::uint32_t reply = on_.flows.beside(key, any_key()) ^ 1U;
      if (reply != key && cpu_->alter_reply(h.packet, flow_of(reply).tuples[reply % 2])) {
        h.other = reply;
      }
    }
    held_.push_back(std::move(h));
  }

  template <class Step>
  void with_held(Step&& step) {
    if (held_.empty()) return hold(any_key(), false);
    step(random_.below(static_cast<std::uint32_t>(held_.size())));
  }

  void look(held_packet& h) {
    const std::optional<conn> entry = on_.system.entry_of(h.packet);
    if (!entry) return;
    end({.id = entry->id, .key = on_.flows.key_of(*entry, dir::original), .verb = verb::look});
  }

  /// Requests are about netns 0 and zone 0.
  void create(std::uint32_t key) {
    const flow_of_run& flow = flow_of(key);
    if (flow.net != 0 || flow.zone != 0) return pass(key);
    (void)run_listener::take_born();
    const bool is_made = cpu_->create({&flow.tuples[key % 2], 1}, on_.plan.timeout) != 0;
    end({.id = is_made ? run_listener::take_born() : 0,
         .timeout = seconds(on_.plan.timeout),
         .key = key,
         .other = key ^ 1U,
         .verb = verb::create,
         .answer = is_made ? answer::inserted : answer::clashed});
  }
  void kill(std::uint32_t key) {
    const flow_of_run& flow = flow_of(key);
    if (flow.net != 0 || flow.zone != 0) return pass(key);
    const bool is_won = cpu_->kill({&flow.tuples[key % 2], 1}) != 0;
    end({.key = key, .verb = verb::kill, .answer = is_won ? answer::won : answer::lost});
  }

  void dump() {
    std::vector<operation> shown;
    on_.system.dump(*cpu_, [&](const conn& c) {
      shown.push_back({.id = c.id,
                       .key = on_.flows.key_of(c, dir::original),
                       .other = on_.flows.key_of(c, dir::reply),
                       .verb = verb::shown});
    });
    end({.verb = verb::dump});
    if (!on_.options.is_recorded) return;
    for (const operation& one : shown) recorder_->add(one);
  }

  void advance() {
    const std::uint32_t most = std::max(seconds(on_.plan.timeout) / 2, 1U);
    cpu_->advance(on_.system.jiffies64() + 1 + random_.below(most));
    end({.verb = verb::advance});
  }
  void resize() {
    const std::size_t is = on_.system.buckets();
    const bool is_to_grow = is <= on_.plan.buckets;
    (void)cpu_->resize(is_to_grow ? is * 2 : is / 2);
    end({.verb = verb::resize});
  }
  void exit_netns() {
    const std::uint32_t net = random_.below(on_.plan.netns);
    const std::size_t left = cpu_->exit_netns(static_cast<netns_id>(net)).size();
    end({.number = left, .key = net, .verb = verb::exit});
    // Its listener went with it.
    on_.system.listen(static_cast<netns_id>(net), &on_.listener, all_events);
  }
  void stall() {
    if (!on_.listener.turn()) return;
    for (std::uint32_t net = 0; net < on_.plan.netns; ++net) {
      (void)cpu_->redeliver(static_cast<netns_id>(net));
    }
  }

  stage on_;
  std::unique_ptr<ct::cpu> cpu_;
  random_source random_;
  memory_sink sink_;
  std::unique_ptr<recorder> recorder_;
  std::vector<std::uint32_t> upto_;  // [run_step] of the weights
  std::vector<held_packet> held_;
  std::size_t done_ = 0;
  std::atomic<std::int64_t> pause_{0};
};

/// The threads of a run. A CPU belongs to the thread that attached it, so each lives through the
/// whole run; between two tasks all of them wait.
class crew {
 public:
  using task = std::function<void(worker&)>;

  crew(const stage& on, const stamp_clock& clock)
      : workers_(on.options.threads),
        begin_(std::ssize(workers_) + 1),
        end_(std::ssize(workers_) + 1) {
    for (std::size_t t = 0; t < workers_.size(); ++t) {
      threads_.emplace_back([this, &on, &clock, t] {
        worker mine(on, clock, t);
        workers_[t] = &mine;
        end_.arrive_and_wait();
        for (;;) {
          begin_.arrive_and_wait();
          if (!task_) return;
          task_(mine);
          end_.arrive_and_wait();
        }
      });
    }
    end_.arrive_and_wait();
  }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;
  ~crew() {
    task_ = nullptr;
    begin_.arrive_and_wait();
    for (std::thread& t : threads_) t.join();
  }

  /// All at once, from a common begin; returns at their common end.
  void all(task what) {
    task_ = std::move(what);
    begin_.arrive_and_wait();
    end_.arrive_and_wait();
  }

  /// What they wrote down since the last time as one, by `call`; a thread's own order stays.
  std::vector<operation> taken() {
    std::vector<operation> whole;
    for (worker* const one : workers_) {
      std::vector<operation> part = one->taken();
      const auto middle = std::ssize(whole);
      whole.insert(whole.end(), part.begin(), part.end());
      std::inplace_merge(whole.begin(),
                         whole.begin() + middle,
                         whole.end(),
                         [](const operation& a, const operation& b) { return a.call < b.call; });
    }
    return whole;
  }

 private:
  std::vector<worker*> workers_;  // each in the stack of its thread
  std::barrier<> begin_;
  std::barrier<> end_;
  task task_;
  std::vector<std::thread> threads_;
};

system_options options_of(const run_plan& plan, std::uint64_t seed) {
  system_options options{.buckets = plan.buckets, .max_entries = plan.max, .seed = seed};
  for (const char* name : {"udp_timeout", "udp_timeout_stream"}) {
    options.sysctls.push_back(
        {.name = std::string("nf_conntrack_") + name, .value = std::to_string(plan.timeout)});
  }
  return options;
}

}  // namespace

run_facts facts_of(const run_plan& plan) {
  run_facts facts{.netns = plan.netns,
                  .max = plan.max,
                  .refuses_destroy = plan.has(run_step::stall)};
  for (std::uint32_t f = 0; f < plan.flows; ++f) facts.netns_of_flow.push_back(f % plan.netns);
  return facts;
}

run_outcome run(const impl& which,
                const run_plan& plan,
                const run_options& options,
                const std::function<bool(std::span<const operation>)>& take) {
  using clock = std::chrono::steady_clock;
  const flows_of_run flows(plan);
  const stamp_clock stamps = stamp_clock::choose();
  run_listener listener(stamps);
  const system_options made_with = options_of(plan, options.seed);
  const std::unique_ptr<ct_system> system = options.trace != nullptr
                                                ? which.make_observed(made_with, *options.trace)
                                                : which.make(made_with);
  for (std::uint32_t net = 0; net < plan.netns; ++net) {
    system->listen(static_cast<netns_id>(net), &listener, all_events);
  }
  const stage on{plan, options, flows, *system, listener};
  run_outcome came;
  {
    crew threads(on, stamps);
    if (plan.clock != 0) {
      threads.all([&](worker& w) { w.cpu().advance(plan.clock); });
    }
    for (std::size_t left = options.operations; left != 0 && !came.was_stopped;) {
      const std::size_t now = std::min(left, options.slice);
      left -= now;
      const auto begin = clock::now();
      threads.all([&](worker& w) { w.work(std::max<std::size_t>(1, now / options.threads)); });
      came.seconds += std::chrono::duration<double>(clock::now() - begin).count();
      (void)listener.books();  // everybody rests: what was heard goes, for its room
      if (left == 0) threads.all([](worker& w) { w.let_go(); });
      if (!options.is_recorded) {
        came.operations += now;
        continue;
      }
      const std::vector<operation> slice = threads.taken();
      came.operations += slice.size();
      came.was_stopped = !take(slice);
    }
    if (came.was_stopped) threads.all([](worker& w) { w.let_go(); });
  }
  came.broken_law = law_broken_at_rest(*system, plan, listener);
  return came;
}

}  // namespace ct::check
