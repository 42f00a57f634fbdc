// SPDX-License-Identifier: BSD-2-Clause
/// The contract by letter: what a connection-tracking table may promise, and what nobody promises.
///
/// A table claims a set of letters; checks demand what is claimed, results cite the letters. Behind
/// the texts stand docs/guarantees.md (each letter with its reason, its kernel function and its
/// check).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace ct {

enum class letter : std::uint8_t {
  a1,
  a2,
  a3,
  b1,
  b2,
  b3,
  b4,
  c1,
  c2,
  d1,
  d2,
  d3,
  d4,
  e1,
  e2,
  f1,
  f2,
  g1,
  g2,
  h1,
};

struct guarantee {
  ct::letter letter;
  std::string_view name;      ///< as it is written in claims, docs and results: "A.1"
  std::string_view promises;  ///< one sentence
};

inline constexpr std::array<guarantee, 20> guarantees = {{
    {letter::a1,
     "A.1",
     "a lookup that begins after confirm returned and ends before kill begins finds the entry, "
     "under either tuple"},
    {letter::a2,
     "A.2",
     "the entry found was confirmed and had that tuple, zone and netns at a moment of the lookup"},
    {letter::a3, "A.3", "the entry found is referenced: its memory has no other meaning until put"},
    {letter::b1, "B.1", "confirm inserts both tuplehashes or none"},
    {letter::b2,
     "B.2",
     "no lookup finds an entry by one tuple while its other tuple is not findable yet"},
    {letter::b3, "B.3", "an entry that is dying or confirmed already is refused"},
    {letter::b4,
     "B.4",
     "work under a lock is bounded: too long a chain refuses the entry (chaintoolong)"},
    {letter::c1, "C.1", "at most one linked entry answers to a (tuple, zone, netns)"},
    {letter::c2,
     "C.2",
     "of several confirms of one tuple exactly one inserts, the others learn of the clash"},
    {letter::d1,
     "D.1",
     "of several kills at most one returns true, and exactly one unless its destroy event is "
     "refused"},
    {letter::d2, "D.2", "after the kill that returned true neither tuple finds the entry"},
    {letter::d3, "D.3", "both tuples of a killed entry vanish at one instant"},
    {letter::d4,
     "D.4",
     "memory is reused only when the last reference is put, and is freed exactly once"},
    {letter::e1,
     "E.1",
     "no lookup returns an entry whose timeout was reached before the lookup began"},
    {letter::e2,
     "E.2",
     "a whole pass of gc_worker removes every entry that had expired before it and is not "
     "referenced"},
    {letter::f1, "F.1", "a resize loses no entry and doubles none"},
    {letter::f2, "F.2", "a lookup during a resize misses nothing"},
    {letter::g1, "G.1", "a lookup never waits for a writer, a resize apart"},
    {letter::g2, "G.2", "there is no lock that every writer takes"},
    {letter::h1,
     "H.1",
     "of an entry with events the listener takes its birth first, DESTROY exactly once and last, "
     "nothing twice"},
}};

constexpr std::string_view name(letter l) { return guarantees[static_cast<std::size_t>(l)].name; }

/// The letters that a table keeps.
class claims {
 public:
  constexpr claims() = default;
  constexpr claims(std::initializer_list<letter> letters) {
    for (const letter l : letters) bits_ |= bit(l);
  }
  constexpr bool has(letter l) const { return (bits_ & bit(l)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }

 private:
  static constexpr std::uint32_t bit(letter l) { return 1U << static_cast<unsigned>(l); }
  std::uint32_t bits_ = 0;
};

}  // namespace ct
