------------------------------- MODULE Conntrack -------------------------------
(***************************************************************************)
(* What a connection-tracking system may do, as far as its callers can see *)
(* it: the contract.                                                       *)
(*                                                                         *)
(* A CPU carries one packet (or one request) at a time; pc says how far it *)
(* is.  An entry is memory that one connection uses after another.  Where  *)
(* a system needs several steps in which others can come between, so does  *)
(* this machine; each such freedom is an allowance that can be switched    *)
(* off.  How a table finds, locks and links is not said here: the machines *)
(* TypesafeLookup, DoubleLockResize, ConfirmKill and EventRedelivery say   *)
(* it, and refine this one.                                                *)
(*                                                                         *)
(* A lookup takes time.  What it may answer is kept while it lasts: seen,  *)
(* the entries that could be found at a moment of it, and unseen, whether  *)
(* there was a moment at which none could.                                 *)
(*                                                                         *)
(* The same machine in C++ is spec/model/conntrack.h.                      *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets

CONSTANTS
  Cpus,        \* that carry packets and requests
  Workers,     \* those of them that carry no packets: gc_worker, netns exit
  Entries,     \* places for connections
  Netns,       \* network namespaces
  Tuples,      \* names of flows; each has two keys a netns
  Timeout,     \* ticks that a packet gives an entry, 1 at least
  Max,         \* nf_conntrack_max, a netns
  ChainLimit,  \* linked entries from which on a chain may be too long
  Operations,  \* what goes on beside packets
  Allowances,  \* what is not atomic
  Fault,       \* a planted mistake, or "none"
  None         \* no entry, no key

Dirs == {"original", "reply"}
Other(d) == IF d = "original" THEN "reply" ELSE "original"

(* What is searched: netns, flow, and which way its packets go. *)
Keys == Netns \X Tuples \X Dirs
Inverse(k) == <<k[1], k[2], Other(k[3])>>

VARIABLES
  status,    \* [Entries -> {"free", "unconfirmed", "confirmed"}]
  keys,      \* [Entries -> [Dirs -> Keys] or None]  its two tuples
  linked,    \* [Entries -> SUBSET Dirs]  tuplehashes that are in the table
  dying,     \* [Entries -> BOOLEAN]      its deletion is claimed
  use,       \* [Entries -> Nat]          references
  ttl,       \* [Entries -> Nat]          ticks until it expires
  assured,   \* [Entries -> BOOLEAN]      early drop leaves it alone
  silent,    \* [Entries -> BOOLEAN]      nobody is told of it, nothing prolongs
             \*                           it: the reply-only entry of a clash
  told,      \* [Entries -> Messages]     the last that the listener was told
  parked,    \* [Entries -> {"no", "refused", "waiting", "told"}]  its destroy
             \*                           event, while the table's reference waits
  count,     \* [Netns -> Nat]            nf_conntrack_count
  freed,     \* [Netns -> Nat]            freed, and counted still
  exiting,   \* SUBSET Netns
  resizing,  \* BOOLEAN
  deaf,      \* BOOLEAN: the listener refuses what it is told
  pc,        \* [Cpus -> where it is]
  then,      \* [Cpus -> where it goes on when the entry at hand is put]
  want,      \* [Cpus -> Keys or None]    what it looks for
  at,        \* [Cpus -> Entries or None] the entry at hand, referenced
  seen,      \* [Cpus -> SUBSET Entries]  could be found during its lookup
  unseen,    \* [Cpus -> BOOLEAN]         none could, at some moment of it
  todo,      \* [Cpus -> SUBSET Entries]  its walk has yet to visit
  scope      \* [Cpus -> SUBSET Netns]    its walk visits

bodyVars   == <<status, keys, silent>>
tableVars  == <<linked, dying>>
timeVars   == <<ttl, assured>>
eventVars  == <<told, parked, deaf>>
countVars  == <<count, freed>>
systemVars == <<exiting, resizing>>
walkVars   == <<todo, scope>>
vars == <<bodyVars, tableVars, use, timeVars, eventVars, countVars, systemVars,
          pc, then, want, at, seen, unseen, walkVars>>

May(operation)    == operation \in Operations
Allows(allowance) == allowance \in Allowances

--------------------------------------------------------------------------------
(* What can be said of a state *)

KeysOf(e)    == {keys[e][d] : d \in Dirs}
NetOf(e)     == keys[e]["original"][1]
IsExpired(e) == ttl[e] = 0

(* A lookup of k that looks now finds e. DYING is no part of it.            *)
AnswersTo(k, e) ==
  /\ status[e] = "confirmed"
  /\ \E d \in linked[e] : keys[e][d] = k
Finds(k, e) == AnswersTo(k, e) /\ ~IsExpired(e)

(* Both bucket locks are held from the search of confirm to its last link,  *)
(* and from the first unlink to the last; a resize holds all locks.         *)
Critical == {"insert_original", "insert_reply", "publish", "unlink_reply"}
IsLocked(p, e) ==
  \/ resizing
  \/ \E q \in Cpus \ {p} :
       pc[q] \in Critical /\ KeysOf(at[q]) \cap KeysOf(e) # {}

(* Who stands in the way of e under one of its tuples, expired or not.      *)
Clashes(e, d) ==
  {w \in Entries \ {e} : /\ status[w] = "confirmed"
                         /\ \E x \in linked[w] : keys[w][x] = keys[e][d]}
IsSameFlow(e, w) ==
  \/ keys[e] = keys[w]
  \/ \A d \in Dirs : keys[e][d] = keys[w][Other(d)]

(* An entry's messages: NEW, then any number of UPDATE, DESTROY last and    *)
(* once. What else comes is "broken". DESTROY brings a NEW that was not     *)
(* told along.                                                              *)
Messages == {"nothing", "new", "update", "destroy", "broken"}
After(last, message) ==
  CASE message = "new"     /\ last = "nothing"                     -> "new"
    [] message = "update"  /\ last \in {"new", "update"}           -> "update"
    [] message = "destroy" /\ last \in {"nothing", "new", "update"} -> "destroy"
    [] OTHER -> "broken"
(* Nobody listens to a netns that exits, and so nobody refuses.             *)
Refuses(e) == deaf /\ NetOf(e) \notin exiting

IsWalked == \E q \in Cpus : scope[q] # {}
IdleFor(p, operation) ==
  pc[p] = "idle" /\ May(operation) /\ (Workers = {} \/ p \in Workers)

--------------------------------------------------------------------------------
(* Every step ends with Watch: what could the lookups under way have seen?  *)
(* An expired entry that is being unlinked may be prolonged by a packet     *)
(* that has it at hand.  A lookup that met it before, and judges it now,    *)
(* takes it for alive: late_refresh.                                        *)
Watch ==
  /\ seen' = [p \in Cpus |->
       {e \in Entries : /\ pc'[p] = "lookup"
                        /\ \/ Finds(want[p], e)'
                           \/ Allows("late_refresh") /\ AnswersTo(want[p], e)'
                           \/ e \in seen[p] /\ status'[e] # "free"}]
  /\ unseen' = [p \in Cpus |->
       /\ pc'[p] = "lookup"
       /\ \/ unseen[p]
          \/ resizing' /\ Allows("miss_during_resize")
          \/ \A e \in Entries : ~Finds(want[p], e)']

Goto(p, label) == pc' = [pc EXCEPT ![p] = label]

(* p takes a reference to e, has it at hand and goes on there.              *)
Take(p, e, label) ==
  /\ use' = [use EXCEPT ![e] = @ + 1]
  /\ at'  = [at EXCEPT ![p] = e]
  /\ Goto(p, label)

--------------------------------------------------------------------------------
(* A packet's way: lookup                                                   *)

(* Into a netns that exits none comes as a rule: its devices are gone.      *)
Packet(p, k) ==
  /\ pc[p] = "idle" /\ p \notin Workers
  /\ k[1] \in exiting => May("late_packets")
  /\ Goto(p, "lookup")
  /\ want' = [want EXCEPT ![p] = k]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, at, walkVars>>
  /\ Watch

(* The reference may be held already: by a glance.                          *)
Obtain(p, e, label) ==
  /\ at[p] \in {None, e} /\ use[e] > 0
  /\ use' = IF at[p] = e THEN use ELSE [use EXCEPT ![e] = @ + 1]
  /\ at'  = [at EXCEPT ![p] = e]
  /\ Goto(p, label)

FindGet(p, e) ==
  /\ pc[p] = "lookup"
  /\ \/ e \in seen[p] /\ (Allows("late_refresh") => ~IsExpired(e))
     \/ Fault = "stale_find" /\ status[e] = "confirmed" /\ want[p] \in KeysOf(e)
  /\ Obtain(p, e, "track")
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, walkVars>>
  /\ Watch

(* A lookup holds, for a moment, what it will not return.                   *)
Glance(p, e) ==
  /\ pc[p] = "lookup" /\ at[p] = None /\ Allows("passing_reference")
  /\ Obtain(p, e, "lookup")
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, walkVars>>
  /\ Watch

LookAway(p) ==
  /\ pc[p] = "lookup" /\ at[p] # None
  /\ use' = [use EXCEPT ![at[p]] = @ - 1]
  /\ at' = [at EXCEPT ![p] = None]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, pc, then, want, walkVars>>
  /\ Watch

FindMiss(p) ==
  /\ pc[p] = "lookup" /\ at[p] = None /\ unseen[p]
  /\ Goto(p, "reserve")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* It has expired: the lookup buries it, and has found nothing.             *)
FindExpired(p, e) ==
  /\ pc[p] = "lookup" /\ unseen[p]
  /\ status[e] = "confirmed" /\ IsExpired(e) /\ want[p] \in KeysOf(e)
  /\ Obtain(p, e, "reap")
  /\ then' = [then EXCEPT ![p] = "reserve"]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, want, walkVars>>
  /\ Watch

(* Who only asked, or may not create, is done.                              *)
GiveUp(p) ==
  /\ pc[p] = "reserve" /\ May("lookup")
  /\ Goto(p, "idle")
  /\ want' = [want EXCEPT ![p] = None]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, at, walkVars>>
  /\ Watch

--------------------------------------------------------------------------------
(* alloc                                                                    *)

(* Counts first and tests then: of two that race for the last place both    *)
(* may be refused.                                                          *)
Reserve(p) ==
  /\ pc[p] = "reserve"
  /\ LET n  == want[p][1]
         ok == n \notin exiting /\ count[n] < Max
     IN /\ count' = IF ok \/ Allows("count_reserves")
                    THEN [count EXCEPT ![n] = @ + 1] ELSE count
        /\ Goto(p, IF ok THEN "alloc" ELSE IF n \in exiting THEN "refuse" ELSE "full")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, freed,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* What has expired is no room made: it would have gone anyway.             *)
EarlyDrop(p, v) ==
  /\ pc[p] \in {"full", "room"} /\ May("early_drop")
  /\ status[v] = "confirmed" /\ linked[v] # {} /\ ~dying[v]
  /\ IsExpired(v) \/ (~assured[v] /\ NetOf(v) = want[p][1])
  /\ Take(p, v, "claim")
  /\ then' = [then EXCEPT ![p] = IF pc[p] = "full" /\ ~IsExpired(v)
                                  THEN "making_room" ELSE pc[p]]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, want, walkVars>>
  /\ Watch

Refuse(p) ==
  /\ pc[p] \in {"full", "refuse"}
  /\ Goto(p, "idle")
  /\ count' = IF Allows("count_reserves") /\ Fault # "refused_and_counted"
              THEN [count EXCEPT ![want[p][1]] = @ - 1] ELSE count
  /\ want' = [want EXCEPT ![p] = None]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, freed,
                 systemVars, then, at, walkVars>>
  /\ Watch

(* Memory that another connection may have had before.                      *)
Alloc(p, e) ==
  /\ \/ pc[p] = "alloc"
     \/ pc[p] = "room" /\ (Allows("count_reserves") \/ count[want[p][1]] < Max)
  /\ status[e] = "free"
  /\ status' = [status EXCEPT ![e] = "unconfirmed"]
  /\ keys'   = [keys EXCEPT ![e] = [d \in Dirs |->
                  IF d = "original" THEN want[p] ELSE Inverse(want[p])]]
  /\ count' = IF pc[p] = "room" /\ ~Allows("count_reserves")
              THEN [count EXCEPT ![want[p][1]] = @ + 1] ELSE count
  /\ Take(p, e, "track")
  /\ UNCHANGED <<silent, tableVars, timeVars, eventVars, freed, systemVars,
                 then, want, walkVars>>
  /\ Watch

--------------------------------------------------------------------------------
(* What the tracker and the rules do with the entry at hand                 *)

(* Its timeout begins anew. Before confirm it is relative: time does not    *)
(* eat it.                                                                  *)
Track(p, timeout, assures) ==
  /\ pc[p] = "track"
  /\ Goto(p, "confirm")
  /\ ttl' = IF silent[at[p]] THEN ttl ELSE [ttl EXCEPT ![at[p]] = timeout]
  /\ assured' = [assured EXCEPT ![at[p]] = @ \/ assures]
  /\ UNCHANGED <<bodyVars, tableVars, use, eventVars, countVars, systemVars,
                 then, want, at, walkVars>>
  /\ Watch

(* The reply is to come to another address.                                 *)
AlterReply(p, k) ==
  /\ pc[p] = "track" /\ May("nat")
  /\ status[at[p]] = "unconfirmed"
  /\ keys[at[p]]["reply"] = Inverse(keys[at[p]]["original"])
  /\ k # keys[at[p]]["reply"] /\ k # keys[at[p]]["original"] /\ k[1] = NetOf(at[p])
  /\ keys' = [keys EXCEPT ![at[p]]["reply"] = k]
  /\ UNCHANGED <<status, silent, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, pc, then, want, at, walkVars>>
  /\ Watch

(* INVALID, dropped by a rule, or no packet but a question.                 *)
Drop(p) ==
  /\ pc[p] \in {"track", "confirm"}
  /\ Goto(p, "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* A request, an RST, or (again) a reopening that looks anew.               *)
Kill(p, again) ==
  /\ pc[p] = "track" /\ May("kill")
  /\ status[at[p]] = "confirmed"
  /\ Goto(p, "claim")
  /\ then' = [then EXCEPT ![p] = IF again THEN "lookup" ELSE "idle"]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, want, at, walkVars>>
  /\ Watch

(* Nothing is to be unlinked; confirm will refuse it.                       *)
KillUnconfirmed(p) ==
  /\ pc[p] = "track" /\ May("kill")
  /\ status[at[p]] = "unconfirmed"
  /\ Goto(p, "confirm")
  /\ dying' = [dying EXCEPT ![at[p]] = TRUE]
  /\ UNCHANGED <<bodyVars, linked, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

--------------------------------------------------------------------------------
(* confirm: with both buckets held, refused, or both tuplehashes linked     *)

IsInserting(p) ==
  pc[p] = "confirm" /\ status[at[p]] = "unconfirmed" /\ ~IsLocked(p, at[p])
IsFree(e) == Fault = "no_clash_search" \/ \A d \in Dirs : Clashes(e, d) = {}

Confirm(p) ==
  /\ IsInserting(p) /\ ~dying[at[p]] /\ IsFree(at[p])
  /\ Goto(p, "insert_original")
  /\ use' = [use EXCEPT ![at[p]] = @ + 1]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

InsertOriginal(p) ==
  /\ pc[p] = "insert_original"
  /\ Goto(p, "insert_reply")
  /\ linked' = [linked EXCEPT ![at[p]] = @ \cup {"original"}]
  /\ UNCHANGED <<bodyVars, dying, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

InsertReply(p) ==
  /\ pc[p] = "insert_reply"
  /\ Goto(p, "publish")
  /\ linked' = [linked EXCEPT ![at[p]] = @ \cup {"reply"}]
  /\ UNCHANGED <<bodyVars, dying, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* From here on it can be found, under both tuples at once.                 *)
Publish(p) ==
  /\ pc[p] = "publish"
  /\ Goto(p, "deliver")
  /\ status' = [status EXCEPT ![at[p]] = "confirmed"]
  /\ UNCHANGED <<keys, silent, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

ConfirmDying(p) ==
  /\ IsInserting(p) /\ dying[at[p]]
  /\ Goto(p, "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* Another packet of this flow came first: this one goes over to its entry. *)
Merge(p, w) ==
  /\ IsInserting(p) /\ ~dying[at[p]] /\ Allows("clash_merge")
  /\ \E d \in Dirs : w \in Clashes(at[p], d)
  /\ IsSameFlow(at[p], w)
  /\ use' = [use EXCEPT ![w] = @ + 1, ![at[p]] = @ - 1]
  /\ at' = [at EXCEPT ![p] = w]
  /\ Goto(p, "deliver")
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, walkVars>>
  /\ Watch

(* Another flow, translated, has the original tuple: the reply tuple alone  *)
(* is linked, for a short while.                                            *)
LinkReply(p, timeout) ==
  /\ IsInserting(p) /\ ~dying[at[p]] /\ Allows("clash_reply_only")
  /\ Clashes(at[p], "original") # {} /\ Clashes(at[p], "reply") = {}
  /\ \A w \in Clashes(at[p], "original") : ~IsSameFlow(at[p], w)
  /\ Goto(p, "insert_reply")
  /\ use' = [use EXCEPT ![at[p]] = @ + 1]
  /\ ttl' = [ttl EXCEPT ![at[p]] = timeout]
  /\ silent' = [silent EXCEPT ![at[p]] = TRUE]
  /\ UNCHANGED <<status, keys, tableVars, assured, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

ClashDrop(p) ==
  /\ IsInserting(p) /\ ~dying[at[p]]
  /\ \E d \in Dirs : Clashes(at[p], d) # {}
  /\ Goto(p, "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

ChainTooLong(p) ==
  /\ IsInserting(p) /\ ~dying[at[p]] /\ Allows("chain_too_long")
  /\ Cardinality({e \in Entries : linked[e] # {}}) >= ChainLimit
  /\ Goto(p, "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* What is to be told of the entry is told when its packet has passed; what *)
(* is refused comes with the next message.                                  *)
Deliver(p) ==
  /\ \/ pc[p] = "deliver"
     \/ pc[p] = "confirm" /\ status[at[p]] = "confirmed"
  /\ Goto(p, "release")
  /\ LET e == at[p]
         message == IF told[e] = "nothing" THEN "new" ELSE "update"
     IN told' = IF silent[e] \/ told[e] = "destroy" \/ Refuses(e)
                   \/ (message = "update" /\ ~May("update"))
                THEN told ELSE [told EXCEPT ![e] = After(@, message)]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, parked, deaf, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* It is being killed, and whoever kills it tells NEW too.                  *)
LeaveToKiller(p) ==
  /\ Allows("killer_tells")
  /\ \/ pc[p] = "deliver"
     \/ pc[p] = "confirm" /\ status[at[p]] = "confirmed"
  /\ dying[at[p]]
  /\ Goto(p, "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

--------------------------------------------------------------------------------
(* kill: claim, event, unlink both, give the table's reference back         *)

(* Who came for an expired entry looks again, now that it is referenced: a  *)
(* pointer that he had before may lead to another connection.               *)
Reap(p) ==
  /\ pc[p] = "reap"
  /\ Goto(p, IF status[at[p]] = "confirmed" /\ IsExpired(at[p]) THEN "claim" ELSE "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

Claim(p) ==
  /\ pc[p] = "claim" /\ ~dying[at[p]]
  /\ Goto(p, "tell")
  /\ dying' = [dying EXCEPT ![at[p]] = TRUE]
  /\ UNCHANGED <<bodyVars, linked, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* "Not mine" does not mean "gone".                                         *)
ClaimLost(p) ==
  /\ pc[p] = "claim" /\ dying[at[p]]
  /\ Allows("loser_returns_early") \/ linked[at[p]] = {}
  /\ Goto(p, IF Fault = "loser_puts_too" THEN "put_table" ELSE "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* A walk's filter, or early drop's second look, leaves it alone.           *)
Spare(p) ==
  /\ pc[p] = "claim"
  /\ \/ then[p] = "walk" /\ May("filter")
     \/ then[p] \in {"full", "making_room", "room"} /\ assured[at[p]]
  /\ Goto(p, "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

Tell(p) ==
  /\ pc[p] = "tell"
  /\ silent[at[p]] \/ ~Refuses(at[p])
  /\ Goto(p, "unlink_original")
  /\ told' = IF silent[at[p]] THEN told
             ELSE [told EXCEPT ![at[p]] = After(@, "destroy")]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, parked, deaf, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

TellRefused(p) ==
  /\ pc[p] = "tell"
  /\ ~silent[at[p]] /\ Refuses(at[p])
  /\ Goto(p, "unlink_original")
  /\ parked' = IF Fault = "refused_and_forgotten" THEN parked
               ELSE [parked EXCEPT ![at[p]] = "refused"]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, told, deaf, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

Unlinked(e) == IF parked[e] = "refused" THEN "park" ELSE "put_table"

UnlinkOriginal(p) ==
  /\ pc[p] = "unlink_original" /\ ~IsLocked(p, at[p])
  /\ Goto(p, IF Allows("two_phase_delete") THEN "unlink_reply" ELSE Unlinked(at[p]))
  /\ linked' = [linked EXCEPT ![at[p]] =
                  IF Allows("two_phase_delete") THEN @ \ {"original"} ELSE {}]
  /\ UNCHANGED <<bodyVars, dying, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

UnlinkReply(p) ==
  /\ pc[p] = "unlink_reply"
  /\ Goto(p, Unlinked(at[p]))
  /\ linked' = IF Fault = "reply_stays" THEN linked
               ELSE [linked EXCEPT ![at[p]] = @ \ {"reply"}]
  /\ UNCHANGED <<bodyVars, dying, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

(* The kill was won: where room was to be made, there is some.              *)
PutTable(p) ==
  /\ pc[p] = "put_table"
  /\ Goto(p, "release")
  /\ use' = [use EXCEPT ![at[p]] = @ - 1]
  /\ then' = [then EXCEPT ![p] = IF @ = "making_room" THEN "room" ELSE @]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, want, at, walkVars>>
  /\ Watch

(* Its event was refused: the table's reference stays with it.              *)
Park(p) ==
  /\ pc[p] = "park"
  /\ Goto(p, "release")
  /\ parked' = [parked EXCEPT ![at[p]] = "waiting"]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, told, deaf, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

--------------------------------------------------------------------------------
(* References and memory                                                    *)

Put(p) ==
  /\ pc[p] = "release"
  /\ Goto(p, IF then[p] = "making_room" THEN "full" ELSE then[p])
  /\ then' = [then EXCEPT ![p] = "idle"]
  /\ want' = IF then[p] \in {"idle", "walk"} THEN [want EXCEPT ![p] = None] ELSE want
  /\ use'  = [use EXCEPT ![at[p]] = @ - 1]
  /\ at'   = [at EXCEPT ![p] = None]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, walkVars>>
  /\ Watch

(* The last reference is gone. The memory may be used again at once. Each   *)
(* CPU is between this and the counting at most once.                       *)
Free(e) ==
  /\ status[e] # "free" /\ freed[NetOf(e)] < Cardinality(Cpus)
  /\ use[e] = 0 \/ (Fault = "freed_too_early" /\ dying[e] /\ use[e] = 1)
  /\ status'  = [status EXCEPT ![e] = "free"]
  /\ keys'    = [keys EXCEPT ![e] = None]
  /\ silent'  = [silent EXCEPT ![e] = FALSE]
  /\ linked'  = [linked EXCEPT ![e] = {}]
  /\ dying'   = [dying EXCEPT ![e] = FALSE]
  /\ ttl'     = [ttl EXCEPT ![e] = 0]
  /\ assured' = [assured EXCEPT ![e] = FALSE]
  /\ told'    = [told EXCEPT ![e] = "nothing"]
  /\ freed'   = [freed EXCEPT ![NetOf(e)] = @ + 1]
  /\ todo'    = [p \in Cpus |-> todo[p] \ {e}]
  /\ UNCHANGED <<use, parked, deaf, count, systemVars, pc, then, want, at, scope>>
  /\ Watch

Uncount(n) ==
  /\ freed[n] > 0
  /\ freed' = [freed EXCEPT ![n] = @ - 1]
  /\ count' = [count EXCEPT ![n] = @ - 1]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, systemVars,
                 pc, then, want, at, walkVars>>
  /\ Watch

--------------------------------------------------------------------------------
(* What else goes on                                                        *)

Tick(ticks) ==
  /\ May("clock")
  /\ \E e \in Entries : status[e] = "confirmed" /\ ~IsExpired(e)
  /\ ttl' = [e \in Entries |-> IF status[e] # "confirmed" THEN ttl[e]
                               ELSE IF ttl[e] > ticks THEN ttl[e] - ticks ELSE 0]
  /\ UNCHANGED <<bodyVars, tableVars, use, assured, eventVars, countVars,
                 systemVars, pc, then, want, at, walkVars>>
  /\ Watch

GcVisit(p, e) ==
  /\ IdleFor(p, "gc")
  /\ \/ status[e] = "confirmed" /\ linked[e] # {} /\ IsExpired(e)
     \/ use[e] > 0 /\ Allows("stale_visit")
  /\ Take(p, e, "reap")
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, walkVars>>
  /\ Watch

(* While a netns is nearly full, it takes entries before their time. The     *)
(* limit counts in whole hundreds, if it has any.                            *)
IsNearlyFull(n) ==
  IF Max >= 100 THEN count[n] >= (Max \div 100) * 95 ELSE 20 * count[n] >= 19 * Max
GcDrop(p, e) ==
  /\ IdleFor(p, "gc") /\ May("early_drop")
  /\ status[e] = "confirmed" /\ linked[e] # {} /\ ~dying[e]
  /\ IsNearlyFull(NetOf(e))
  /\ Take(p, e, "claim")
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, walkVars>>
  /\ Watch

(* Told again. The table's reference goes with it, or some time later.      *)
Redeliver(e) ==
  /\ parked[e] = "waiting" /\ ~Refuses(e)
  /\ told' = [told EXCEPT ![e] = After(@, "destroy")]
  /\ IF Allows("put_after_telling")
     THEN /\ parked' = [parked EXCEPT ![e] = "told"]
          /\ UNCHANGED use
     ELSE /\ parked' = [parked EXCEPT ![e] = "no"]
          /\ use' = [use EXCEPT ![e] = @ - 1]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, deaf, countVars, systemVars,
                 pc, then, want, at, walkVars>>
  /\ Watch

PutParked(e) ==
  /\ parked[e] = "told"
  /\ parked' = [parked EXCEPT ![e] = "no"]
  /\ use' = [use EXCEPT ![e] = @ - 1]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, told, deaf, countVars, systemVars,
                 pc, then, want, at, walkVars>>
  /\ Watch

Stall ==
  /\ May("listener") /\ ~deaf
  /\ deaf' = TRUE
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, told, parked, countVars,
                 systemVars, pc, then, want, at, walkVars>>
  /\ Watch

Recover ==
  /\ deaf
  /\ deaf' = FALSE
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, told, parked, countVars,
                 systemVars, pc, then, want, at, walkVars>>
  /\ Watch

(* A walk that must miss nothing keeps resizes, and other walks, out.       *)
Walk(p, nets) ==
  /\ ~resizing /\ ~IsWalked
  /\ Goto(p, "walk")
  /\ scope' = [scope EXCEPT ![p] = nets]
  /\ todo' = [todo EXCEPT ![p] = {e \in Entries : /\ status[e] = "confirmed"
                                                  /\ "reply" \in linked[e]
                                                  /\ NetOf(e) \in nets}]

FlushBegin(p) ==
  /\ IdleFor(p, "flush")
  /\ Walk(p, Netns)
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at>>
  /\ Watch

(* The first pass of a netns' exit, and each that follows.                  *)
ExitBegin(p, n) ==
  /\ IdleFor(p, "exit")
  /\ Walk(p, {n})
  /\ exiting' = exiting \cup {n}
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 resizing, then, want, at>>
  /\ Watch

WalkVisit(p, e) ==
  /\ pc[p] = "walk"
  /\ status[e] = "confirmed" /\ "reply" \in linked[e] /\ NetOf(e) \in scope[p]
  /\ e \in todo[p] \/ Allows("weak_dump")
  /\ Take(p, e, "claim")
  /\ then' = [then EXCEPT ![p] = "walk"]
  /\ todo' = [todo EXCEPT ![p] = @ \ {e}]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, want, scope>>
  /\ Watch

WalkEnd(p) ==
  /\ pc[p] = "walk"
  /\ \A e \in todo[p] : "reply" \notin linked[e]
  /\ Goto(p, "idle")
  /\ scope' = [scope EXCEPT ![p] = {}]
  /\ todo' = [todo EXCEPT ![p] = {}]
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at>>
  /\ Watch

ExitEnd(p, n) ==
  /\ IdleFor(p, "exit")
  /\ n \in exiting /\ count[n] = 0
  /\ exiting' = exiting \ {n}
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 resizing, pc, then, want, at, walkVars>>
  /\ Watch

ResizeBegin(p) ==
  /\ IdleFor(p, "resize")
  /\ ~resizing /\ ~IsWalked /\ (\A q \in Cpus : pc[q] \notin Critical)
  /\ resizing' = TRUE
  /\ Goto(p, "resize")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 exiting, then, want, at, walkVars>>
  /\ Watch

ResizeEnd(p) ==
  /\ pc[p] = "resize"
  /\ resizing' = FALSE
  /\ Goto(p, "idle")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 exiting, then, want, at, walkVars>>
  /\ Watch

--------------------------------------------------------------------------------
Init ==
  /\ status = [e \in Entries |-> "free"]
  /\ keys = [e \in Entries |-> None]
  /\ linked = [e \in Entries |-> {}]
  /\ dying = [e \in Entries |-> FALSE]
  /\ use = [e \in Entries |-> 0]
  /\ ttl = [e \in Entries |-> 0]
  /\ assured = [e \in Entries |-> FALSE]
  /\ silent = [e \in Entries |-> FALSE]
  /\ told = [e \in Entries |-> "nothing"]
  /\ parked = [e \in Entries |-> "no"]
  /\ count = [n \in Netns |-> 0]
  /\ freed = [n \in Netns |-> 0]
  /\ exiting = {}
  /\ resizing = FALSE
  /\ deaf = FALSE
  /\ pc = [p \in Cpus |-> "idle"]
  /\ then = [p \in Cpus |-> "idle"]
  /\ want = [p \in Cpus |-> None]
  /\ at = [p \in Cpus |-> None]
  /\ seen = [p \in Cpus |-> {}]
  /\ unseen = [p \in Cpus |-> FALSE]
  /\ todo = [p \in Cpus |-> {}]
  /\ scope = [p \in Cpus |-> {}]

(* What a CPU does once it has begun.                                       *)
GoOn(p) ==
  \/ \E e \in Entries : FindGet(p, e)
  \/ \E e \in Entries : Glance(p, e)
  \/ LookAway(p)
  \/ FindMiss(p)
  \/ \E e \in Entries : FindExpired(p, e)
  \/ GiveUp(p)
  \/ Reserve(p)
  \/ \E e \in Entries : EarlyDrop(p, e)
  \/ Refuse(p)
  \/ \E e \in Entries : Alloc(p, e)
  \/ \E assures \in IF May("early_drop") THEN BOOLEAN ELSE {FALSE} :
       Track(p, Timeout, assures)
  \/ \E k \in Keys : AlterReply(p, k)
  \/ Drop(p)
  \/ \E again \in BOOLEAN : Kill(p, again)
  \/ KillUnconfirmed(p)
  \/ Confirm(p)
  \/ InsertOriginal(p)
  \/ InsertReply(p)
  \/ Publish(p)
  \/ ConfirmDying(p)
  \/ \E w \in Entries : Merge(p, w)
  \/ LinkReply(p, 1)
  \/ ClashDrop(p)
  \/ ChainTooLong(p)
  \/ Deliver(p)
  \/ LeaveToKiller(p)
  \/ Reap(p)
  \/ Claim(p)
  \/ ClaimLost(p)
  \/ Spare(p)
  \/ Tell(p)
  \/ TellRefused(p)
  \/ UnlinkOriginal(p)
  \/ UnlinkReply(p)
  \/ PutTable(p)
  \/ Park(p)
  \/ Put(p)
  \/ \E e \in Entries : WalkVisit(p, e)
  \/ WalkEnd(p)
  \/ ResizeEnd(p)

Next ==
  \/ \E p \in Cpus, k \in Keys : Packet(p, k)
  \/ \E p \in Cpus : GoOn(p)
  \/ \E e \in Entries : Free(e)
  \/ \E n \in Netns : Uncount(n)
  \/ Tick(1)
  \/ \E p \in Cpus, e \in Entries : GcVisit(p, e)
  \/ \E p \in Cpus, e \in Entries : GcDrop(p, e)
  \/ \E e \in Entries : Redeliver(e)
  \/ \E e \in Entries : PutParked(e)
  \/ Stall
  \/ Recover
  \/ \E p \in Cpus : FlushBegin(p)
  \/ \E p \in Cpus, n \in Netns : ExitBegin(p, n)
  \/ \E p \in Cpus, n \in Netns : ExitEnd(p, n)
  \/ \E p \in Cpus : ResizeBegin(p)

Spec == Init /\ [][Next]_vars

--------------------------------------------------------------------------------
(* What must hold; the letters are those of docs/guarantees.md              *)

(* A.2  What was found has the tuple that was asked for.                    *)
FoundIsAskedFor ==
  \A p \in Cpus : pc[p] = "track" => want[p] \in KeysOf(at[p])

(* A.3 D.4  What is at hand is alive.                                       *)
HeldIsAlive ==
  \A p \in Cpus : at[p] # None => status[at[p]] # "free" /\ use[at[p]] > 0

(* A.3 D.4  References are those of CPUs, and the table's.                  *)
TableHolds(e) ==
  \/ linked[e] # {}
  \/ parked[e] # "no"
  \/ \E p \in Cpus : /\ at[p] = e
                     /\ pc[p] \in {"insert_original", "insert_reply", "publish",
                                   "unlink_reply", "put_table"}
ReferencesAddUp ==
  \A e \in Entries :
    use[e] = Cardinality({p \in Cpus : at[p] = e}) + (IF TableHolds(e) THEN 1 ELSE 0)

(* B.1  Both directions or neither; the reply alone after a clash.          *)
BothOrNeither ==
  \A e \in Entries :
    status[e] = "confirmed" /\ ~dying[e]
      => linked[e] = (IF silent[e] THEN {"reply"} ELSE Dirs)

(* B.2 B.3  What is not confirmed is in the table only while it is linked.  *)
UnconfirmedIsOutside ==
  \A e \in Entries :
    status[e] # "confirmed" /\ linked[e] # {}
      => \E p \in Cpus : at[p] = e /\ pc[p] \in {"insert_reply", "publish"}

(* C.1 *)
NoDuplicate ==
  \A e, w \in Entries :
    e # w /\ status[e] = "confirmed" /\ status[w] = "confirmed"
      => {keys[e][d] : d \in linked[e]} \cap {keys[w][d] : d \in linked[w]} = {}

(* D.2  What is dying is linked only while its killer is at it.             *)
DyingIsUnlinked ==
  \A e \in Entries :
    dying[e] /\ linked[e] # {}
      => \E p \in Cpus : /\ at[p] = e
                         /\ pc[p] \in {"tell", "unlink_original", "unlink_reply"}

(* What is counted is alive, freed a moment ago, or about to be made.       *)
Reserved(p, n) ==
  /\ want[p] # None /\ want[p][1] = n
  /\ \/ pc[p] = "alloc"
     \/ /\ Allows("count_reserves")
        /\ pc[p] \in {"full", "room", "refuse"} \/ then[p] \in {"full", "making_room", "room"}
CountIsLive ==
  \A n \in Netns :
    count[n] = Cardinality({e \in Entries : status[e] # "free" /\ NetOf(e) = n})
               + freed[n] + Cardinality({p \in Cpus : Reserved(p, n)})

(* H.1  NEW, then UPDATE, then DESTROY, nothing twice.                      *)
EventOrder == \A e \in Entries : told[e] # "broken"

(* A.2 D.2  What a lookup returns could be found at a moment of it: nothing *)
(* that was unlinked before it began.                                       *)
FoundWasThere ==
  [][\A p \in Cpus : pc[p] = "lookup" /\ pc'[p] = "track" => at'[p] \in seen[p]]_vars

(* A.1  A lookup misses only what was not there all the while.              *)
MissWasRight ==
  [][\A p \in Cpus : pc[p] = "lookup" /\ pc'[p] = "reserve" => unseen[p]]_vars

(* H.1  Nothing that was told of is freed before its end is told.           *)
DestroyIsTold ==
  [][\A e \in Entries :
       status[e] = "confirmed" /\ status'[e] = "free"
         => silent[e] \/ told[e] = "destroy"]_vars

--------------------------------------------------------------------------------
(* What must happen at last, if nobody is held up for ever                  *)

Fairness ==
  /\ \A p \in Cpus : SF_vars(GoOn(p))
  /\ \A e \in Entries : SF_vars(Free(e))
  /\ \A n \in Netns : WF_vars(Uncount(n))
  /\ \A e \in Entries : SF_vars(\E p \in Cpus : GcVisit(p, e))
  /\ \A e \in Entries : SF_vars(Redeliver(e))
  /\ \A e \in Entries : WF_vars(PutParked(e))
  /\ WF_vars(Recover)
  /\ \A n \in Netns : SF_vars(\E p \in Cpus : n \in exiting /\ ExitBegin(p, n))
  /\ \A n \in Netns : SF_vars(\E p \in Cpus : ExitEnd(p, n))

FairSpec == Spec /\ Fairness

(* G  Nobody waits for ever.                                                *)
NobodyWaits == \A p \in Cpus : pc[p] # "idle" ~> pc[p] = "idle"

(* E.2  What has expired is freed, unless a packet brings it back to life.  *)
ExpiredIsFreed ==
  \A e \in Entries :
    status[e] = "confirmed" /\ IsExpired(e) ~> status[e] = "free" \/ ~IsExpired(e)

(* Not so if packets keep coming: each is counted before it is refused.     *)
ExitEnds == \A n \in Netns : n \in exiting ~> n \notin exiting

(* H.1  Who was parked is told.                                             *)
ParkedIsTold == \A e \in Entries : parked[e] # "no" ~> parked[e] = "no"
================================================================================
