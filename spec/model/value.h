// SPDX-License-Identifier: BSD-2-Clause
/// A value as TLA+ knows them: what a machine shows of its state, for people, for ITF, and for the
/// comparison with TLC's states.
///
/// Two values are equal where TLA+ says so: sets have no order and no duplicates, a function is its
/// set of pairs. The text is canonical: equal values have equal texts, whatever order they were
/// made in. Source: Lamport, Specifying Systems, chapter 16.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ct::model {

class value {
 public:
  enum class kind : std::uint8_t { boolean, integer, string, model, set, function, sequence };

  static value boolean(bool b) { return {kind::boolean, b ? 1 : 0, b ? "TRUE" : "FALSE", {}}; }
  static value integer(std::int64_t i) { return {kind::integer, i, std::to_string(i), {}}; }
  static value string(std::string_view s) {
    return {kind::string, 0, '"' + std::string(s) + '"', {}};
  }
  /// An element of a set that a configuration names: e1, p2.
  static value model(std::string_view name) { return {kind::model, 0, std::string(name), {}}; }
  static value set(std::vector<value> elements) {
    std::sort(elements.begin(), elements.end());
    elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
    return {kind::set, 0, joined("{", elements, "}"), std::move(elements)};
  }
  static value sequence(std::vector<value> elements) {
    return {kind::sequence, 0, joined("<<", elements, ">>"), std::move(elements)};
  }
  /// Pairs (argument, result), in any order.
  static value function(std::vector<std::pair<value, value>> pairs) {
    std::sort(pairs.begin(), pairs.end());
    std::string text = "(";
    std::vector<value> flat;
    for (auto& [argument, result] : pairs) {
      text += (text.size() > 1 ? " @@ " : "") + argument.text_ + " :> " + result.text_;
      flat.push_back(std::move(argument));
      flat.push_back(std::move(result));
    }
    return {kind::function, 0, text + ")", std::move(flat)};
  }

  kind type() const { return kind_; }
  std::int64_t number() const { return number_; }  ///< of an integer; a boolean: 0 or 1
  /// Elements of a set or sequence; of a function argument, result, argument, result, ...
  const std::vector<value>& parts() const { return parts_; }
  /// As in TLA+. A string has its quotes.
  const std::string& text() const { return text_; }

  friend bool operator==(const value& a, const value& b) { return a.text_ == b.text_; }
  friend bool operator<(const value& a, const value& b) { return a.text_ < b.text_; }

 private:
  value(kind type, std::int64_t number, std::string text, std::vector<value> parts)
      : kind_(type), number_(number), text_(std::move(text)), parts_(std::move(parts)) {}

  static std::string joined(std::string_view open,
                            const std::vector<value>& elements,
                            std::string_view close) {
    std::string text(open);
    for (const value& e : elements) text += (text.size() > open.size() ? ", " : "") + e.text_;
    return text.append(close);
  }

  kind kind_;
  std::int64_t number_;
  std::string text_;
  std::vector<value> parts_;
};

/// A variable of a machine and what it is in some state.
struct variable {
  std::string_view name;  ///< as in the TLA+ module
  model::value value;
};

}  // namespace ct::model
