// SPDX-License-Identifier: BSD-2-Clause
/// Random sequences, and the search for one that tells a system from the machine.
///
/// RC_PARAMS="seed=N max_success=N" is RapidCheck's; without, the seed is another one each time,
/// and is printed with what was found.
#pragma once

#include "harness/property/sequential_model.h"

#include <optional>
#include <rapidcheck.h>
#include <string>
#include <utility>
#include <vector>

namespace ct::property {

/// Of each table, in the tests of every build.
inline constexpr int quick_sequences = 300;

inline rc::Gen<command> any_command() {
  using v = verb;
  const auto number = [](std::size_t end) {
    return rc::gen::inRange<std::uint8_t>(0, static_cast<std::uint8_t>(end));
  };
  // Packets are most of it, and time; what ends everything comes seldom.
  return rc::gen::build<command>(
      rc::gen::set(&command::what,
                   rc::gen::weightedElement<verb>({{16, v::pass},
                                                   {14, v::in},
                                                   {12, v::confirm},
                                                   {8, v::free},
                                                   {12, v::wait},
                                                   {3, v::find},
                                                   {6, v::kill},
                                                   {5, v::create},
                                                   {7, v::alter_reply},
                                                   {3, v::gc},
                                                   {3, v::flush},
                                                   {2, v::resize},
                                                   {3, v::refuse},
                                                   {4, v::take},
                                                   {2, v::redeliver},
                                                   {3, v::exit}})),
      rc::gen::set(&command::slot, number(slots)),
      // Three of four in netns 0, so that they meet, and where requests reach them.
      rc::gen::set(
          &command::key,
          rc::gen::weightedOneOf<std::uint8_t>({{2, number(keys_of_net)}, {1, number(keys)}})),
      rc::gen::set(&command::choice, number(waits.size())));
}

inline rc::Gen<sequence> any_sequence() {
  return rc::gen::build<sequence>(
      rc::gen::set(&sequence::limit,
                   rc::gen::inRange<std::uint32_t>(0, static_cast<std::uint32_t>(limits.size()))),
      rc::gen::set(&sequence::seed, rc::gen::inRange<std::uint32_t>(1, 9)),
      rc::gen::set(&sequence::commands, rc::gen::container<std::vector<command>>(any_command())));
}

struct counterexample {
  sequence what{};           ///< the shortest that was found
  std::string difference{};  ///< its
  std::size_t steps = 0;     ///< commands that meant something
  std::string scenario{};
};

/// Sequences grow to 120 commands, with a mean of a quarter of that.
inline rc::detail::TestParams params_of(int sequences, std::optional<std::uint64_t> seed = {}) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  if (params.maxSuccess == rc::detail::TestParams{}.maxSuccess) params.maxSuccess = sequences;
  params.maxSize = 120;
  params.seed = seed.value_or(params.seed);
  return params;
}

/// Nothing if none differs. `seed`: always the same sequences.
inline std::optional<counterexample> search(const impl& on,
                                            int sequences,
                                            std::optional<std::uint64_t> seed = {}) {
  const rc::detail::TestParams params = params_of(sequences, seed);
  std::optional<counterexample> shortest;
  const auto property = [&] {
    const sequence what = *any_sequence();
    std::string difference = first_difference(on, what);
    if (difference.empty()) return;
    // While it shrinks, whatever fails is shorter than what failed before.
    shortest = {.what = what, .difference = difference};
    RC_FAIL(difference);
  };
  (void)rc::detail::checkTestable(property, rc::detail::TestMetadata{}, params);
  if (!shortest) return shortest;
  record last;
  shortest->difference = first_difference(on, shortest->what, &last);
  const std::string& steps = last.scenario;
  shortest->steps = static_cast<std::size_t>(std::count(steps.begin(), steps.end(), '\n'));
  shortest->scenario = scenario_head(shortest->what, shortest->difference) + steps;
  shortest->scenario += "# RC_PARAMS=\"seed=" + std::to_string(params.seed) + "\"\n";
  return shortest;
}

}  // namespace ct::property
