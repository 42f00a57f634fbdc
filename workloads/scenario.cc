// SPDX-License-Identifier: BSD-2-Clause
/// Reading a scenario; see the header.
#include "workloads/scenario.h"

#include <algorithm>
#include <fstream>
#include <utility>

namespace ct::workloads {
namespace {

letter letter_of(const std::string& name) {
  const auto* const at = std::ranges::find(guarantees, name, &guarantee::name);
  if (at == guarantees.end()) {
    throw text_error("'" + name + "' is no letter; docs/guarantees.md has them, as F.2; or resize");
  }
  return at->letter;
}

sysctl_setting setting_of(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw text_error("'" + word + "' sets nothing; write NAME=VALUE");
  }
  return {.name = word.substr(0, equals), .value = word.substr(equals + 1)};
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

class scenario_reader {
 public:
  explicit scenario_reader(scenario& into) : into_(into) {}

  void read_line(std::string_view line, std::size_t number) {
    const std::string_view text = trimmed(line);
    if (text.starts_with('#')) {
      if (into_.title.empty() && into_.steps.empty()) into_.title = trimmed(text.substr(1));
      return;
    }
    if (text.starts_with('|')) return read_block_line(trimmed(text.substr(1)));
    const std::vector<std::string> words = split_words(text);
    if (!words.empty()) read_words(words, text, number);
  }

 private:
  void read_block_line(std::string_view text) {
    if (into_.steps.empty()) throw text_error("a line with | before any step; put it under one");
    scenario_step& step = into_.steps.back();
    if (!step.lines) step.lines.emplace();
    if (!text.empty()) step.lines->emplace_back(text);  // a | alone: nothing must be printed
  }

  void read_words(const std::vector<std::string>& words,
                  std::string_view text,
                  std::size_t number) {
    const std::string& verb = words[0];
    const std::span<const std::string> rest = std::span(words).subspan(1);
    if (verb == "rule") {
      into_.rules.insert(into_.rules.end(), rest.begin(), rest.end());
    } else if (verb == "needs") {
      for (const std::string& name : rest) read_need(name);
    } else if (verb == "with") {
      for (const std::string& word : rest) into_.with.push_back(setting_of(word));
    } else if (verb == "packet") {
      read_packet(rest);
    } else {
      read_step(words, text, number);
    }
  }

  void read_need(const std::string& name) {
    if (name == "resize") {
      into_.needs_resize = true;
    } else {
      into_.needs.push_back(letter_of(name));
    }
  }

  void read_packet(std::span<const std::string> words) {
    word_reader head(words);
    const std::string& name = head.next("the packet's name");
    if (!head.take("=")) throw text_error("no = behind the packet's name");
    const auto lookup = [this](std::string_view other) -> const text_packet* {
      const auto at = into_.packets.find(other);
      return at == into_.packets.end() ? nullptr : &at->second.front();
    };
    const bool is_new = into_.packets.emplace(name, parse_packets(words.subspan(2), lookup)).second;
    if (!is_new) throw text_error("packet '" + name + "' is defined twice; give it another name");
  }

  void read_step(const std::vector<std::string>& words, std::string_view text, std::size_t number) {
    scenario_step step;
    step.line = number;
    step.text = trimmed(text.substr(0, text.find("->")));
    step.verb = words[0];
    const auto arrow = std::ranges::find(words, "->");
    step.words.assign(words.begin() + 1, arrow);
    if (arrow != words.end()) {
      step.outcome.emplace(arrow + 1, words.end());
      if (step.outcome->empty()) throw text_error("no outcome behind ->; write what must come");
    }
    into_.steps.push_back(std::move(step));
  }

  scenario& into_;
};

}  // namespace

scenario read_scenario(std::istream& from, std::string path) {
  scenario read;
  read.path = std::move(path);
  scenario_reader reader(read);
  std::size_t number = 0;
  try {
    for (std::string line; std::getline(from, line);) reader.read_line(line, ++number);
    if (read.title.empty()) throw text_error("no title; begin with a # line that says the rule");
    if (read.rules.empty()) throw text_error("no rule; name one of docs/lifecycle.md");
    if (read.steps.empty()) throw text_error("no step; a scenario must do something");
  } catch (const text_error& wrong) {
    throw text_error(read.path + ":" + std::to_string(number) + ": " + wrong.what());
  }
  return read;
}

scenario read_scenario_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw text_error(path + ": cannot be opened; name a .scn file that can be read");
  return read_scenario(file, path);
}

}  // namespace ct::workloads
