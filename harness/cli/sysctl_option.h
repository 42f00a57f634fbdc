// SPDX-License-Identifier: BSD-2-Clause
/// `--sysctl NAME=VALUE`, for every verb that makes systems; and the list of what there is.
#pragma once

#include "harness/cli/verb.h"

#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

namespace ct::harness {

/// Adds the option; `texts` gets what was given, each NAME=VALUE.
void add_sysctl_option(CLI::App& options, std::vector<std::string>& texts);

/// What was given, for system_options::sysctls. Throws usage_error for what the first of `impls`
/// does not take: an unknown name (with the nearest), a value out of range, a read-only one.
/// `dccp`: as in system_options; its sysctls are there or not.
std::vector<sysctl_setting> sysctls_of(std::span<const std::string> texts,
                                       std::span<const impl> impls,
                                       bool dccp = false);

/// A table of them for people, and its rows for the result file.
outcome list_sysctls(const impl& of);

}  // namespace ct::harness
