// SPDX-License-Identifier: BSD-2-Clause
/// What a machine is instantiated with: the constants of a TLC configuration file, which both sides
/// read, so that they cannot differ in it.
///
/// Of the format (Lamport, Specifying Systems, chapter 14): CONSTANT(S) with `Name = value`, value
/// a number, a string, a name, TRUE or FALSE, or a set of these; `Name <- definition` is TLC's
/// alone and skipped; INVARIANT(S), PROPERTY, PROPERTIES; SPECIFICATION, INIT, NEXT, SYMMETRY,
/// VIEW, CHECK_DEADLOCK. Comments are TLA+'s; those that begin with `Expect:` or `Size:` say what
/// is expected of it (below). With SPECIFICATION the machine's fairness is assumed, with INIT and
/// NEXT none.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ct::model {

/// A set constant: its elements as written (strings with quotes), in the order of the file. A
/// constant that is no set has one element and is_set false.
struct constant {
  bool is_set = false;
  std::vector<std::string> elements;
};

struct configuration {
  std::string module;  ///< whose machine: Conntrack, TypesafeLookup, ...
  std::string name;    ///< of the file, without .cfg
  std::map<std::string, constant, std::less<>> constants;
  std::vector<std::string> invariants;  ///< to be checked, by name
  std::vector<std::string> properties;  ///< likewise: of steps, and of behaviours
  bool checks_deadlock = true;
  /// From the comment line `\* Expect: NAME`: the invariant or property that this one must break
  /// (`deadlock` is one too); empty: none.
  std::string expected;
  bool is_large = false;     ///< from `\* Size: large`: not for every test run
  bool assumes_fair = true;  ///< SPECIFICATION, not INIT and NEXT

  // What is missing or of another kind is thrown as std::invalid_argument: one line, with what to
  // do.
  const constant& at(std::string_view constant_name) const {
    const auto found = constants.find(constant_name);
    if (found == constants.end()) {
      throw std::invalid_argument("constant " + std::string(constant_name) + " is missing in " +
                                  name + ".cfg; add a line '" + std::string(constant_name) +
                                  " = ...' under CONSTANTS");
    }
    return found->second;
  }
  /// The elements of a set, at most `most`.
  const std::vector<std::string>& set(std::string_view constant_name, std::size_t most) const {
    const constant& c = at(constant_name);
    if (!c.is_set || c.elements.size() > most) {
      throw std::invalid_argument("constant " + std::string(constant_name) + " in " + name +
                                  ".cfg must be a set of at most " + std::to_string(most) +
                                  " elements");
    }
    return c.elements;
  }
  unsigned number(std::string_view constant_name, unsigned most) const {
    const constant& c = at(constant_name);
    if (!c.is_set && c.elements.size() == 1 &&
        c.elements[0].find_first_not_of("0123456789") == std::string::npos &&
        c.elements[0].size() < 9 && std::stoul(c.elements[0]) <= most) {
      return static_cast<unsigned>(std::stoul(c.elements[0]));
    }
    throw std::invalid_argument("constant " + std::string(constant_name) + " in " + name +
                                ".cfg must be a number of at most " + std::to_string(most));
  }
  /// A string constant without its quotes.
  std::string text(std::string_view constant_name) const {
    const constant& c = at(constant_name);
    if (!c.is_set && c.elements.size() == 1 && c.elements[0].size() >= 2 &&
        c.elements[0].front() == '"') {
      return c.elements[0].substr(1, c.elements[0].size() - 2);
    }
    throw std::invalid_argument("constant " + std::string(constant_name) + " in " + name +
                                ".cfg must be a string");
  }
  /// Is `element` (a string, without quotes) in this set?
  bool has(std::string_view constant_name, std::string_view element) const {
    for (const std::string& e : set(constant_name, 64)) {
      if (e.size() >= 2 && std::string_view(e).substr(1, e.size() - 2) == element) return true;
    }
    return false;
  }
};

}  // namespace ct::model
