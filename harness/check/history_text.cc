// SPDX-License-Identifier: BSD-2-Clause
/// Histories as text; see history_text.h.
#include "harness/check/history_text.h"

#include "harness/check/words.h"

#include <algorithm>
#include <fmt/format.h>
#include <sstream>
#include <stdexcept>

namespace ct::check {
namespace {

constexpr auto last_verb = static_cast<unsigned>(verb::count);
constexpr auto last_answer = static_cast<unsigned>(answer::lost);

[[noreturn]] void fail(const std::string& line) {
  throw std::invalid_argument("no operation of a history: '" + line +
                              "'; write it as '0-3 in 0 made 7'");
}

verb verb_called(const std::string& word, const std::string& line) {
  for (unsigned v = 0; v <= last_verb; ++v) {
    if (name_of(static_cast<verb>(v)) == word) return static_cast<verb>(v);
  }
  fail(line);
}

answer answer_called(const std::string& word, const std::string& line) {
  for (unsigned a = 0; a <= last_answer; ++a) {
    if (name_of(static_cast<answer>(a)) == word) return static_cast<answer>(a);
  }
  fail(line);
}

/// Numbers and answer, as the verb has them.
void read_answer(std::istringstream& in, operation& op, const std::string& line) {
  std::string word;
  const auto read_word = [&] {
    if (!(in >> word)) fail(line);
    op.answer = answer_called(word, line);
  };
  switch (op.verb) {
    case verb::find:
    case verb::in:
      in >> op.key;
      read_word();
      if (op.answer == answer::found || op.answer == answer::made) in >> op.id;
      return;
    case verb::confirm:
      in >> op.id >> op.key >> op.other;
      read_word();
      if (op.answer == answer::merged) in >> op.number;
      return;
    case verb::put:
      in >> op.id;
      return;
    case verb::look:
      in >> op.id >> op.key;
      return;
    case verb::shown:
      in >> op.id >> op.key >> op.other;
      return;
    case verb::create:
    case verb::kill:
      in >> op.key;
      return read_word();
    case verb::exit:
      in >> op.key >> op.number;
      return;
    case verb::flush:
    case verb::gc:
    case verb::count:
      in >> op.number;
      return;
    case verb::dump:
    case verb::advance:
    case verb::resize:
      return;
  }
}

}  // namespace

std::vector<operation> read_history(const std::string& text) {
  std::vector<operation> history;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    std::istringstream in(line);
    operation op;
    op.thread = static_cast<std::uint16_t>(history.size());
    op.now_lo = op.now_hi = 1000;
    char dash = 0;
    std::string word;
    if (!(in >> op.call >> dash >> op.ret >> word) || dash != '-') fail(line);
    op.verb = verb_called(word, line);
    read_answer(in, op, line);
    if (!in) fail(line);
    while (in >> word) {
      if (word == "reply") {
        op.is_reply = true;
      } else if (word == "timeout") {
        in >> op.timeout;
      } else if (word == "now") {
        in >> op.now_lo >> op.now_hi;
      } else if (word == "thread") {
        in >> op.thread;
      } else {
        fail(line);
      }
    }
    history.push_back(op);
  }
  std::ranges::stable_sort(history, {}, &operation::call);
  return history;
}

std::string write_history(const std::vector<operation>& history) {
  std::string text;
  for (const operation& op : history) {
    text += fmt::format("{}-{} {}", op.call, op.ret, name_of(op.verb));
    if (op.verb == verb::confirm || op.verb == verb::put || op.verb == verb::look ||
        op.verb == verb::shown) {
      text += fmt::format(" {}", op.id);
    }
    const bool has_key = op.verb <= verb::kill ? op.verb != verb::put : op.verb == verb::shown;
    if (has_key || op.verb == verb::exit) text += fmt::format(" {}", op.key);
    if (op.verb == verb::confirm || op.verb == verb::shown) text += fmt::format(" {}", op.other);
    if (op.answer != answer::none) text += fmt::format(" {}", name_of(op.answer));
    if (op.verb <= verb::in && (op.answer == answer::found || op.answer == answer::made)) {
      text += fmt::format(" {}", op.id);
    }
    if (op.answer == answer::merged || op.verb == verb::flush || op.verb == verb::gc ||
        op.verb == verb::exit || op.verb == verb::count) {
      text += fmt::format(" {}", op.number);
    }
    if (op.is_reply) text += " reply";
    if (op.timeout != 0) text += fmt::format(" timeout {}", op.timeout);
    text += fmt::format(" now {} {} thread {}\n", op.now_lo, op.now_hi, op.thread);
  }
  return text;
}

}  // namespace ct::check
