// SPDX-License-Identifier: BSD-2-Clause
/// ctbench: the verbs over every implementation that was built in.
#include "harness/cli/run.h"
#include "spec/impl.h"

int main(int argc, char** argv) { return ct::harness::run(argc, argv, ct::implementations()); }
