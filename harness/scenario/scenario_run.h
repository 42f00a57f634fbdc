// SPDX-License-Identifier: BSD-2-Clause
/// Plays a scenario on a ct system and compares what comes of each step with what is written.
///
/// The verbs; NAME is a packet, HANDLE one that is on its way (as AS gives it, or the packet's
/// name). Outcomes: words, then KEY=VALUE pairs of which any may be left out.
///
///     in NAME [as HANDLE]        -> CTINFO [drop] entry=HANDLE reason="..."    prerouting
///     confirm HANDLE             -> accept|drop entry=HANDLE                   postrouting
///     free HANDLE                                                             the packet has left
///     pass NAME [as HANDLE]      -> CTINFO [drop] entry=HANDLE reason="..."    all three at once
///     alter-reply HANDLE NAME    -> done|late          NAME's tuple as reply tuple, as NAT does
///     wait 30s | wait 5j                               seconds or jiffies; gc runs as it falls due
///     find NAME                  -> none | original|reply entry=HANDLE
///     create NAME [timeout N]    -> N                  conntrack -I
///     kill NAME                  -> N                  conntrack -D
///     flush [KEY=VALUE]          -> N                  conntrack -F, or -D of net, mark, protonum
///     update NAME KEY=VALUE...   -> updated|busy|...   timeout, mark, status, label, net
///     exit NET                   -> gone|held          prints a line for each holder
///     gc                         -> reaped=N dropped=N
///     resize N                   -> resized|same_size|not_supported|no_memory
///     sysctl NAME=VALUE [net N]  -> set|refused
///     labels on|off [net N]
///     policy NAME PROTO KEY=SECONDS...                 a timeout policy, for packets
///     listen [net N] [EVENT...]; unlisten [net N]; refuse; take
///     redeliver [net N]          -> delivered=N waiting=N congested=yes|no
///     list [net N] [acct]        prints the table as conntrack -L
///     events [bits] [acct]       prints what was told since the last time, as conntrack -E; bits:
///                                with the events of each message ahead, as NEW|PROTOINFO
///     expectations               prints them as conntrack -L expect
///     count -> N; buckets -> N
///     stat, event-stat           -> KEY=N ...   a counter that is not named must be 0; KEY>=N too
///     entry HANDLE               -> table|held|gone KEY=VALUE...  status, timeout (s), use, mark,
///                                   zone, tcp, packets, bytes, helper, master, labels, start, stop
///
/// `entry=` names the first handle that had the same entry, `new` if none, `none` without entry.
/// A source port range makes several packets; each must have the outcome. Printed lines are
/// compared word by word. At the end whoever is left is freed, killed and told: then nothing may be
/// left, no invariant be broken, and the books of a listener that heard everything from the first
/// entry on must agree with letter H.1. The timeout of an entry that is not confirmed says nothing.
#pragma once

#include "spec/impl.h"
#include "workloads/scenario.h"

#include <string>
#include <vector>

namespace ct::harness {

/// The first step that is not as written: "PATH:LINE: STEP: expected ..., was ..."; empty: all are.
/// Throws workloads::text_error for a step without meaning.
std::string run_scenario(const workloads::scenario& what, const impl& on);

/// Does `on` promise what the scenario needs?
bool takes_part(const workloads::scenario& what, const impl& on);

/// Steps that run_scenario() knows, for errors and tests.
std::vector<std::string_view> scenario_verbs();

}  // namespace ct::harness
