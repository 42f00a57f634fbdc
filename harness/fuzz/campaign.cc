// SPDX-License-Identifier: BSD-2-Clause
/// A child process, its stderr line by line, and its clocks.
#include "harness/fuzz/campaign.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <poll.h>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

namespace ct::harness::fuzz {
namespace {

/// The number behind `word` in a line.
std::optional<std::uint64_t> number_behind(std::string_view line, std::string_view word) {
  const std::size_t at = line.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  const char* const begin = line.data() + at + word.size();
  const auto read = std::from_chars(begin, line.data() + line.size(), value);
  if (read.ec != std::errc{}) return std::nullopt;
  return value;
}

std::vector<std::string> arguments_of(const campaign_options& options) {
  // An input takes about a millisecond: 25 s are an endless loop, on a busy machine too. Without
  // the entropic schedule a sixth more inputs are run, and as many edges found.
  std::vector<std::string> arguments = {
      options.program,
      fmt::format("--target={}", options.target),
      fmt::format("-artifact_prefix={}/{}-", options.findings, options.target),
      "-timeout=25",
      "-rss_limit_mb=2048",
      "-print_final_stats=1",
      "-entropic=0",
      fmt::format("-max_len={}", options.input_bytes_max),
      fmt::format("-seed={}", options.seed & 0xffff'ffff),
  };
  if (!options.dictionary.empty()) arguments.push_back("-dict=" + options.dictionary);
  arguments.insert(arguments.end(), options.corpora.begin(), options.corpora.end());
  return arguments;
}

class child {
 public:
  explicit child(const std::vector<std::string>& arguments) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) fail("pipe");
    std::vector<char*> raw;
    for (const std::string& one : arguments) raw.push_back(const_cast<char*>(one.c_str()));
    raw.push_back(nullptr);
    pid_ = fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
      dup2(ends[1], STDERR_FILENO);
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      execv(raw[0], raw.data());
      _exit(127);
    }
    close(ends[1]);
    from_ = ends[0];
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child() {
    close(from_);
    if (!is_over_) {
      kill(pid_, SIGKILL);
      (void)wait();
    }
  }

  /// What it wrote within `ms`; nothing at its end.
  std::optional<std::string> read_some(int ms) {
    pollfd waiting{.fd = from_, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, ms) <= 0) return std::string{};
    std::array<char, 4096> bytes;
    const ssize_t count = read(from_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) return std::string{};
    if (count <= 0) return std::nullopt;
    return std::string(bytes.data(), static_cast<std::size_t>(count));
  }
  double cpu_s() const {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    constexpr double ns = 1e-9;
    return static_cast<double>(time.tv_sec) + ns * static_cast<double>(time.tv_nsec);
  }
  /// libFuzzer ends as soon as its input is done.
  void ask_to_end() { kill(pid_, SIGUSR1); }
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    is_over_ = true;
    constexpr int signalled = 128;
    return WIFEXITED(status) ? WEXITSTATUS(status) : signalled + WTERMSIG(status);
  }

 private:
  [[noreturn]] static void fail(const char* what) {
    throw std::runtime_error(
        fmt::format("fuzz: {}: {}; free what is short and try again", what, std::strerror(errno)));
  }

  pid_t pid_ = 0;
  int from_ = -1;
  bool is_over_ = false;
};

/// Cuts what was read into lines and learns from each.
class listener_of_lines {
 public:
  explicit listener_of_lines(campaign_result& result) : result_(result), log_(result.log) {}

  void take(std::string_view some) {
    log_ << some << std::flush;
    partial_ += some;
    for (std::size_t end = partial_.find('\n'); end != std::string::npos;
         end = partial_.find('\n')) {
      learn(std::string_view(partial_).substr(0, end));
      partial_.erase(0, end + 1);
    }
  }

 private:
  void learn(std::string_view line) {
    constexpr std::string_view written = "Test unit written to ";
    if (const auto status = read_status(line)) result_.status = *status;
    if (const auto count = number_behind(line, "stat::number_of_executed_units: ")) {
      result_.status.executions = *count;
    }
    if (const std::size_t at = line.find(written); at != std::string_view::npos) {
      result_.input = line.substr(at + written.size());
    }
    constexpr std::array<std::string_view, 4> words =
        {"ctbench_fuzz: finding: ", "runtime error: ", "ERROR: AddressSanitizer: ", "ERROR: "};
    for (const std::string_view word : words) {
      if (result_.finding.empty() && line.find(word) != std::string_view::npos) {
        result_.finding = line;
      }
    }
  }

  campaign_result& result_;
  std::ofstream log_;
  std::string partial_;
};

}  // namespace

std::optional<campaign_status> read_status(std::string_view line) {
  if (!line.starts_with('#')) return std::nullopt;
  const auto executions = number_behind(line, "#");
  const auto edges = number_behind(line, " cov: ");
  const auto features = number_behind(line, " ft: ");
  const auto inputs = number_behind(line, " corp: ");
  if (!executions || !edges || !features || !inputs) return std::nullopt;
  return campaign_status{.executions = *executions,
                         .edges = *edges,
                         .features = *features,
                         .inputs = *inputs};
}

campaign_result run_campaign(const campaign_options& options,
                             const std::function<bool(const campaign_result&)>& seen) {
  using clock = std::chrono::steady_clock;
  constexpr int poll_ms = 200;
  std::filesystem::create_directories(options.corpora.front());
  std::filesystem::create_directories(options.findings);
  campaign_result result{.status = {},
                         .log = fmt::format("{}/{}.log", options.findings, options.target)};
  listener_of_lines lines(result);
  const auto begin = clock::now();
  child fuzzer(arguments_of(options));
  bool is_ending = false;
  for (;;) {
    const std::optional<std::string> some = fuzzer.read_some(poll_ms);
    if (!some) break;
    lines.take(*some);
    result.wall_s = std::chrono::duration<double>(clock::now() - begin).count();
    result.cpu_s = std::max(result.cpu_s, fuzzer.cpu_s());
    const bool is_over = (options.wall_s_max > 0 && result.wall_s >= options.wall_s_max) ||
                         (options.cpu_s_max > 0 && result.cpu_s >= options.cpu_s_max);
    if (!is_ending && (!seen(result) || is_over)) {
      fuzzer.ask_to_end();
      is_ending = true;
    }
  }
  result.exit = fuzzer.wait();
  constexpr int not_started = 127;
  if (result.exit == not_started) {
    throw std::runtime_error(
        fmt::format("fuzz: {} cannot be started; build it: "
                    "cmake --workflow --preset fuzz",
                    options.program));
  }
  return result;
}

}  // namespace ct::harness::fuzz
