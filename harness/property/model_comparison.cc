// SPDX-License-Identifier: BSD-2-Clause
/// What is compared behind each command, and the two side by side.
#include "harness/property/sequential_model.h"

#include <algorithm>
#include <bitset>
#include <fmt/format.h>

namespace ct::property {
namespace {

constexpr std::size_t entries = few_at_once::entries;
constexpr std::uint32_t compared_status =
    status::seen_reply | status::assured | status::confirmed | status::dying | status::nat_clash;

std::string bits_text(std::uint32_t bits) {
  std::string text;
  for (std::size_t i = 0; i < event_count; ++i) {
    if ((bits >> i & 1U) == 0) continue;
    if (!text.empty()) text += '|';
    text += name(static_cast<event>(i));
  }
  return text;
}

std::string_view verdict_text(verdict v) { return v == verdict::accept ? "accept" : "drop"; }

}  // namespace

void sequential_model::require(bool holds, const std::string& what) {
  if (!holds && difference_.empty()) difference_ = what;
}

/// A message of this entry, if anybody hears of its netns.
void sequential_model::tell(std::size_t e, std::uint32_t bits) {
  const bool is_heard = !state_.net[machine_.net_of(entry(e))].is_exiting;
  if (is_heard && state_.deaf) return;  // it comes again with the next one
  connections_[e].pending = 0;
  if (is_heard) expected_.told.push_back({.id = connections_[e].id, .bits = bits});
}

std::size_t sequential_model::entry_of(std::uint64_t id) const {
  std::size_t e = 0;
  while (e < entries &&
         (state_.entry[e].status == machine::life::free || connections_[e].id != id)) {
    ++e;
  }
  return e;
}

std::string sequential_model::name_of(std::uint64_t id) const {
  if (id == 0) return "none";
  const auto at = std::ranges::find(ids_, id);
  return at == ids_.end() ? "of unknown id" : fmt::format("entry {}", at - ids_.begin() + 1);
}

void sequential_model::compare_outcome(const observation& seen) {
  const observation& wanted = expected_;
  require(seen.info == wanted.info,
          fmt::format("expected {}, was {}", name(wanted.info), name(seen.info)));
  require(
      seen.verdict == wanted.verdict,
      fmt::format("expected {}, was {}", verdict_text(wanted.verdict), verdict_text(seen.verdict)));
  require(seen.conn_id == wanted.conn_id && seen.dir == wanted.dir,
          fmt::format("expected {} by tuple {}, was {} by tuple {}",
                      name_of(wanted.conn_id),
                      index(wanted.dir),
                      name_of(seen.conn_id),
                      index(seen.dir)));
  require(seen.number == wanted.number,
          fmt::format("expected {}, was {}", wanted.number, seen.number));
  require(seen.waiting == wanted.waiting && seen.is_congested == wanted.is_congested,
          fmt::format("expected {} waiting, was {}", wanted.waiting, seen.waiting));
  if (seen.holders == wanted.holders) return;
  const auto text = [this](const std::vector<holder>& all) {
    std::string out;
    for (const holder& h : all) out += fmt::format(" [{} {} {}]", name_of(h.id), h.where, h.use);
    return out;
  };
  require(false, "expected holders" + text(wanted.holders) + ", was" + text(seen.holders));
}

/// Of each entry, in order.
void sequential_model::compare_told(const observation& seen) {
  std::vector<told_message> is = seen.told;
  std::ranges::stable_sort(is, {}, &told_message::id);
  std::ranges::stable_sort(expected_.told, {}, &told_message::id);
  if (is == expected_.told) return;
  const auto text = [this](const std::vector<told_message>& all) {
    std::string out;
    for (const told_message& m : all) {
      out += fmt::format(" [{} {}]", name_of(m.id), bits_text(m.bits));
    }
    return out;
  };
  require(false, "expected the messages" + text(expected_.told) + ", was" + text(is));
}

void sequential_model::compare_entry(const conn& is, std::size_t e) {
  const entry_state& wanted = state_.entry[e];
  const auto who = [&] { return name_of(is.id); };
  const std::size_t original = wanted.key_original - 1;
  const std::size_t reply = wanted.key_reply - 1;
  if (is.net != net_of(original) || !same_flow(is.tuples[0], tuple_of(original)) ||
      !same_flow(is.tuples[1], tuple_of(reply))) {
    require(false, who() + " has other tuples than it was made with");
  }
  const std::uint32_t bits = (connections_[e].seen_reply ? status::seen_reply : 0U) |
                             (wanted.assured ? status::assured : 0U) |
                             (wanted.dying ? status::dying : 0U) |
                             (wanted.silent ? status::nat_clash : 0U) | status::confirmed;
  if ((is.status & compared_status) != bits) {
    require(false, fmt::format("{}: expected status {:#x}, was {:#x}", who(), bits, is.status));
  }
  const auto ttl = static_cast<std::int64_t>(wanted.ttl);
  if (std::max<std::int64_t>(is.timeout_jiffies, 0) != ttl) {
    require(false,
            fmt::format("{}: expected {} jiffies left, was {}", who(), ttl, is.timeout_jiffies));
  }
  if (is.use != wanted.use) {
    require(false, fmt::format("{}: expected use {}, was {}", who(), wanted.use, is.use));
  }
}

void sequential_model::compare_entries(const observation& seen) {
  std::bitset<entries> walked;
  for (const conn& is : seen.linked) {
    const std::size_t e = entry_of(is.id);
    if (e == entries || !is_linked(e)) {
      return require(false, "a walk meets " + name_of(is.id) + ", which must be gone");
    }
    require(!walked[e], "a walk meets " + name_of(is.id) + " twice");
    walked.set(e);
    compare_entry(is, e);
  }
  std::bitset<entries> dumped;
  for (const conn& is : seen.listed) {
    const std::size_t e = entry_of(is.id);
    const bool is_shown = e != entries && is_linked(e) && state_.entry[e].ttl != 0 &&
                          (state_.entry[e].linked & machine::original) != 0;
    if (!is_shown) return require(false, "a dump shows " + name_of(is.id) + ", which it must not");
    require(!dumped[e], "a dump shows " + name_of(is.id) + " twice");
    dumped.set(e);
    compare_entry(is, e);
  }
  for (std::size_t e = 0; e < entries && difference_.empty(); ++e) {
    if (!is_linked(e)) continue;
    if (!walked[e]) require(false, name_of(connections_[e].id) + " is gone too early");
    const bool is_shown =
        state_.entry[e].ttl != 0 && (state_.entry[e].linked & machine::original) != 0;
    if (is_shown && !dumped[e]) require(false, "no dump shows " + name_of(connections_[e].id));
  }
  if (seen.count != count()) {
    require(false, fmt::format("expected count {}, was {}", count(), seen.count));
  }
  for (const auto& promised : machine::invariants()) {
    if (!promised.holds(machine_, state_)) {
      require(false, fmt::format("the machine breaks {}", promised.name));
    }
  }
}

std::uint32_t sequential_model::safe_keys() const {
  std::uint32_t safe = 0;
  for (std::size_t key = 0; key < keys_of_net; ++key) {
    const std::size_t e = answers(static_cast<std::uint32_t>(key + 1));
    if (e == entries || state_.entry[e].ttl != 0) safe |= 1U << key;
  }
  return safe;
}

std::string sequential_model::compare_lookups(std::uint32_t asked, const observation& seen) const {
  for (std::size_t key = 0; key < keys_of_net; ++key) {
    if ((asked >> key & 1U) == 0) continue;
    const auto number = static_cast<std::uint32_t>(key + 1);
    const std::size_t e = answers(number);
    const std::uint64_t id = e == entries ? 0 : connections_[e].id;
    const bool is_original = e == entries || ((state_.entry[e].linked & machine::original) != 0 &&
                                              state_.entry[e].key_original == number);
    const dir d = is_original ? dir::original : dir::reply;
    if (seen.found[key].conn_id != id || seen.found[key].dir != d) {
      return fmt::format("'{}' expected {} by tuple {}, was {} by tuple {}",
                         text_of({.what = verb::find, .key = static_cast<std::uint8_t>(key)}),
                         name_of(id),
                         index(d),
                         name_of(seen.found[key].conn_id),
                         index(seen.found[key].dir));
    }
    if (seen.got[key] != id) {
      return fmt::format("get of key {}: expected {}, was {}",
                         key,
                         name_of(id),
                         name_of(seen.got[key]));
    }
  }
  return {};
}

std::string sequential_model::compare_statistics(const ip_conntrack_stat& seen) const {
  ip_conntrack_stat is = seen;
  is.search_restart = 0;  // the table's affair
  if (is == statistics_) return {};
  const auto text = [](const ip_conntrack_stat& s) {
    return fmt::format(
        "insert={} insert_failed={} drop={} early_drop={} clash_resolve={} found={} "
        "invalid={} error={} chaintoolong={}",
        s.insert,
        s.insert_failed,
        s.drop,
        s.early_drop,
        s.clash_resolve,
        s.found,
        s.invalid,
        s.error,
        s.chaintoolong);
  };
  return "statistics: expected " + text(statistics_) + ", was " + text(is);
}

namespace {

/// As a scenario writes it; empty: nothing to be said.
std::string outcome_text(const command& c, const observation& wanted) {
  const auto number = [&] { return fmt::format(" -> {}", wanted.number); };
  switch (c.what) {
    case verb::pass:
    case verb::in:
      return fmt::format(" -> {}{}",
                         name(wanted.info),
                         wanted.verdict == verdict::accept ? "" : " drop");
    case verb::confirm:
      return fmt::format(" -> {}", verdict_text(wanted.verdict));
    case verb::find:
      return wanted.conn_id == 0           ? " -> none"
             : wanted.dir == dir::original ? " -> original"
                                           : " -> reply";
    case verb::kill:
    case verb::create:
    case verb::flush:
      return number();
    case verb::alter_reply:
      return wanted.number != 0 ? " -> done" : " -> late";
    case verb::exit:
      return wanted.holders.empty() ? " -> gone" : " -> held";
    default:
      return {};
  }
}

/// What ends a sequence: nobody holds anything, nothing is left.
std::vector<command> end_of(const sequential_model& model) {
  std::vector<command> all;
  for (std::uint8_t slot = 0; slot < slots; ++slot) {
    if (model.is_held(slot)) all.push_back({.what = verb::free, .slot = slot});
  }
  if (model.is_deaf()) all.push_back({.what = verb::take});
  all.push_back({.what = verb::flush, .choice = flush_all});
  for (std::uint8_t net = 0; net < nets; ++net) {
    all.push_back({.what = verb::redeliver, .choice = net});
  }
  return all;
}

class side_by_side {
 public:
  side_by_side(const impl& on, const sequence& what, record* into)
      : system_(on, what), model_(what.limit, into), record_(into) {}

  std::string run(const command& c) {
    if (!model_.takes(c)) return {};
    system_.run(c, seen_);
    std::string difference = model_.follow(c, seen_);
    if (difference.empty()) {
      const std::uint32_t asked = model_.safe_keys();
      system_.look(asked, seen_);
      difference = model_.compare_lookups(asked, seen_);
    }
    if (record_ != nullptr) write(c);
    return difference.empty() ? difference : text_of(c) + ": " + difference;
  }

  std::string end() {
    for (const command& c : end_of(model_)) {
      if (std::string difference = run(c); !difference.empty()) return "at the end: " + difference;
    }
    if (model_.count() != 0) return "at the end: the machine has entries that nobody holds";
    if (std::string broken = system_.broken_invariant(); !broken.empty()) return broken;
    return model_.compare_statistics(system_.statistics());
  }

 private:
  void write(const command& c) {
    record_->scenario += text_of(c) + outcome_text(c, model_.expected()) + "\n";
    if (c.what != verb::exit || !model_.expected().holders.empty()) return;
    record_->scenario += c.net() == 0 ? "listen\n" : fmt::format("listen net {}\n", c.net());
  }

  observed_system system_;
  sequential_model model_;
  observation seen_;
  record* const record_;
};

}  // namespace

std::string first_difference(const impl& on, const sequence& what, record* into) {
  side_by_side both(on, what, into);
  for (const command& c : what.commands) {
    if (std::string difference = both.run(c); !difference.empty()) return difference;
  }
  return both.end();
}

}  // namespace ct::property
