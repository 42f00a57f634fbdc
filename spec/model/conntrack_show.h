// SPDX-License-Identifier: BSD-2-Clause
/// The contract machine's sets, how a state is shown, and states with their elements renamed.
#pragma once

#include "spec/model/conntrack.h"

namespace ct::model {

template <class Room>
index_t basic_conntrack<Room>::size(domain d) const {
  switch (d) {
    case domain::cpu:
      return cpus();
    case domain::carrier:
      return cpus() - workers_;
    case domain::entry:
      return entries();
    case domain::netns:
      return nets();
    case domain::tuple:
      return tuples();
    case domain::key:
      return 2 * tuples() * nets();
    case domain::boolean:
    case domain::tick:
      return 2;
    case domain::timeout:
      return timeout_ + 1;
  }
  return 0;
}

template <class Room>
value basic_conntrack<Room>::key_value(number key) const {
  if (key == 0) return value::model("None");
  const index_t k = key - 1U;
  return value::sequence({value::model(net_names_[k / (2 * tuples())]),
                          value::model(tuple_names_[k / 2 % tuples()]),
                          value::string(k % 2 == 0 ? "original" : "reply")});
}

template <class Room>
value basic_conntrack<Room>::entry_value(number at) const {
  return value::model(at == 0 ? std::string("None") : entry_names_[at - 1U]);
}

template <class Room>
value basic_conntrack<Room>::element(domain d, index_t i) const {
  switch (d) {
    case domain::cpu:
    case domain::carrier:
      return value::model(cpu_names_[i]);
    case domain::entry:
      return value::model(entry_names_[i]);
    case domain::netns:
      return value::model(net_names_[i]);
    case domain::tuple:
      return value::model(tuple_names_[i]);
    case domain::key:
      return key_value(static_cast<number>(i + 1));
    case domain::boolean:
      return value::boolean(i != 0);
    case domain::timeout:
    case domain::tick:
      return value::integer(i);
  }
  return value::integer(i);
}

template <class Room>
template <class Of>
value basic_conntrack<Room>::by(domain d, Of&& of) const {
  std::vector<std::pair<value, value>> all;
  for (index_t i = 0; i < size(d); ++i) all.emplace_back(element(d, i), of(i));
  return value::function(std::move(all));
}

template <class Room>
template <class Has>
value basic_conntrack<Room>::set_of(domain d, Has&& has) const {
  std::vector<value> all;
  for (index_t i = 0; i < size(d); ++i) {
    if (has(i)) all.push_back(element(d, i));
  }
  return value::set(std::move(all));
}

template <class Room>
void basic_conntrack<Room>::show_entries(const state& s, std::vector<variable>& out) const {
  const auto add = [&](std::string_view variable_name, auto of) {
    out.push_back({variable_name, by(domain::entry, [&](index_t e) { return of(s.entry[e]); })});
  };
  const auto text = [](auto which, auto... names) {
    const std::array<std::string_view, sizeof...(names)> list{names...};
    return value::string(list[static_cast<std::size_t>(which)]);
  };
  add("status",
      [&](const entry_state& e) { return text(e.status, "free", "unconfirmed", "confirmed"); });
  add("keys", [&](const entry_state& e) {
    if (e.key_original == 0) return value::model("None");
    return value::function({{value::string("original"), key_value(e.key_original)},
                            {value::string("reply"), key_value(e.key_reply)}});
  });
  add("linked", [&](const entry_state& e) {
    std::vector<value> dirs;
    if ((e.linked & original) != 0) dirs.push_back(value::string("original"));
    if ((e.linked & reply) != 0) dirs.push_back(value::string("reply"));
    return value::set(std::move(dirs));
  });
  add("dying", [](const entry_state& e) { return value::boolean(e.dying); });
  add("use", [](const entry_state& e) { return value::integer(e.use); });
  add("ttl", [](const entry_state& e) { return value::integer(e.ttl); });
  add("assured", [](const entry_state& e) { return value::boolean(e.assured); });
  add("silent", [](const entry_state& e) { return value::boolean(e.silent); });
  add("told", [&](const entry_state& e) {
    return text(e.told, "nothing", "new", "update", "destroy", "broken");
  });
  add("parked",
      [&](const entry_state& e) { return text(e.parked, "no", "refused", "waiting", "told"); });
}

template <class Room>
void basic_conntrack<Room>::show_cpus(const state& s, std::vector<variable>& out) const {
  const auto add = [&](std::string_view variable_name, auto of) {
    out.push_back({variable_name, by(domain::cpu, [&](index_t p) { return of(s.cpu[p]); })});
  };
  const auto where = [](place pc) {
    return value::string(detail::places[static_cast<std::size_t>(pc)]);
  };
  const auto members = [this](domain d, const set& of) {
    return set_of(d, [&](index_t i) { return of.has(i); });
  };
  add("pc", [&](const cpu_state& cpu) { return where(cpu.pc); });
  add("then", [&](const cpu_state& cpu) { return where(cpu.then); });
  add("want", [&](const cpu_state& cpu) { return key_value(cpu.want); });
  add("at", [&](const cpu_state& cpu) { return entry_value(cpu.at); });
  add("seen", [&](const cpu_state& cpu) { return members(domain::entry, cpu.seen); });
  add("unseen", [](const cpu_state& cpu) { return value::boolean(cpu.unseen); });
  add("todo", [&](const cpu_state& cpu) { return members(domain::entry, cpu.todo); });
  add("scope", [&](const cpu_state& cpu) { return members(domain::netns, cpu.scope); });
}

template <class Room>
std::vector<variable> basic_conntrack<Room>::show(const state& s) const {
  std::vector<variable> all;
  show_entries(s, all);
  const auto number_of = [&](auto of) {
    return by(domain::netns, [&](index_t n) { return value::integer(of(s.net[n])); });
  };
  all.push_back({"count", number_of([](const netns_state& n) { return n.count; })});
  all.push_back({"freed", number_of([](const netns_state& n) { return n.freed; })});
  all.push_back({"exiting", set_of(domain::netns, [&](index_t n) { return s.net[n].is_exiting; })});
  all.push_back({"resizing", value::boolean(s.resizing)});
  all.push_back({"deaf", value::boolean(s.deaf)});
  show_cpus(s, all);
  return all;
}

template <class Room>
std::span<const typename basic_conntrack<Room>::domain> basic_conntrack<Room>::symmetric() {
  static constexpr std::array<domain, 3> sets = {domain::carrier, domain::entry, domain::tuple};
  return sets;
}

template <class Room>
typename basic_conntrack<Room>::state basic_conntrack<Room>::renamed(
    const state& s,
    std::span<const std::vector<index_t>> renaming) const {
  const auto& of_cpu = renaming[0];
  const auto& of_entry = renaming[1];
  const auto& of_tuple = renaming[2];
  const auto key = [&](number k) {
    if (k == 0) return k;
    const index_t i = k - 1U;
    const index_t flow = i / 2;
    const index_t to = flow / tuples() * tuples() + of_tuple[flow % tuples()];
    return static_cast<number>(2 * to + i % 2 + 1);
  };
  const auto entries_of = [&](const set& from) {
    set to;
    for (index_t e = 0; e < entries(); ++e) {
      if (from.has(e)) to.add(of_entry[e]);
    }
    return to;
  };
  state out = s;
  for (index_t e = 0; e < entries(); ++e) {
    entry_state& to = out.entry[of_entry[e]];
    to = s.entry[e];
    to.key_original = key(to.key_original);
    to.key_reply = key(to.key_reply);
  }
  for (index_t p = 0; p < cpus(); ++p) {
    cpu_state& to = out.cpu[p < of_cpu.size() ? of_cpu[p] : p];
    to = s.cpu[p];
    to.want = key(to.want);
    if (to.at != 0) to.at = static_cast<number>(of_entry[to.at - 1U] + 1);
    to.seen = entries_of(to.seen);
    to.todo = entries_of(to.todo);
  }
  return out;
}

}  // namespace ct::model
