// SPDX-License-Identifier: BSD-2-Clause
/// ctbench: the verbs over every implementation that was built in, and over the live kernel.
#include "harness/cli/run.h"
#include "spec/impl.h"

#include <vector>

int main(int argc, char** argv) {
  std::vector<ct::impl> all(ct::implementations().begin(), ct::implementations().end());
  for (const ct::impl& live : ct::live_implementations()) all.push_back(live);
  return ct::harness::run(argc, argv, all);
}
