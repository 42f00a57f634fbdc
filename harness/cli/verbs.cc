// SPDX-License-Identifier: BSD-2-Clause
/// The list of verbs: one line each.
#include "harness/cli/verb.h"

#include <array>

namespace ct::harness {

std::span<const verb> verbs() {
  static constexpr std::array<verb, 11> list = {{
      {"list", "which implementations and verbs are there?", add_list, false},
      {"doctor",
       "what can be measured and compared on this machine, and why not the rest?",
       add_doctor,
       false},
      {"replay", "what does each implementation make of this traffic? do they agree?", add_replay},
      {"scenario", "does each implementation do what these scenarios say?", add_scenario},
      {"verify", "are real multi-core runs histories that the contract allows?", add_verify},
      {"flood",
       "the table is full: who still gets through, with and without early drop?",
       add_flood},
      {"conform",
       "does it agree with the live Linux kernel, packet by packet?",
       add_conform,
       false},
      {"faults", "is every planted fault found, and how soon?", add_faults, false},
      {"fuzz", "is there an input that makes a parser, a tracker or a table fail?", add_fuzz},
      {"model",
       "does the reference machine keep its promises, in every order of steps?",
       add_model,
       false},
      {"bench", "how fast is each implementation, while every answer is right?", add_bench},
  }};
  return list;
}

}  // namespace ct::harness
