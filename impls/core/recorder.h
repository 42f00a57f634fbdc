// SPDX-License-Identifier: BSD-2-Clause
/// An observer that puts what it sees into the words of the contract machine (spec/trace.h).
///
/// It names entries and flows by the smallest free numbers, so that a long run of few connections
/// needs few, and knows of each CPU how far the machine's CPU is: that tells whose put a put is,
/// and what is said of a packet when it turns out that nothing more comes of it (GiveUp, Drop).
/// What the machine does not know is left out: references of those who only look (a dump, gc_worker
/// at what it leaves alone), and a child's on its master.
///
/// Guarantees: each step is told once, in the order in which it was made; what cannot be said stops
/// the recording with one line. Limits: one thread at a time, however many CPUs it drives; a CPU
/// carries one packet at a time; a key has its inverse in the same zone; an entry is made after a
/// lookup of it. A listener refuses between two steps (Stall, TellRefused, Recover).
#pragma once

#include "impls/core/observer.h"
#include "impls/core/proto/l4proto.h"
#include "spec/trace.h"

#include <cstdint>
#include <memory>

namespace ct::core {

/// Tells `to`, which must outlive it; `jiffies64`: the clock as it stands.
std::unique_ptr<observer> make_recorder(trace_sink& to,
                                        const l4proto_list& l4protos,
                                        std::uint64_t jiffies64);

}  // namespace ct::core
