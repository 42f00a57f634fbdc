// SPDX-License-Identifier: BSD-2-Clause
/// libFuzzer's program: `ctbench_fuzz --target=NAME [libFuzzer's flags] CORPUS...`; ctbench fuzz
/// calls it.
///
/// A finding of the target is printed and aborts, so that libFuzzer keeps the input; what
/// AddressSanitizer, UndefinedBehaviorSanitizer or libFuzzer's own limits (time, memory) find ends
/// it likewise. Source: https://llvm.org/docs/LibFuzzer.html, LLVM 14.
#include "harness/fuzz/target.h"
#include "spec/impl.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <string_view>

namespace ct::harness::fuzz {
namespace {

const target* chosen = nullptr;

bool choose(std::string_view name) {
  const auto found = std::ranges::find(targets(), name, &target::name);
  if (found != targets().end()) chosen = &*found;
  return chosen != nullptr;
}

/// A finding is printed, and ends the program.
void run(std::span<const std::byte> input) {
  static court from(implementations());
  const std::string finding = chosen->run(from, input);
  if (finding.empty()) return;
  fmt::print(stderr, "ctbench_fuzz: finding: {}: {}\n", chosen->name, finding);
  std::fflush(stderr);
  std::abort();
}

}  // namespace
}  // namespace ct::harness::fuzz

/// Freed memory is kept for later accesses to be seen; 16 MB are many inputs' worth, the default of
/// 256 MB is out of every cache. A few frames say who allocated.
extern "C" const char* __asan_default_options() {  // NOLINT: the name is ASan's
  return "quarantine_size_mb=16:malloc_context_size=6";
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view flag = "--target=";  // libFuzzer passes over what begins with --
  for (int i = 1; i < *argc; ++i) {
    const std::string_view argument = (*argv)[i];
    if (argument.starts_with(flag) && ct::harness::fuzz::choose(argument.substr(flag.size()))) {
      return 0;
    }
  }
  fmt::print(stderr, "ctbench_fuzz: no known --target=NAME given; ctbench list names them\n");
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  ct::harness::fuzz::run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
