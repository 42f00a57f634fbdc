// SPDX-License-Identifier: BSD-2-Clause
/// Each probe of `ctbench doctor`, with the reason when one fails.
#include "harness/cli/machine.h"

#include "harness/format/number.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <initializer_list>
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace ct::harness {
namespace {

namespace fs = std::filesystem;

/// The first line of a file, or empty.
std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// "KEY:   VALUE" of a file under /proc, without the key; or empty.
std::string field(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ':') continue;
    const std::size_t at = line.find_first_not_of(" \t", key.size() + 1);
    return at == line.npos ? "" : line.substr(at);
  }
  return {};
}

std::string errno_text(int number) {
  return fmt::format("{} ({})", strerrorname_np(number), std::strerror(number));
}

finding there(std::string name, std::string value) {
  return {.name = std::move(name),
          .is_there = true,
          .value = std::move(value),
          .why = {},
          .what_to_do = {}};
}

struct missing {
  std::string value;
  std::string why;
  std::string what_to_do;
};

finding not_there(std::string name, missing what) {
  return {.name = std::move(name),
          .is_there = false,
          .value = std::move(what.value),
          .why = std::move(what.why),
          .what_to_do = std::move(what.what_to_do)};
}

finding cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const std::string model = field("/proc/cpuinfo", "model name");
  const std::string value = fmt::format("{} usable{}", usable, model.empty() ? "" : ", " + model);
  if (usable > 1) return there("cores", value);
  return not_there("cores",
                   {value,
                    "threads only take turns, nothing runs in parallel",
                    "use a machine with two cores, or widen taskset's mask"});
}

finding memory() {
  constexpr std::uint64_t wanted_bytes = 2'000'000'000;
  const std::string available = field("/proc/meminfo", "MemAvailable");
  const std::uint64_t bytes = std::strtoull(available.c_str(), nullptr, 10) * 1024;
  const std::string value = size_text(bytes) + " available";
  if (bytes >= wanted_bytes) return there("memory", value);
  return not_there("memory",
                   {value,
                    "benchmarks of a million connections take up to 2 GB",
                    "free some, or leave out the largest size (bench --quick does)"});
}

finding kernel() {
  utsname name{};
  uname(&name);
  return there("kernel", fmt::format("{} {} {}", name.sysname, name.release, name.machine));
}

finding huge_pages() {
  const std::string setting = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  const std::size_t open = setting.find('[');
  if (open != setting.npos && setting.find("[never]") == setting.npos) {
    const std::string chosen = setting.substr(open + 1, setting.find(']') - open - 1);
    return there("huge pages", "transparent: " + chosen);
  }
  return not_there(
      "huge pages",
      {setting.empty() ? "no transparent_hugepage in this kernel" : "transparent: never",
       "large tables pay for TLB misses that others do not have",
       "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"});
}

finding membarrier() {
  const long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  if (commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) {
    return there("membarrier", "private expedited");
  }
  return not_there("membarrier",
                   {commands < 0 ? errno_text(errno) : "no private expedited command",
                    "liburcu's memb flavour falls back to a barrier in every reader",
                    "use Linux 4.14 or later, and allow membarrier(2) in the container"});
}

/// 0 or the errno of opening a counter of this process.
int perf_errno(std::uint32_t type, std::uint64_t config) {
  perf_event_attr attributes{};
  attributes.type = type;
  attributes.size = sizeof attributes;
  attributes.config = config;
  attributes.disabled = 1;
  attributes.exclude_kernel = 1;
  attributes.exclude_hv = 1;
  const long descriptor =
      syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (descriptor < 0) return errno;
  close(static_cast<int>(descriptor));
  return 0;
}

finding perf_events() {
  const std::string paranoid = first_line("/proc/sys/kernel/perf_event_paranoid");
  const int error = perf_errno(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
  if (error == 0) return there("perf events", "paranoid " + paranoid);
  return not_there("perf events",
                   {errno_text(error) + ", paranoid " + paranoid,
                    "no event of this process can be counted",
                    "sysctl kernel.perf_event_paranoid=2, or allow perf_event_open"});
}

finding pmu() {
  const int error = perf_errno(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
  if (error == 0) return there("PMU", "instructions are counted");
  return not_there("PMU",
                   {errno_text(error),
                    "no hardware counters: instructions, cache misses",
                    "use bare metal or a virtual machine that passes its PMU on"});
}

bool has_net_admin() {
  constexpr unsigned cap_net_admin = 12;
  const std::string effective = field("/proc/self/status", "CapEff");
  return (std::strtoull(effective.c_str(), nullptr, 16) >> cap_net_admin & 1) != 0;
}

finding net_admin() {
  const std::string user = fmt::format("user {}", geteuid());
  if (has_net_admin()) return there("CAP_NET_ADMIN", user);
  return not_there("CAP_NET_ADMIN",
                   {user + " without it",
                    "no comparison with the live kernel, no new captures",
                    "run as root, or under unshare -Urn where that is allowed"});
}

finding tun() {
  const int descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (descriptor >= 0) {
    close(descriptor);
    return there("TUN", "/dev/net/tun opens");
  }
  return not_there("TUN",
                   {errno_text(errno) + ": /dev/net/tun",
                    "no packets can be given to the live kernel",
                    "modprobe tun; mkdir -p /dev/net; mknod /dev/net/tun c 10 200"});
}

finding netfilter() {
  std::error_code ignored;
  if (fs::exists("/proc/sys/net/netfilter/nf_conntrack_max", ignored)) {
    return there("conntrack",
                 "nf_conntrack_max " + first_line("/proc/sys/net/netfilter/nf_conntrack_max"));
  }
  return not_there("conntrack",
                   {"no /proc/sys/net/netfilter/nf_conntrack_max",
                    "no live kernel to compare with",
                    "modprobe nf_conntrack, or use a kernel that has it"});
}

finding btf() {
  if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) return there("BTF", "/sys/kernel/btf/vmlinux");
  return not_there("BTF",
                   {errno_text(errno) + ": /sys/kernel/btf/vmlinux",
                    "the kernel's own table cannot be timed from BPF",
                    "use a kernel with CONFIG_DEBUG_INFO_BTF=y"});
}

finding traces() {
  const std::vector<std::string> found = find_traces();
  if (!found.empty()) {
    return there(
        "captures",
        fmt::format("{} in {}", found.size(), fs::path(found.front()).parent_path().string()));
  }
  return not_there("captures",
                   {"none in workloads/traces",
                    "replay needs captures of your own",
                    "git checkout -- workloads/traces, or call ctbench from the project"});
}

bool is_capture_name(const fs::path& path) {
  const std::string name = path.filename().string();
  const auto ends = {".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz"};
  return std::ranges::any_of(ends, [&name](const char* end) { return name.ends_with(end); });
}

}  // namespace

std::string kernel_text() {
  utsname name{};
  uname(&name);
  return fmt::format("{} {}", name.sysname, name.release);
}

std::vector<std::string> find_traces() {
  std::error_code ignored;
  std::vector<fs::path> roots = {"."};
  // build/<preset>/ctbench: the project is two folders above the program's.
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) roots.push_back(program.parent_path() / ".." / "..");
  for (const fs::path& root : roots) {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(root / "workloads" / "traces", ignored)) {
      if (is_capture_name(entry.path())) found.push_back(entry.path().lexically_normal().string());
    }
    std::ranges::sort(found);
    if (!found.empty()) return found;
  }
  return {};
}

std::vector<finding> examine_machine() {
  return {cores(),
          memory(),
          kernel(),
          huge_pages(),
          membarrier(),
          perf_events(),
          pmu(),
          net_admin(),
          tun(),
          netfilter(),
          btf(),
          traces()};
}

}  // namespace ct::harness
