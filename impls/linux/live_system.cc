// SPDX-License-Identifier: BSD-2-Clause
/// The live kernel of this machine behind the face that every implementation has: an oracle that
/// shares no code with what it judges.
///
/// A system is a network namespace of its own, in which the kernel tracks connections because rules
/// ask for their state. `in` sends each packet through it (packet_path.h), reads the packet's
/// ctinfo from what the rules wrote into it (ruleset.h), and has confirmed it: the kernel knows no
/// step between, so that `confirm` and `free_skb` do nothing, and `in` is `pass`. Entries are read
/// and killed over netlink (ctnetlink.h).
///
/// The clock is the machine's: an entry's timeout runs in real time, the kernel's own gc_worker
/// takes it away, `advance`, `gc_worker` and the arrival times of packets change nothing. jiffies64
/// is CLOCK_MONOTONIC in ticks of spec/jiffies.h, which need not be the kernel's own.
///
/// Limits: one CPU; netns 0; zones up to 3 and marks up to 14 of packets (six bits of DSCP);
/// sysctls of the whole machine (nf_conntrack_max, buckets) are not touched; no helpers, no NAT, no
/// timeout policies, no updates. Source: Linux as it runs here.
#include "impls/core/packet.h"
#include "impls/linux/ctnetlink.h"
#include "impls/linux/packet_path.h"
#include "impls/linux/private_netns.h"
#include "impls/linux/ruleset.h"
#include "spec/ct_system.h"
#include "spec/impl.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace ct::live {
namespace {

constexpr std::string_view sysctl_folder = "net/netfilter/";
constexpr std::string_view sysctl_prefix = "nf_conntrack_";

/// CLOCK_MONOTONIC in jiffies of ours, from the moment on at which `begin_ns` stood.
std::uint64_t monotonic_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  constexpr std::uint64_t ns_per_s = 1'000'000'000;
  return static_cast<std::uint64_t>(now.tv_sec) * ns_per_s +
         static_cast<std::uint64_t>(now.tv_nsec);
}

/// What is known of a sysctl of the namespace: name and value.
struct setting {
  std::string name;
  std::uint64_t value = 0;
  bool is_writable = false;
};

/// Is it one value for the whole machine?
bool is_global(std::string_view name) {
  constexpr std::array<std::string_view, 4> global = {"nf_conntrack_max",
                                                      "nf_conntrack_buckets",
                                                      "nf_conntrack_expect_max",
                                                      "nf_conntrack_count"};
  return std::ranges::find(global, name) != global.end();
}

std::vector<setting> read_settings() {
  std::vector<setting> all;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/sys/net/netfilter", ignored)) {
    setting one = {.name = entry.path().filename().string()};
    if (!one.name.starts_with(sysctl_prefix)) continue;
    std::ifstream file(entry.path());
    if (!(file >> one.value)) continue;
    one.is_writable = !is_global(one.name);
    all.push_back(one);
  }
  std::ranges::sort(all, {}, &setting::name);
  return all;
}

/// The name as the kernel has it: what may be left out is put in.
std::string full_name(std::string_view name) {
  constexpr std::string_view tree = "net.netfilter.";
  if (name.starts_with(tree)) name.remove_prefix(tree.size());
  if (name.starts_with(sysctl_prefix)) name.remove_prefix(sysctl_prefix.size());
  return std::string(sysctl_prefix) + std::string(name);
}

class live_system;

class live_cpu final : public cpu {
 public:
  explicit live_cpu(live_system& owner) : owner_(owner) {}
  live_cpu(const live_cpu&) = delete;
  live_cpu& operator=(const live_cpu&) = delete;
  ~live_cpu() override;

  void in(std::span<skb> packets) noexcept override;
  void confirm(std::span<skb>) noexcept override {}
  void free_skb(std::span<skb>) noexcept override {}
  void pass(std::span<skb> packets) noexcept override { in(packets); }
  void find(std::span<const tuple> tuples, std::span<lookup_answer> answers) noexcept override;
  std::size_t create(std::span<const tuple> originals, std::uint32_t timeout_s) noexcept override;
  std::size_t kill(std::span<const tuple> tuples) noexcept override;
  std::optional<conn> get(const tuple& t, std::uint16_t zone_id) noexcept override;
  std::size_t kill_if(const std::function<bool(const conn&)>& chosen) override;
  bool alter_reply(skb&, const tuple&) noexcept override { return false; }
  std::vector<netns_holder> exit_netns(netns_id id) override;
  void advance(std::uint64_t) noexcept override {}
  gc_report gc_worker() noexcept override { return {}; }
  redelivery_report redeliver(netns_id) noexcept override { return {}; }
  resize_status resize(std::size_t) noexcept override { return resize_status::not_supported; }
  void quiescent() noexcept override;

 private:
  void in_one(skb& s) noexcept;

  live_system& owner_;
};

class live_system final : public ct_system {
 public:
  explicit live_system(const system_options& options);

  std::unique_ptr<cpu> attach() override {
    if (is_attached_) {
      throw std::runtime_error("linux has one CPU; detach it before another is attached");
    }
    is_attached_ = true;
    return std::make_unique<live_cpu>(*this);
  }

  std::uint64_t jiffies64() const noexcept override {
    constexpr std::uint64_t ns_per_jiffy = 1'000'000'000 / hz;
    return initial_jiffies + (monotonic_ns() - begin_ns_) / ns_per_jiffy;
  }
  std::size_t count() const noexcept override { return entries_->count(); }
  std::size_t buckets() const noexcept override;
  void dump(cpu&, const std::function<void(const conn&)>& show) override { entries_->dump(show); }
  std::vector<ip_conntrack_stat> statistics() const override { return entries_->statistics(); }
  void listen(netns_id net, listener* to, std::uint32_t mask) override;
  event_stat event_statistics() const override { return told_; }
  std::size_t memory_bytes() const noexcept override { return 0; }
  std::vector<sysctl> sysctls(netns_id) override;
  std::string set_sysctl(netns_id, std::string_view name, std::string_view value) override;
  std::string broken_invariant(cpu&) override { return is_broken_ ? broken_text : ""; }

 private:
  friend live_cpu;

  static constexpr const char* broken_text =
      "the kernel's namespace does not answer any more; nothing can be said";

  void deliver() noexcept;

  private_netns net_;
  std::unique_ptr<packet_path> path_;
  std::unique_ptr<ctnetlink> entries_;
  std::unique_ptr<event_stream> events_;  // while somebody listens
  listener* listener_ = nullptr;
  std::uint32_t mask_ = 0;
  event_stat told_;
  std::vector<setting> settings_;  // names for sysctls(); values are read anew
  std::uint64_t begin_ns_ = monotonic_ns();
  bool is_attached_ = false;
  bool is_broken_ = false;
};

live_system::live_system(const system_options& options) {
  if (options.max_entries != 0) {
    throw std::invalid_argument(
        "linux: nf_conntrack_max is one for the whole machine; leave max_entries out");
  }
  if (!options.helpers.empty()) {
    throw std::invalid_argument("linux: helpers are not supported; leave --helper out");
  }
  net_.inside([this] {
    load_ruleset();
    entries_ = std::make_unique<ctnetlink>();
    settings_ = read_settings();
  });
  path_ = std::make_unique<packet_path>(net_);
  std::vector<sysctl_setting> given = options.sysctls;
  if (options.acct) given.insert(given.begin(), {.name = "nf_conntrack_acct", .value = "1"});
  for (const sysctl_setting& one : given) {
    const std::string error = set_sysctl(0, one.name, one.value);
    if (!error.empty()) throw std::invalid_argument(error);
  }
}

std::size_t live_system::buckets() const noexcept {
  const auto found = std::ranges::find(settings_, "nf_conntrack_buckets", &setting::name);
  return found == settings_.end() ? 0 : static_cast<std::size_t>(found->value);
}

void live_system::listen(netns_id, listener* to, std::uint32_t mask) {
  listener_ = to;
  mask_ = mask;
  if (to == nullptr) {
    events_.reset();
  } else if (events_ == nullptr) {
    net_.inside([this] { events_ = std::make_unique<event_stream>(); });
  }
}

/// Hands over what the kernel has told. It cannot be refused: the kernel has forgotten it.
void live_system::deliver() noexcept {
  if (events_ == nullptr) return;
  const bool is_whole = events_->read([this](const event_message& message) {
    if (listener_ == nullptr || (message.bits & mask_) == 0) return;
    ++told_.delivered;
    (void)listener_->deliver(message);
  });
  if (!is_whole) ++told_.refused;
}

std::vector<sysctl> live_system::sysctls(netns_id) {
  net_.inside([this] {
    const std::vector<setting> now = read_settings();
    for (setting& one : settings_) {
      const auto found = std::ranges::find(now, one.name, &setting::name);
      if (found != now.end()) one.value = found->value;
    }
  });
  std::vector<sysctl> all;
  for (const setting& one : settings_) {
    all.push_back({.name = one.name,
                   .value = one.value,
                   .min = 0,
                   .max = INT32_MAX,
                   .unit = "",
                   .meaning = "as this kernel has it",
                   .is_writable = one.is_writable,
                   .is_per_netns = !is_global(one.name)});
  }
  return all;
}

std::string live_system::set_sysctl(netns_id, std::string_view name, std::string_view value) {
  const std::string full = full_name(name);
  const auto found = std::ranges::find(settings_, full, &setting::name);
  if (found == settings_.end()) {
    return "linux: this kernel has no sysctl '" + full + "'; leave it out";
  }
  if (!found->is_writable) return full + " is one for the whole machine; leave it out";
  const std::string error =
      net_.write_sysctl(std::string(sysctl_folder) + full, std::string(value));
  return error.empty() ? ""
                       : full + "=" + std::string(value) + ": " + error + "; give another value";
}

live_cpu::~live_cpu() { owner_.is_attached_ = false; }

void live_cpu::in(std::span<skb> packets) noexcept {
  for (skb& s : packets) in_one(s);
  owner_.deliver();
}

/// Decoded only as far as the IP packet has to be found in its frame; what is malformed goes in as
/// it is, if the frame is nothing but the packet.
void live_cpu::in_one(skb& s) noexcept {
  s.conn_id = 0;
  s.nfct = nullptr;
  s.info = ctinfo::invalid;
  s.verdict = verdict::accept;
  s.reason = nullptr;
  core::packet found;
  const core::decode_status status = core::decode(s.frame, s.wire_bytes, s.link, found);
  if (status == core::decode_status::not_ip) {
    s.info = ctinfo::untracked;
    return;
  }
  const bool is_whole = status == core::decode_status::ok;
  if (!is_whole && s.link != link_type::raw) {
    s.verdict = verdict::drop;
    s.reason = "linux: malformed, and not given to the kernel";
    return;
  }
  const std::uint32_t mark = std::min(s.ct_mark.value_or(0), mark_max);
  const auto zone_id = std::min<std::uint16_t>(s.zone.id, zone_max);
  const passage done = owner_.path_->send(is_whole ? found.l3 : s.frame,
                                          is_whole ? found.l3_bytes : s.frame.size(),
                                          request_code(zone_id, mark));
  owner_.is_broken_ |= done.is_broken;
  if (!done.came_back) {
    // A fragment waits for others, or was dropped: Linux does not say which.
    s.verdict = found.is_fragment ? verdict::stolen : verdict::drop;
    s.reason = done.is_broken ? live_system::broken_text : "linux: did not come back";
    return;
  }
  // Without an answer no rule was passed: not tracked, as nothing else is.
  s.info = outcome_of(done.dscp).value_or(ctinfo::untracked);
}

void live_cpu::find(std::span<const tuple> tuples, std::span<lookup_answer> answers) noexcept {
  for (std::size_t i = 0; i < tuples.size(); ++i) {
    answers[i] = {};
    const std::optional<conn> found = get(tuples[i], 0);
    if (!found) continue;
    const bool is_original = same_flow(tuples[i], found->tuples[0]);
    answers[i] = {.conn_id = found->id, .dir = is_original ? dir::original : dir::reply};
  }
}

std::size_t live_cpu::create(std::span<const tuple> originals, std::uint32_t timeout_s) noexcept {
  std::size_t made = 0;
  for (const tuple& t : originals) {
    tuple reply = t;
    std::swap(reply.src.addr, reply.dst.addr);
    std::swap(reply.src.id, reply.dst.id);
    made += owner_.entries_->create(t, reply, timeout_s) ? 1 : 0;
  }
  return made;
}

std::size_t live_cpu::kill(std::span<const tuple> tuples) noexcept {
  std::size_t won = 0;
  for (const tuple& t : tuples) won += owner_.entries_->remove(t, 0) ? 1 : 0;
  owner_.deliver();
  return won;
}

std::optional<conn> live_cpu::get(const tuple& t, std::uint16_t zone_id) noexcept {
  return owner_.entries_->get(t, zone_id);
}

/// All of them at once by a flush; else one by one, as conntrack(8) does.
std::size_t live_cpu::kill_if(const std::function<bool(const conn&)>& chosen) {
  std::vector<conn> victims;
  std::size_t all = 0;
  owner_.entries_->dump([&](const conn& c) {
    ++all;
    if (chosen(c)) victims.push_back(c);
  });
  std::size_t killed = 0;
  if (victims.size() == all) {
    owner_.entries_->flush();
    killed = all;
  } else {
    for (const conn& c : victims) {
      killed += owner_.entries_->remove(c.tuples[0], c.zone.id_for(dir::original)) ? 1 : 0;
    }
  }
  owner_.deliver();
  return killed;
}

std::vector<netns_holder> live_cpu::exit_netns(netns_id) {
  owner_.entries_->flush();
  return {};
}

void live_cpu::quiescent() noexcept { owner_.deliver(); }

/// Makes a system in a child, so that what is tried leaves nothing behind in this process.
std::string lacks() {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) return "a pipe: " + errno_text(errno);
  descriptor from(ends[0]);
  descriptor to(ends[1]);
  const pid_t child = fork();
  if (child < 0) return "a process: " + errno_text(errno);
  if (child == 0) {
    std::string missing;
    try {
      const live_system tried(system_options{});
    } catch (const std::exception& error) {
      missing = error.what();
    }
    const ssize_t written = write(to.get(), missing.data(), missing.size());
    _exit(written == static_cast<ssize_t>(missing.size()) ? 0 : 1);
  }
  to = descriptor();
  std::string missing;
  std::array<char, 256> some{};
  for (ssize_t bytes = 0; (bytes = read(from.get(), some.data(), some.size())) > 0;) {
    missing.append(some.data(), static_cast<std::size_t>(bytes));
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0 && missing.empty()) return "a namespace that can be made; the attempt crashed";
  return missing;
}

}  // namespace
}  // namespace ct::live

namespace ct::registry {

/// The registry's row, as impls/core/registry_entry.cc.in makes it for tables. Letters: what the
/// kernel's source keeps.
std::span<const impl> impls_of_linux() {
  static const std::array<impl, 1> list = {
      {{.name = "linux",
        .summary = "the live kernel of this machine, in a network namespace of its own",
        .promises = {letter::a3,
                     letter::b1,
                     letter::b2,
                     letter::b3,
                     letter::b4,
                     letter::c1,
                     letter::c2,
                     letter::d1,
                     letter::d4,
                     letter::e1,
                     letter::f1,
                     letter::g1,
                     letter::g2},
        .make = [](const system_options& options) -> std::unique_ptr<ct_system> {
          return std::make_unique<live::live_system>(options);
        },
        .lacks = live::lacks}}};
  return list;
}

}  // namespace ct::registry
