// SPDX-License-Identifier: BSD-2-Clause
/// Words first, sections of them second.
#include "harness/model/configuration_file.h"

#include "harness/format/nearest.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

namespace ct::model {
namespace {

constexpr std::array<std::string_view, 11> keywords = {"CONSTANT",
                                                       "CONSTANTS",
                                                       "INVARIANT",
                                                       "INVARIANTS",
                                                       "PROPERTY",
                                                       "PROPERTIES",
                                                       "SPECIFICATION",
                                                       "INIT",
                                                       "NEXT",
                                                       "SYMMETRY",
                                                       "VIEW"};
constexpr std::string_view deadlock_keyword = "CHECK_DEADLOCK";

bool is_keyword(std::string_view word) {
  return word == deadlock_keyword || std::ranges::find(keywords, word) != keywords.end();
}

bool is_of_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

struct word {
  std::string text;  ///< a name, a number, a string with its quotes, or one of = <- { } ,
  unsigned line;
};

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

class file_reader {
 public:
  file_reader(const std::string& path, std::string_view text) : text_(text) {
    file_.path = path;
    const std::filesystem::path where(path);
    file_.configuration.name = where.stem().string();
    file_.configuration.module =
        std::filesystem::absolute(where).lexically_normal().parent_path().filename().string();
  }

  configuration_file read() {
    while (read_word()) {
    }
    while (at_ < words_.size()) read_section();
    return std::move(file_);
  }

 private:
  [[noreturn]] void refuse(unsigned line, std::string_view what) const {
    throw std::invalid_argument(fmt::format("{}:{}: {}", file_.path, line, what));
  }

  // Words.

  char next_char(std::size_t ahead = 0) const {
    return offset_ + ahead < text_.size() ? text_[offset_ + ahead] : '\0';
  }

  void skip_char() { line_ += text_[offset_++] == '\n' ? 1 : 0; }

  void skip_line_comment() {
    const std::size_t end = std::min(text_.find('\n', offset_), text_.size());
    const std::string comment = trimmed(text_.substr(offset_ + 2, end - offset_ - 2));
    offset_ = end;
    if (comment.starts_with("Expect:")) {
      file_.configuration.expected = trimmed(comment.substr(7));
    } else if (comment.starts_with("Size:")) {
      const std::string size = trimmed(comment.substr(5));
      if (size != "large" && size != "small") {
        refuse(line_, fmt::format("unknown size '{}'; write 'large' or 'small'", size));
      }
      file_.configuration.is_large = size == "large";
    }
  }

  void skip_block_comment() {
    const unsigned begin = line_;
    unsigned open = 0;
    do {
      if (offset_ >= text_.size()) refuse(begin, "this comment has no end; write *)");
      const bool opens = next_char() == '(' && next_char(1) == '*';
      const bool closes = next_char() == '*' && next_char(1) == ')';
      if (opens) ++open;
      if (closes) --open;
      if (opens || closes) skip_char();
      skip_char();
    } while (open > 0);
  }

  void skip_blanks() {
    for (;;) {
      if (next_char() == '\\' && next_char(1) == '*') {
        skip_line_comment();
      } else if (next_char() == '(' && next_char(1) == '*') {
        skip_block_comment();
      } else if (offset_ < text_.size() &&
                 std::isspace(static_cast<unsigned char>(next_char())) != 0) {
        skip_char();
      } else {
        return;
      }
    }
  }

  bool read_word() {
    skip_blanks();
    if (offset_ >= text_.size()) return false;
    std::size_t length = 1;
    const char first = next_char();
    if (first == '"') {
      while (next_char(length) != '"' && next_char(length) != '\n' && next_char(length) != '\0') {
        ++length;
      }
      if (next_char(length) != '"') refuse(line_, "this string has no end; close it with \"");
      ++length;
    } else if (first == '<' && next_char(1) == '-') {
      length = 2;
    } else if (is_of_name(first) || first == '-') {
      while (is_of_name(next_char(length))) ++length;
    } else if (std::string_view("={},").find(first) == std::string_view::npos) {
      refuse(line_,
             fmt::format("'{}' has no meaning here; write Name = value, value a number, a string, "
                         "a name or a set of these",
                         first));
    }
    words_.push_back({std::string(text_.substr(offset_, length)), line_});
    offset_ += length;
    return true;
  }

  // Sections.

  bool has_value() const { return at_ < words_.size() && !is_keyword(words_[at_].text); }

  word take(std::string_view expected) {
    if (!has_value()) {
      const bool is_end = at_ >= words_.size();
      refuse(is_end ? line_ : words_[at_].line,
             fmt::format("{} is missing before {}",
                         expected,
                         is_end ? "the end of the file" : words_[at_].text));
    }
    return words_[at_++];
  }

  word take_name(std::string_view what) {
    word w = take(what);
    if (std::isalpha(static_cast<unsigned char>(w.text[0])) == 0) {
      refuse(w.line, fmt::format("'{}' stands where {} should; write a name", w.text, what));
    }
    return w;
  }

  void read_section() {
    const word key = words_[at_++];
    if (!is_keyword(key.text)) {
      std::vector<std::string_view> known(keywords.begin(), keywords.end());
      known.push_back(deadlock_keyword);
      refuse(key.line,
             fmt::format("unknown keyword '{}'{} (there are: {})",
                         key.text,
                         harness::suggestion(key.text, known),
                         fmt::join(known, ", ")));
    }
    configuration& into = file_.configuration;
    if (key.text.starts_with("CONSTANT")) {
      while (has_value()) read_constant();
    } else if (key.text.starts_with("INVARIANT")) {
      read_names(into.invariants);
    } else if (key.text.starts_with("PROPERT")) {
      read_names(into.properties);
    } else if (key.text == deadlock_keyword) {
      const word w = take("TRUE or FALSE");
      if (w.text != "TRUE" && w.text != "FALSE") {
        refuse(w.line, fmt::format("'{}' is neither TRUE nor FALSE; write one of them", w.text));
      }
      into.checks_deadlock = w.text == "TRUE";
    } else {
      // Whose text the machine is: its name is TLC's alone.
      take_name("a name");
      if (key.text == "INIT" || key.text == "NEXT") into.assumes_fair = false;
    }
    if (at_ < words_.size() && !is_keyword(words_[at_].text)) read_section();  // refuses it
  }

  void read_names(std::vector<std::string>& into) {
    while (has_value()) {
      const word w = take_name("a name");
      into.push_back(w.text);
      file_.line_of.emplace(w.text, w.line);
    }
  }

  void read_constant() {
    const word name = take_name("the name of a constant");
    const word sign = take("= or <-");
    if (sign.text == "<-") {
      take("a definition");
      return;
    }
    if (sign.text != "=") {
      const std::string meant = harness::suggestion(name.text, keywords);
      if (!meant.empty()) refuse(name.line, "unknown keyword '" + name.text + "'" + meant);
      refuse(sign.line,
             fmt::format("'{}' follows {}; write {} = value", sign.text, name.text, name.text));
    }
    constant value;
    word w = take("a value");
    if (w.text == "{") {
      value.is_set = true;
      for (w = take("an element or }"); w.text != "}"; w = take("an element or }")) {
        if (w.text == ",") continue;
        value.elements.push_back(value_of(w));
      }
    } else {
      value.elements.push_back(value_of(w));
    }
    if (!file_.configuration.constants.emplace(name.text, std::move(value)).second) {
      refuse(name.line, fmt::format("constant {} has a value already; remove one", name.text));
    }
  }

  std::string value_of(const word& w) const {
    if (std::string_view("={},<-").find(w.text) != std::string_view::npos) {
      refuse(w.line, fmt::format("'{}' stands where a value should; write one", w.text));
    }
    return w.text;
  }

  std::string_view text_;
  std::size_t offset_ = 0;
  unsigned line_ = 1;
  std::vector<word> words_;
  std::size_t at_ = 0;
  configuration_file file_;
};

}  // namespace

configuration_file parse_configuration(const std::string& path, std::string_view text) {
  return file_reader(path, text).read();
}

configuration_file read_configuration(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw std::invalid_argument(path + ": cannot be read; name a file of TLC's format (*.cfg)");
  }
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return parse_configuration(path, text);
}

void expect_known(const configuration_file& file,
                  std::span<const std::string_view> invariants,
                  std::span<const std::string_view> properties) {
  const auto expect = [&](const std::vector<std::string>& names,
                          std::span<const std::string_view> known,
                          std::string_view kind) {
    for (const std::string& name : names) {
      if (std::ranges::find(known, name) != known.end()) continue;
      throw std::invalid_argument(fmt::format("{}:{}: {} has no {} '{}'{} (there are: {})",
                                              file.path,
                                              file.line_of.at(name),
                                              file.configuration.module,
                                              kind,
                                              name,
                                              harness::suggestion(name, known),
                                              fmt::join(known, ", ")));
    }
  };
  expect(file.configuration.invariants, invariants, "invariant");
  expect(file.configuration.properties, properties, "property");
}

}  // namespace ct::model
