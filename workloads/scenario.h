// SPDX-License-Identifier: BSD-2-Clause
/// Scenarios: what is done to a ct system, a step a line, with what must come of it beside it.
///
///     # The loser of a race in UDP goes over to the winner's entry, with what it counted.
///     rule confirm.clash.merge
///     with nf_conntrack_acct=1
///     packet request = udp 10.0.0.1:4000 > 192.0.2.7:53 data 4
///
///     in request as winner      -> NEW
///     in request as loser       -> NEW
///     confirm winner            -> accept
///     confirm loser             -> accept entry=winner
///     list
///       | udp 17 30 src=10.0.0.1 ...
///
/// The comment on top is the scenario's title. `rule` names what it is about (docs/lifecycle.md),
/// `with` gives options and sysctls, `needs` what a table must promise to take part: a letter, or
/// `resize`, that its size can be set;
/// `packet` defines a packet (packet_text.h). Everything else is a step: a verb, its words, after
/// -> its outcome; lines that begin with | are the lines that it must print. harness/scenario/ says
/// what the verbs do.
#pragma once

#include "spec/guarantees.h"
#include "spec/policy.h"
#include "workloads/packet_text.h"

#include <cstddef>
#include <istream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ct::workloads {

struct scenario_step {
  std::size_t line = 0;
  std::string text;  ///< verb and words, as written
  std::string verb;
  std::vector<std::string> words;
  std::optional<std::vector<std::string>> outcome;
  std::optional<std::vector<std::string>> lines;
};

struct scenario {
  std::string path;
  std::string title;
  std::vector<std::string> rules;
  std::vector<letter> needs;
  bool needs_resize = false;
  std::vector<sysctl_setting> with;
  std::map<std::string, std::vector<text_packet>, std::less<>> packets;
  std::vector<scenario_step> steps;
};

/// Throws text_error, which begins with "PATH:LINE: ".
scenario read_scenario(std::istream& from, std::string path);
/// The same of a file that may not exist.
scenario read_scenario_file(const std::string& path);

}  // namespace ct::workloads
