// SPDX-License-Identifier: BSD-2-Clause
/// Reads TLC's configuration files (spec/model/configuration.h says which part of the format).
///
/// The module is the name of the folder that the file is in. Source: Lamport, Specifying Systems,
/// chapter 14.
#pragma once

#include "spec/model/configuration.h"

#include <map>
#include <span>
#include <string>
#include <string_view>

namespace ct::model {

struct configuration_file {
  std::string path;
  model::configuration configuration;
  std::map<std::string, unsigned> line_of;  ///< of each invariant and property that it names
};

/// Throws std::invalid_argument, one line: "FILE:LINE: what is wrong; what to do".
configuration_file parse_configuration(const std::string& path, std::string_view text);
configuration_file read_configuration(const std::string& path);

/// Throws likewise if it names an invariant or property that the machine does not have.
void expect_known(const configuration_file& file,
                  std::span<const std::string_view> invariants,
                  std::span<const std::string_view> properties);

}  // namespace ct::model
