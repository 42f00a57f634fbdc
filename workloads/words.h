// SPDX-License-Identifier: BSD-2-Clause
/// Lines of words, as scenarios are written: split, and read one after another with errors that say
/// what was meant.
///
/// A word ends at a blank; "..." keeps blanks together, with \r, \n, \" and \\ inside; from a #
/// that begins a word on the line is a comment.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ct::workloads {

/// What is written cannot be understood. what(): what is wrong and what to do, without the place.
class text_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws text_error for a quotation that does not end.
std::vector<std::string> split_words(std::string_view line);

/// The whole of `text` as a number, decimal or 0x hexadecimal; nothing if it is none, or above
/// `max`.
inline std::optional<std::uint64_t> to_number(std::string_view text, std::uint64_t max) {
  int base = 10;
  if (text.starts_with("0x")) {
    text.remove_prefix(2);
    base = 16;
  }
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || stop != text.data() + text.size() || value > max) return {};
  return value;
}

class word_reader {
 public:
  explicit word_reader(std::span<const std::string> words) : words_(words) {}

  bool is_end() const { return at_ == words_.size(); }
  /// The next word is `word`, and is read.
  bool take(std::string_view word) {
    if (is_end() || words_[at_] != word) return false;
    ++at_;
    return true;
  }
  /// `meaning` is for the error: "a packet's name".
  const std::string& next(std::string_view meaning) {
    if (is_end()) throw text_error("the line ends where " + std::string(meaning) + " must stand");
    return words_[at_++];
  }
  template <class Number>
  Number number(std::string_view meaning, std::uint64_t max) {
    const std::string& word = next(meaning);
    const std::optional<std::uint64_t> value = to_number(word, max);
    if (!value) {
      throw text_error("'" + word + "' is not " + std::string(meaning) + "; write a number up to " +
                       std::to_string(max));
    }
    return static_cast<Number>(*value);
  }
  void expect_end() const {
    if (!is_end()) {
      throw text_error("'" + words_[at_] + "' has no meaning here; take it out or see the manual");
    }
  }

 private:
  std::span<const std::string> words_;
  std::size_t at_ = 0;
};

}  // namespace ct::workloads
