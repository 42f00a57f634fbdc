// SPDX-License-Identifier: BSD-2-Clause
/// Lines, and a header that is known at the end.
#include "harness/trace/trace_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ct::harness {
namespace {

/// Room for the header, which is written last; more than its longest lists and numbers take.
constexpr std::size_t header_bytes = 1024;

std::string strings(const std::vector<std::string>& list) {
  return list.empty() ? "[]" : fmt::format("[\"{}\"]", fmt::join(list, "\",\""));
}

std::string header_line(const trace_header& h) {
  return fmt::format(
      R"({{"format":"{}","machine":"{}","impl":"{}","entries":{},"cpus":{},"flows":{},"netns":{},)"
      R"("max":{},"chain_limit":{},"operations":{},"allowances":{},"actions":{}}})",
      trace_format,
      trace_machine,
      h.impl,
      h.limits.entries,
      h.limits.cpus,
      h.limits.flows,
      h.limits.netns,
      h.limits.max,
      h.limits.chain_limit,
      strings(h.limits.operations),
      strings(h.limits.allowances),
      h.actions);
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw std::invalid_argument(fmt::format("{}: {}", path, what));
}

std::string unwritable() {
  return fmt::format("cannot be written ({}); name another file", std::strerror(errno));
}

}  // namespace

std::string trace_line(const trace_step& step) {
  const trace_signature& signature = signature_of(step.action);
  const auto has = [&](std::uint8_t field) { return (signature.fields & field) != 0; };
  std::string line = fmt::format(R"({{"action":"{}")", signature.name);
  const auto to = std::back_inserter(line);
  if (has(trace_field::cpu)) fmt::format_to(to, R"(,"cpu":{})", step.cpu);
  if (has(trace_field::entry)) fmt::format_to(to, R"(,"entry":{})", step.entry);
  if (has(trace_field::netns)) fmt::format_to(to, R"(,"netns":{})", step.key.netns);
  if (has(trace_field::key)) {
    fmt::format_to(to,
                   R"(,"netns":{},"flow":{},"dir":"{}")",
                   step.key.netns,
                   step.key.flow,
                   step.key.is_reply ? "reply" : "original");
  }
  if (has(trace_field::timeout)) fmt::format_to(to, R"(,"timeout":{})", step.number);
  if (has(trace_field::assures)) fmt::format_to(to, R"(,"assures":{})", step.flag);
  if (has(trace_field::again)) fmt::format_to(to, R"(,"again":{})", step.flag);
  if (has(trace_field::ticks)) fmt::format_to(to, R"(,"ticks":{})", step.number);
  return line.append("}\n");
}

trace_header begun_trace(const impl& which, std::size_t max_entries) {
  // Without a limit: more than a trace can have entries.
  constexpr std::size_t no_limit = 1'000'000;
  // A chain is refused with more than 50 tuplehashes, at the least, of which an entry may have two
  // (confirm_steps, impls/core/conntrack_life.h).
  constexpr std::uint32_t chain_limit = 26;
  const std::size_t max = max_entries == 0 ? no_limit : std::min(max_entries, no_limit);
  trace_header header;
  header.impl = which.name;
  header.limits.max = static_cast<std::uint32_t>(max);
  header.limits.chain_limit = chain_limit;
  if (!which.promises.has(letter::f2)) {
    header.limits.allowances.emplace_back("miss_during_resize");
  }
  return header;
}

trace_writer::trace_writer(std::string path, trace_header header)
    : path_(std::move(path)),
      partial_(path_ + ".partial"),
      header_(std::move(header)),
      file_(std::fopen(partial_.c_str(), "wb")) {
  if (file_ == nullptr) fail(path_, unwritable());
  std::fputs(std::string(header_bytes - 1, ' ').append("\n").c_str(), file_.get());
}

trace_writer::~trace_writer() {
  if (file_ == nullptr) return;
  file_.reset();
  std::remove(partial_.c_str());
}

void trace_writer::take(const trace_step& step) noexcept {
  const std::string line = trace_line(step);
  // What cannot be written is said by finish().
  std::fwrite(line.data(), 1, line.size(), file_.get());
  model::run_limits& seen = header_.limits;
  seen.cpus = std::max(seen.cpus, step.cpu);
  seen.entries = std::max(seen.entries, step.entry);
  seen.netns = std::max(seen.netns, step.key.netns);
  seen.flows = std::max(seen.flows, step.key.flow);
  ++header_.actions;
}

void trace_writer::finish() {
  if (!stopped_.empty()) {
    fail(path_,
         fmt::format("not written: after {} actions the system does what the machine cannot say: "
                     "{}; leave that out",
                     header_.actions,
                     stopped_));
  }
  const std::string line = header_line(header_);
  if (line.size() >= header_bytes) fail(path_, "not written: its header is too long");
  std::rewind(file_.get());
  std::fwrite(line.data(), 1, line.size(), file_.get());
  const bool is_written = std::fflush(file_.get()) == 0 && std::ferror(file_.get()) == 0 &&
                          std::rename(partial_.c_str(), path_.c_str()) == 0;
  if (!is_written) fail(path_, unwritable());
  file_.reset();
}

}  // namespace ct::harness
