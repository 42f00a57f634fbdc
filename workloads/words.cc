// SPDX-License-Identifier: BSD-2-Clause
/// Splitting a line into words; see the header.
#include "workloads/words.h"

namespace ct::workloads {
namespace {

/// Reads a quotation from behind its first mark; `at` goes behind its last.
std::string quotation(std::string_view line, std::size_t& at) {
  std::string text;
  for (; at < line.size(); ++at) {
    char c = line[at];
    if (c == '"') {
      ++at;
      return text;
    }
    if (c == '\\' && at + 1 < line.size()) {
      c = line[++at];
      if (c == 'r') c = '\r';
      if (c == 'n') c = '\n';
    }
    text += c;
  }
  throw text_error("a quotation does not end; write \" behind it");
}

}  // namespace

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while (true) {
    while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;
    if (at == line.size() || line[at] == '#') return words;
    std::string word;
    while (at < line.size() && line[at] != ' ' && line[at] != '\t') {
      if (line[at] == '"') {
        word += quotation(line, ++at);
      } else {
        word += line[at++];
      }
    }
    words.push_back(std::move(word));
  }
}

}  // namespace ct::workloads
