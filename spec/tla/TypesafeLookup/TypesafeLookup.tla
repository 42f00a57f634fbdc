---------------------------- MODULE TypesafeLookup -----------------------------
(***************************************************************************)
(* Lookups that take no lock, in memory that is reused at once.            *)
(*                                                                         *)
(* A table is buckets, each the head of a chain.  An entry lies in two     *)
(* chains, one for each of its tuples.  A chain ends in a nulls marker     *)
(* that names its bucket.  The last put frees an entry without a grace     *)
(* period: its memory stays what it is, two nodes with tuples, a next      *)
(* pointer and a CONFIRMED bit, but may be another connection's while a    *)
(* reader still stands on it.  So a reader                                 *)
(*                                                                         *)
(*   - takes a reference only where there is one already;                  *)
(*   - looks at tuple and bit again when he has it;                        *)
(*   - begins again at a marker that is not that of his bucket.            *)
(*                                                                         *)
(* Each load that he makes is a step here.  Of the contract he takes over  *)
(* a passing reference and its end (Glance, LookAway); that what he        *)
(* returns, or misses, is what the contract lets a lookup return or miss   *)
(* is not built in but follows: RefinesConntrack.  Writers hold the locks  *)
(* of both buckets.  They write a node's next pointer before the head      *)
(* that leads to it, and the tuples of a new life before its first         *)
(* reference.                                                              *)
(*                                                                         *)
(* This machine is Conntrack with these steps in place of its lookup,      *)
(* alloc, link and unlink; its other steps happen as they are (As...).     *)
(* What chains do not notice, walks, early drop and refused events, is     *)
(* left out; resizes are DoubleLockResize's matter.  An expired entry that *)
(* turns out, at the second look, to be not the one asked for is let go    *)
(* here and not buried; gc_worker may bury it.                             *)
(*                                                                         *)
(* Source: nf_conntrack_core.c (____nf_conntrack_find,                     *)
(* __nf_conntrack_find_get, __nf_conntrack_alloc, __nf_conntrack_confirm,  *)
(* clean_from_lists), include/linux/rculist_nulls.h, Linux 6.18.  The same *)
(* machine in C++ is spec/model/typesafe_lookup.h; the algorithm itself    *)
(* impls/rcu/rcu.h.                                                        *)
(***************************************************************************)
EXTENDS Conntrack, Sequences

CONSTANTS
  Readers,       \* CPUs that only ask: they neither create nor kill
  Asked,         \* flows that these ask for
  OneWay,        \* flows of which nobody has a packet of the reply direction
  FarOriginals,  \* flows whose original tuple falls into bucket 1, not 0
  FarReplies     \* flows whose reply tuple does

(* Unlinking takes two steps, and readers hold what they do not return.     *)
ASSUME {"two_phase_delete", "passing_reference"} \subseteq Allowances
ASSUME Readers = {} \/ May("lookup")

Buckets == {0, 1}
BucketOf(k) == IF k[2] \in (IF k[3] = "original" THEN FarOriginals ELSE FarReplies)
               THEN 1 ELSE 0

(* A pointer leads to a node or is a marker.                                *)
Node(e, d)     == <<e, d>>
Marker(b)      == <<b, "nulls">>
IsMarker(link) == link[2] = "nulls"

VARIABLES
  head,    \* [Buckets -> pointers]
  next,    \* [Entries -> [Dirs -> pointers]]
  tuples,  \* [Entries -> [Dirs -> Keys] or None]  what memory says, in use or not
  bit,     \* [Entries -> BOOLEAN]                 CONFIRMED, likewise
  stage,   \* [Cpus -> where it is between two steps of the contract]
  on       \* [Cpus -> pointers or None]           where it stands meanwhile

chainVars  == <<head, next>>
memoryVars == <<tuples, bit>>
cpuVars    == <<stage, on>>
ownVars    == <<chainVars, memoryVars, cpuVars>>

NextOf(node) == next[node[1]][node[2]]
Move(p, label, link) ==
  /\ stage' = [stage EXCEPT ![p] = label]
  /\ on' = [on EXCEPT ![p] = link]
Settle(p) == Move(p, "rest", None)
Arrive(p, link) == Move(p, IF IsMarker(link) THEN "marker" ELSE "node", link)

--------------------------------------------------------------------------------
(* The reader                                                               *)

SetOut(p, k) ==
  /\ p \in Readers => k[2] \in Asked
  /\ k[3] = "reply" => k[2] \notin OneWay
  /\ Packet(p, k)
  /\ Move(p, "head", None)
  /\ UNCHANGED <<chainVars, memoryVars>>

LoadHead(p) ==
  /\ stage[p] = "head"
  /\ Arrive(p, head[BucketOf(want[p])])
  /\ UNCHANGED <<vars, chainVars, memoryVars>>

LoadNext(p) ==
  /\ stage[p] = "next"
  /\ Arrive(p, NextOf(on[p]))
  /\ UNCHANGED <<vars, chainVars, memoryVars>>

(* All that can be seen of a node without a reference may be of the past.   *)
IsAnswer(p) ==
  LET e == on[p][1] d == on[p][2]
  IN /\ tuples[e] # None /\ tuples[e][d] = want[p]
     /\ bit[e] \/ Fault = "no_confirmed_test"

Look(p) ==
  /\ stage[p] = "node"
  /\ Move(p, IF IsAnswer(p) THEN "get" ELSE "next", on[p])
  /\ UNCHANGED <<vars, chainVars, memoryVars>>

AfterGet == IF Fault = "no_recheck" THEN "judge" ELSE "again"

GetUnlessZero(p) ==
  /\ stage[p] = "get"
  /\ Glance(p, on[p][1])
  /\ Move(p, AfterGet, on[p])
  /\ UNCHANGED <<chainVars, memoryVars>>

GetFails(p) ==
  /\ stage[p] = "get"
  /\ use[on[p][1]] = 0 /\ Fault # "blind_get"
  /\ Move(p, "head", None)
  /\ UNCHANGED <<vars, chainVars, memoryVars>>

GetBlindly(p) ==
  /\ stage[p] = "get"
  /\ use[on[p][1]] = 0 /\ Fault = "blind_get"
  /\ Take(p, on[p][1], "lookup")
  /\ Move(p, AfterGet, on[p])
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, walkVars, chainVars, memoryVars>>
  /\ Watch

(* The reference keeps the entry what it is now, whatever it was before.    *)
LookAgain(p) ==
  /\ stage[p] = "again"
  /\ Move(p, IF IsAnswer(p) THEN "judge" ELSE "let_go", on[p])
  /\ UNCHANGED <<vars, chainVars, memoryVars>>

LetGo(p) ==
  /\ stage[p] = "let_go"
  /\ LookAway(p)
  /\ Move(p, "head", None)
  /\ UNCHANGED <<chainVars, memoryVars>>

(* Of the contract, FindGet, FindExpired and FindMiss; but their guards are *)
(* not asked for.                                                           *)
Return(p) ==
  /\ stage[p] = "judge" /\ ~IsExpired(at[p])
  /\ Goto(p, "track")
  /\ Settle(p)
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars, chainVars, memoryVars>>
  /\ Watch

Bury(p) ==
  /\ stage[p] = "judge" /\ IsExpired(at[p])
  /\ Goto(p, "reap")
  /\ then' = [then EXCEPT ![p] = "reserve"]
  /\ Settle(p)
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, want, at, walkVars, chainVars, memoryVars>>
  /\ Watch

IsOwnMarker(p) == on[p] = Marker(BucketOf(want[p])) \/ Fault = "no_nulls_check"

Miss(p) ==
  /\ stage[p] = "marker" /\ IsOwnMarker(p)
  /\ Goto(p, "reserve")
  /\ Settle(p)
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars, chainVars, memoryVars>>
  /\ Watch

TurnBack(p) ==
  /\ stage[p] = "marker" /\ ~IsOwnMarker(p)
  /\ Move(p, "head", None)
  /\ UNCHANGED <<vars, chainVars, memoryVars>>

--------------------------------------------------------------------------------
(* The writer: a life begins                                                *)

IsLate == Fault = "use_before_tuples"

(* The first of two steps takes free memory that no other CPU has taken.    *)
TakeMemory(p, e) ==
  /\ pc[p] = "alloc" /\ stage[p] = "rest"
  /\ status[e] = "free" /\ (\A q \in Cpus : ~(stage[q] = "fresh" /\ on[q] = Node(e, "original")))
  /\ Move(p, "fresh", Node(e, "original"))
HasTaken(p, e) ==
  /\ stage[p] = "fresh" /\ on[p] = Node(e, "original")
  /\ Settle(p)

WriteTuples(p, e) ==
  /\ IF IsLate THEN HasTaken(p, e) ELSE TakeMemory(p, e)
  /\ tuples' = [tuples EXCEPT ![e] = [d \in Dirs |->
                  IF d = "original" THEN want[p] ELSE Inverse(want[p])]]
  /\ bit' = [bit EXCEPT ![e] = FALSE]
  /\ UNCHANGED <<vars, chainVars>>

FirstUse(p, e) ==
  /\ IF IsLate THEN TakeMemory(p, e) ELSE HasTaken(p, e)
  /\ Alloc(p, e)
  /\ UNCHANGED <<chainVars, memoryVars>>

RewriteReply(p, k) ==
  /\ stage[p] = "rest"
  /\ AlterReply(p, k)
  /\ tuples' = [tuples EXCEPT ![at[p]]["reply"] = k]
  /\ UNCHANGED <<chainVars, bit, cpuVars>>

--------------------------------------------------------------------------------
(* The writer: bucket locks, link, unlink                                   *)

(* From the search of confirm to its last link, and from the first unlink   *)
(* to the second, as in the contract; but a bucket has other keys too.      *)
BucketsOf(e) == {BucketOf(k) : k \in KeysOf(e)}
AreHeld(p) ==
  \E q \in Cpus \ {p} : pc[q] \in Critical /\ BucketsOf(at[q]) \cap BucketsOf(at[p]) # {}

(* next, then head: who comes by the head finds the rest of the chain.      *)
Point(p, d) ==
  /\ stage[p] = "rest"
  /\ next' = [next EXCEPT ![at[p]][d] = head[BucketOf(keys[at[p]][d])]]
  /\ Move(p, "pointed", Node(at[p], d))
  /\ UNCHANGED <<vars, head, memoryVars>>
Push(p, d) ==
  /\ stage[p] = "pointed"
  /\ head' = [head EXCEPT ![BucketOf(keys[at[p]][d])] = Node(at[p], d)]
  /\ Settle(p)
  /\ UNCHANGED <<next, memoryVars>>

PointOriginal(p) == pc[p] = "insert_original" /\ Point(p, "original")
PushOriginal(p)  == InsertOriginal(p) /\ Push(p, "original")
PointReply(p)    == pc[p] = "insert_reply" /\ Point(p, "reply")
PushReply(p)     == InsertReply(p) /\ Push(p, "reply")

SetConfirmed(p) ==
  /\ Publish(p)
  /\ bit' = [bit EXCEPT ![at[p]] = TRUE]
  /\ UNCHANGED <<chainVars, tuples, cpuVars>>

(* Whoever leads to the node, head or linked node, leads past it. Its own   *)
(* pointer stays: readers on it find their way out.                         *)
Bypass(e, d) ==
  LET past(link) == IF link = Node(e, d) THEN next[e][d] ELSE link
  IN IF d \in linked[e] /\ d \notin linked'[e]
     THEN /\ head' = [b \in Buckets |-> past(head[b])]
          /\ next' = [w \in Entries |-> [x \in Dirs |->
               IF x \in linked[w] THEN past(next[w][x]) ELSE next[w][x]]]
     ELSE UNCHANGED chainVars

BypassOriginal(p) ==
  /\ pc[p] = "unlink_original" /\ ~AreHeld(p)
  /\ UnlinkOriginal(p)
  /\ Bypass(at[p], "original")
  /\ UNCHANGED <<memoryVars, cpuVars>>

BypassReply(p) ==
  /\ UnlinkReply(p)
  /\ Bypass(at[p], "reply")
  /\ UNCHANGED <<memoryVars, cpuVars>>

(* A reopening looks anew.                                                  *)
PutEntry(p) ==
  /\ stage[p] = "rest"
  /\ Put(p)
  /\ IF then[p] = "lookup" THEN Move(p, "head", None) ELSE UNCHANGED cpuVars
  /\ UNCHANGED <<chainVars, memoryVars>>

--------------------------------------------------------------------------------
(* What the contract does, and chains do not notice, while its CPU is at    *)
(* rest here. Memory that is freed says what it said.                       *)
AtRest(p)   == stage[p] = "rest" /\ UNCHANGED ownVars
MayWrite(p) == p \notin Readers /\ AtRest(p)
CanLock(p)  == pc[p] = "confirm" /\ AtRest(p) /\ ~AreHeld(p)

AsGiveUp(p)          == AtRest(p) /\ GiveUp(p)
AsReserve(p)         == MayWrite(p) /\ Reserve(p)
AsRefuse(p)          == AtRest(p) /\ Refuse(p)
AsTrack(p)           == MayWrite(p) /\ Track(p, Timeout, FALSE)
AsDrop(p)            == AtRest(p) /\ Drop(p)
AsKill(p, again)     == MayWrite(p) /\ Kill(p, again)
AsKillUnconfirmed(p) == MayWrite(p) /\ KillUnconfirmed(p)
AsConfirm(p)         == CanLock(p) /\ Confirm(p)
AsConfirmDying(p)    == CanLock(p) /\ ConfirmDying(p)
AsMerge(p, w)        == CanLock(p) /\ Merge(p, w)
AsLinkReply(p)       == CanLock(p) /\ LinkReply(p, 1)
AsClashDrop(p)       == CanLock(p) /\ ClashDrop(p)
AsChainTooLong(p)    == CanLock(p) /\ ChainTooLong(p)
AsDeliver(p)         == AtRest(p) /\ Deliver(p)
AsReap(p)            == AtRest(p) /\ Reap(p)
AsClaim(p)           == AtRest(p) /\ Claim(p)
AsClaimLost(p)       == AtRest(p) /\ ClaimLost(p)
AsTell(p)            == AtRest(p) /\ Tell(p)
AsPutTable(p)        == AtRest(p) /\ PutTable(p)
AsGcVisit(p, e)      == AtRest(p) /\ GcVisit(p, e)
AsFree(e)            == UNCHANGED ownVars /\ Free(e)
AsUncount(n)         == UNCHANGED ownVars /\ Uncount(n)
AsTick               == UNCHANGED ownVars /\ Tick(1)

--------------------------------------------------------------------------------
LookupInit ==
  /\ Init
  /\ head = [b \in Buckets |-> Marker(b)]
  /\ next = [e \in Entries |-> [d \in Dirs |-> Marker(0)]]  \* nobody was there yet
  /\ tuples = [e \in Entries |-> None]
  /\ bit = [e \in Entries |-> FALSE]
  /\ stage = [p \in Cpus |-> "rest"]
  /\ on = [p \in Cpus |-> None]

Read(p) ==
  \/ LoadHead(p) \/ LoadNext(p) \/ Look(p)
  \/ GetUnlessZero(p) \/ GetFails(p) \/ GetBlindly(p)
  \/ LookAgain(p) \/ LetGo(p) \/ Return(p) \/ Bury(p)
  \/ Miss(p) \/ TurnBack(p)

Write(p) ==
  \/ \E e \in Entries : WriteTuples(p, e) \/ FirstUse(p, e)
  \/ \E k \in Keys : RewriteReply(p, k)
  \/ PointOriginal(p) \/ PushOriginal(p) \/ PointReply(p) \/ PushReply(p)
  \/ SetConfirmed(p)
  \/ BypassOriginal(p) \/ BypassReply(p) \/ PutEntry(p)

Else(p) ==
  \/ AsGiveUp(p) \/ AsReserve(p) \/ AsRefuse(p)
  \/ AsTrack(p) \/ AsDrop(p)
  \/ \E again \in BOOLEAN : AsKill(p, again)
  \/ AsKillUnconfirmed(p)
  \/ AsConfirm(p) \/ AsConfirmDying(p)
  \/ \E w \in Entries : AsMerge(p, w)
  \/ AsLinkReply(p) \/ AsClashDrop(p) \/ AsChainTooLong(p)
  \/ AsDeliver(p)
  \/ AsReap(p) \/ AsClaim(p) \/ AsClaimLost(p) \/ AsTell(p) \/ AsPutTable(p)
  \/ \E e \in Entries : AsGcVisit(p, e)

LookupNext ==
  \/ \E p \in Cpus, k \in Keys : SetOut(p, k)
  \/ \E p \in Cpus : Read(p) \/ Write(p) \/ Else(p)
  \/ \E e \in Entries : AsFree(e)
  \/ \E n \in Netns : AsUncount(n)
  \/ AsTick

LookupSpec == LookupInit /\ [][LookupNext]_<<vars, ownVars>>

--------------------------------------------------------------------------------
(* What must hold                                                           *)

RefinesConntrack == Spec

(* The pointers on the way from `link`, up to a marker: none is met twice,  *)
(* or the way would be longer than there are nodes.                         *)
RECURSIVE Way(_, _)
Way(link, most) ==
  IF IsMarker(link) \/ most = 0 THEN <<link>>
  ELSE <<link>> \o Way(NextOf(link), most - 1)
WayFrom(link) == Way(link, 2 * Cardinality(Entries))
EndOf(way) == way[Len(way)]

(* What is linked is reachable from its head, and nothing else is; the      *)
(* chain ends in its own marker.                                            *)
ChainIsWhatIsLinked ==
  \A b \in Buckets :
    LET way == WayFrom(head[b])
    IN /\ EndOf(way) = Marker(b)
       /\ {way[i] : i \in 1 .. Len(way) - 1}
            = {n \in Entries \X Dirs : /\ n[2] \in linked[n[1]]
                                       /\ BucketOf(keys[n[1]][n[2]]) = b}

(* From wherever a reader may stand he comes to a marker.                   *)
EveryWayEnds ==
  \A e \in Entries, d \in Dirs : IsMarker(EndOf(WayFrom(Node(e, d))))

(* What memory says of an entry in use is true.                             *)
MemorySaysWhatIs ==
  \A e \in Entries :
    status[e] # "free" => tuples[e] = keys[e] /\ bit[e] = (status[e] = "confirmed")
================================================================================
