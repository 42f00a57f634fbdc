---------------------------- MODULE EventRedelivery ----------------------------
(***************************************************************************)
(* How a listener is told of an entry, and what becomes of an entry whose  *)
(* end he did not want to hear.                                            *)
(*                                                                         *)
(* NEW is cached when the entry is confirmed and told when its packet has  *)
(* passed; what is refused stays in the cache and comes with the next      *)
(* message.  DESTROY is told at once, before the entry is unlinked; if it  *)
(* is refused, the unlinked entry is parked on a list, with the table's    *)
(* reference.  A worker comes later, takes entries from the list in        *)
(* bursts, tells of each, puts back what is refused again, and only then   *)
(* gives up the references of those that were told.  A DESTROY that gets   *)
(* through meanwhile kicks it: the listener hears again.                   *)
(*                                                                         *)
(* The messages of one entry are made and told under a lock of its own,    *)
(* telling: NEW that is on its way is waited for by DESTROY.               *)
(*                                                                         *)
(* This machine is Conntrack with its Deliver, Tell, Park and Redeliver in *)
(* these steps, and with a listener: a buffer that is full at times.  That *)
(* is what Conntrack calls deaf, a variable that is not used here.  The    *)
(* listener takes one message at a time (inside), so that nobody sees the  *)
(* buffer between the message and the count of it.                         *)
(*                                                                         *)
(* Where we differ from the kernel: it has no telling lock, nor takes what *)
(* was missed out of the cache before it tells it.                         *)
(* Source: ecache_work_evict_list(), nf_conntrack_eventmask_report(),      *)
(* nf_ct_deliver_cached_events(), nf_conntrack_ecache_work(), Linux 6.18;  *)
(* impls/core/conntrack_events.h.  The same machine in C++ is              *)
(* spec/model/event_redelivery.h.                                          *)
(***************************************************************************)
EXTENDS Conntrack

CONSTANTS
  Capacity,   \* messages that the listener's buffer holds
  Burst       \* entries that the worker takes from the list at a time

VARIABLES
  cached,     \* [Entries -> BOOLEAN]  its NEW waits to be told
  telling,    \* [Entries -> Cpus, Worker or None]  who tells of it
  inside,     \* Cpus, Worker or None: who hands a message over
  buffered,   \* how many messages the listener has not read yet
  list,       \* SUBSET Entries  parked, and wait for the worker
  due,        \* {"never", "later", "now"}  when the worker comes
  stage,      \* [Cpus -> where it is in what follows]
  run,        \* where the worker is
  burst,      \* SUBSET Entries  it took them from the list, and has yet to tell
  hand,       \* Entries or None: the one that it tells of
  congested   \* it was refused in this burst

Worker == "worker"

listenerVars == <<inside, buffered>>
waitVars     == <<list, due>>
workerVars   == <<run, burst, hand, congested>>
eventOwnVars == <<cached, telling, listenerVars, waitVars, stage, workerVars>>

Stage(p, label) == stage' = [stage EXCEPT ![p] = label]

IsFull      == buffered = Capacity
IsHeard(e)  == NetOf(e) \notin exiting
IsKiller(p) == pc[p] = "tell"
IsTeller(p) == \/ IsKiller(p)
               \/ pc[p] = "deliver"
               \/ pc[p] = "confirm" /\ status[at[p]] = "confirmed"

--------------------------------------------------------------------------------
(* A CPU has something to tell                                              *)

TakesLock(p) == IsKiller(p) \/ Fault # "new_after_destroy"

LockTelling(p) ==
  /\ stage[p] = "rest" /\ IsTeller(p)
  /\ IF TakesLock(p)
     THEN /\ telling[at[p]] = None
          /\ telling' = [telling EXCEPT ![at[p]] = p]
     ELSE UNCHANGED telling
  /\ Stage(p, "look")
  /\ UNCHANGED <<vars, cached, listenerVars, waitVars, workerVars>>

(* What is dying is left to its killer: he has not told yet, or has told    *)
(* everything.                                                              *)
NothingToTell(p) ==
  /\ stage[p] = "look" /\ ~IsKiller(p)
  /\ dying[at[p]] \/ ~cached[at[p]]
  /\ Goto(p, "release")
  /\ Stage(p, "unlock")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars, systemVars,
                 then, want, at, walkVars, cached, telling, listenerVars, waitVars,
                 workerVars>>
  /\ Watch

(* It is in the cache or in one message, never in two.                      *)
TakeCached(p) ==
  /\ stage[p] = "look"
  /\ IsKiller(p) \/ (~dying[at[p]] /\ cached[at[p]])
  /\ cached' = [cached EXCEPT ![at[p]] = FALSE]
  /\ Stage(p, "tell")
  /\ UNCHANGED <<vars, telling, listenerVars, waitVars, workerVars>>

Told(p) ==
  /\ told' = [told EXCEPT ![at[p]] = After(@, IF IsKiller(p) THEN "destroy" ELSE "new")]
  /\ Goto(p, IF IsKiller(p) THEN "unlink_original" ELSE "release")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, parked, deaf, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

HandOver(p) ==
  /\ stage[p] = "tell" /\ IsHeard(at[p]) /\ inside = None /\ ~IsFull
  /\ inside' = p
  /\ Told(p)
  /\ Stage(p, "inside")
  /\ UNCHANGED <<cached, telling, buffered, waitVars, workerVars>>

Leave(p) ==
  /\ stage[p] = "inside"
  /\ inside' = None
  /\ buffered' = buffered + 1
  /\ Stage(p, "unlock")
  /\ UNCHANGED <<vars, cached, telling, waitVars, workerVars>>

(* The netns exits, its listener is gone: nobody can refuse.                *)
TellNobody(p) ==
  /\ stage[p] = "tell" /\ ~IsHeard(at[p])
  /\ Told(p)
  /\ Stage(p, "unlock")
  /\ UNCHANGED <<cached, telling, listenerVars, waitVars, workerVars>>

(* What the message brought along goes back to the cache.                   *)
BeRefused(p) ==
  /\ stage[p] = "tell" /\ IsHeard(at[p]) /\ inside = None /\ IsFull
  /\ cached' = [cached EXCEPT ![at[p]] = (told[at[p]] = "nothing")]
  /\ parked' = IF IsKiller(p) THEN [parked EXCEPT ![at[p]] = "refused"] ELSE parked
  /\ Goto(p, IF IsKiller(p) THEN "unlink_original" ELSE "release")
  /\ Stage(p, "unlock")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, told, deaf, countVars, systemVars,
                 then, want, at, walkVars, telling, listenerVars, waitVars, workerVars>>
  /\ Watch

UnlockTelling(p) ==
  /\ stage[p] = "unlock"
  /\ telling' = IF telling[at[p]] = p THEN [telling EXCEPT ![at[p]] = None] ELSE telling
  /\ Stage(p, IF pc[p] = "unlink_original" /\ parked[at[p]] = "no" THEN "kick" ELSE "rest")
  /\ UNCHANGED <<vars, cached, listenerVars, waitVars, workerVars>>

(* A DESTROY went through: those that wait need not wait longer.            *)
Kick(p) ==
  /\ stage[p] = "kick"
  /\ due' = IF due = "never" THEN due ELSE "now"
  /\ Stage(p, "rest")
  /\ UNCHANGED <<vars, cached, telling, listenerVars, list, workerVars>>

(* Under the list's lock, as is Pop.                                        *)
ParkEntry(p) ==
  /\ stage[p] = "rest" /\ Park(p)
  /\ list' = IF Fault = "forgotten" THEN list ELSE list \cup {at[p]}
  /\ Stage(p, "due")
  /\ UNCHANGED <<cached, telling, listenerVars, due, workerVars>>

SetDue(p) ==
  /\ stage[p] = "due"
  /\ due' = IF due = "never" THEN "later" ELSE due
  /\ Stage(p, "rest")
  /\ UNCHANGED <<vars, cached, telling, listenerVars, list, workerVars>>

--------------------------------------------------------------------------------
(* The worker                                                               *)

TimePasses ==
  /\ due = "later"
  /\ due' = "now"
  /\ UNCHANGED <<vars, cached, telling, listenerVars, list, stage, workerVars>>

(* What is parked from now on asks for a run of its own.                    *)
Wake ==
  /\ run = "asleep" /\ due = "now"
  /\ due' = "never"
  /\ run' = "pop"
  /\ UNCHANGED <<vars, cached, telling, listenerVars, list, stage, burst, hand, congested>>

Pop(taken) ==
  /\ run = "pop" /\ taken # {} /\ taken \subseteq list
  /\ Cardinality(taken) = Burst \/ (Cardinality(taken) < Burst /\ taken = list)
  /\ list' = list \ taken
  /\ burst' = taken
  /\ run' = "lock"
  /\ use' = IF Fault = "put_before_told"
            THEN [e \in Entries |-> IF e \in taken THEN use[e] - 1 ELSE use[e]] ELSE use
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars, systemVars, pc, then,
                 want, at, walkVars, cached, telling, listenerVars, due, stage, hand, congested>>
  /\ Watch

Sleep ==
  /\ run = "pop" /\ list = {}
  /\ run' = "asleep"
  /\ UNCHANGED <<vars, cached, telling, listenerVars, waitVars, stage, burst, hand, congested>>

LockParked(e) ==
  /\ run = "lock" /\ e \in burst /\ telling[e] = None
  /\ telling' = [telling EXCEPT ![e] = Worker]
  /\ cached' = [cached EXCEPT ![e] = FALSE]
  /\ hand' = e
  /\ run' = "tell"
  /\ UNCHANGED <<vars, listenerVars, waitVars, stage, burst, congested>>

(* The contract's Redeliver; that the listener hears is the caller's guard. *)
ToldAgain(e) ==
  /\ told' = [told EXCEPT ![e] = After(@, "destroy")]
  /\ parked' = [parked EXCEPT ![e] = "told"]
  /\ burst' = burst \ {e}
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, deaf, countVars, systemVars, pc, then,
                 want, at, walkVars, cached, telling, buffered, waitVars, stage, hand,
                 congested>>
  /\ Watch

HandOverParked(e) ==
  /\ run = "tell" /\ hand = e /\ IsHeard(e) /\ inside = None /\ ~IsFull
  /\ inside' = Worker
  /\ ToldAgain(e)
  /\ run' = "inside"

LeaveParked ==
  /\ run = "inside"
  /\ inside' = None
  /\ buffered' = buffered + 1
  /\ run' = "unlock"
  /\ UNCHANGED <<vars, cached, telling, waitVars, stage, burst, hand, congested>>

TellNobodyParked(e) ==
  /\ run = "tell" /\ hand = e /\ ~IsHeard(e)
  /\ ToldAgain(e)
  /\ run' = "unlock"
  /\ UNCHANGED inside

BeRefusedParked(e) ==
  /\ run = "tell" /\ hand = e /\ IsHeard(e) /\ inside = None /\ IsFull
  /\ cached' = [cached EXCEPT ![e] = (told[e] = "nothing")]
  /\ congested' = TRUE
  /\ run' = "unlock"
  /\ UNCHANGED <<vars, telling, listenerVars, waitVars, stage, burst, hand>>

UnlockParked ==
  /\ run = "unlock"
  /\ telling' = [telling EXCEPT ![hand] = None]
  /\ hand' = None
  /\ run' = IF congested \/ burst = {} THEN "put_back" ELSE "lock"
  /\ UNCHANGED <<vars, cached, listenerVars, waitVars, stage, burst, congested>>

(* What was refused, and what came after it.                                *)
PutBack ==
  /\ run = "put_back"
  /\ list' = list \cup burst \cup (IF Fault = "told_twice"
                                   THEN {e \in Entries : parked[e] = "told"} ELSE {})
  /\ burst' = {}
  /\ run' = "put"
  /\ UNCHANGED <<vars, cached, telling, listenerVars, due, stage, hand, congested>>

PutTold(e) ==
  /\ run = "put" /\ PutParked(e)
  /\ UNCHANGED eventOwnVars

IsPut == run = "put" /\ \A e \in Entries : parked[e] # "told"

EndBurst ==
  /\ IsPut
  /\ run' = IF congested THEN "asleep" ELSE "pop"
  /\ due' = IF congested /\ Fault # "no_retry" THEN "later" ELSE due
  /\ congested' = FALSE
  /\ UNCHANGED <<vars, cached, telling, listenerVars, list, stage, burst, hand>>

(* A run may last so long and no longer; there is another one.              *)
TimeIsUp ==
  /\ IsPut /\ ~congested
  /\ run' = "asleep"
  /\ due' = "now"
  /\ UNCHANGED <<vars, cached, telling, listenerVars, list, stage, burst, hand, congested>>

--------------------------------------------------------------------------------
(* The listener reads a message: whenever he likes, or while the worker     *)
(* stands before him with e. Both are the same for him; that he is not for  *)
(* ever too late for it is a matter of fairness.                            *)

Read == buffered > 0 /\ buffered' = buffered - 1

Drain ==
  /\ run # "tell" /\ Read
  /\ UNCHANGED <<vars, cached, telling, inside, waitVars, stage, workerVars>>

DrainInTime(e) ==
  /\ run = "tell" /\ hand = e /\ Read
  /\ UNCHANGED <<vars, cached, telling, inside, waitVars, stage, workerVars>>

--------------------------------------------------------------------------------
(* The contract's other steps                                               *)

PublishAndCache(p) ==
  /\ Publish(p)
  /\ cached' = [cached EXCEPT ![at[p]] = TRUE]
  /\ UNCHANGED <<telling, listenerVars, waitVars, stage, workerVars>>

FreeEntry(e) ==
  /\ Free(e)
  /\ cached' = [cached EXCEPT ![e] = FALSE]
  /\ UNCHANGED <<telling, listenerVars, waitVars, stage, workerVars>>

(* The listener goes first, and a message that is being handed over is      *)
(* waited for.                                                              *)
SilenceAndExit(p, n) ==
  /\ stage[p] = "rest" /\ inside = None
  /\ ExitBegin(p, n)
  /\ UNCHANGED eventOwnVars

AtRest(p) == stage[p] = "rest" /\ UNCHANGED eventOwnVars

AsPacket(p, k)       == AtRest(p) /\ Packet(p, k)
AsFindGet(p, e)      == AtRest(p) /\ FindGet(p, e)
AsFindMiss(p)        == AtRest(p) /\ FindMiss(p)
AsGiveUp(p)          == AtRest(p) /\ GiveUp(p)
AsReserve(p)         == AtRest(p) /\ Reserve(p)
AsRefuse(p)          == AtRest(p) /\ Refuse(p)
AsAlloc(p, e)        == AtRest(p) /\ Alloc(p, e)
AsTrack(p)           == AtRest(p) /\ Track(p, Timeout, FALSE)
AsDrop(p)            == AtRest(p) /\ Drop(p)
AsKill(p, again)     == AtRest(p) /\ Kill(p, again)
AsKillUnconfirmed(p) == AtRest(p) /\ KillUnconfirmed(p)
AsConfirm(p)         == AtRest(p) /\ Confirm(p)
AsConfirmDying(p)    == AtRest(p) /\ ConfirmDying(p)
AsClashDrop(p)       == AtRest(p) /\ ClashDrop(p)
AsInsertOriginal(p)  == AtRest(p) /\ InsertOriginal(p)
AsInsertReply(p)     == AtRest(p) /\ InsertReply(p)
AsClaim(p)           == AtRest(p) /\ Claim(p)
AsClaimLost(p)       == AtRest(p) /\ ClaimLost(p)
AsUnlinkOriginal(p)  == AtRest(p) /\ UnlinkOriginal(p)
AsUnlinkReply(p)     == AtRest(p) /\ UnlinkReply(p)
AsPutTable(p)        == AtRest(p) /\ PutTable(p)
AsPut(p)             == AtRest(p) /\ Put(p)
AsWalkVisit(p, e)    == AtRest(p) /\ WalkVisit(p, e)
AsWalkEnd(p)         == AtRest(p) /\ WalkEnd(p)
AsExitEnd(p, n)      == AtRest(p) /\ ExitEnd(p, n)
AsUncount(n)         == UNCHANGED eventOwnVars /\ Uncount(n)

--------------------------------------------------------------------------------
EventInit ==
  /\ Init
  /\ cached = [e \in Entries |-> FALSE]
  /\ telling = [e \in Entries |-> None]
  /\ inside = None
  /\ buffered = 0
  /\ list = {}
  /\ due = "never"
  /\ stage = [p \in Cpus |-> "rest"]
  /\ run = "asleep"
  /\ burst = {}
  /\ hand = None
  /\ congested = FALSE

(* What a CPU does once it has begun.                                       *)
CpuGoesOn(p) ==
  \/ LockTelling(p) \/ NothingToTell(p) \/ TakeCached(p) \/ HandOver(p) \/ Leave(p)
  \/ TellNobody(p) \/ BeRefused(p) \/ UnlockTelling(p) \/ Kick(p)
  \/ ParkEntry(p) \/ SetDue(p) \/ PublishAndCache(p)
  \/ \E e \in Entries : AsFindGet(p, e)
  \/ AsFindMiss(p) \/ AsGiveUp(p) \/ AsReserve(p) \/ AsRefuse(p)
  \/ \E e \in Entries : AsAlloc(p, e)
  \/ AsTrack(p) \/ AsDrop(p)
  \/ \E again \in BOOLEAN : AsKill(p, again)
  \/ AsKillUnconfirmed(p) \/ AsConfirm(p) \/ AsConfirmDying(p) \/ AsClashDrop(p)
  \/ AsInsertOriginal(p) \/ AsInsertReply(p) \/ AsClaim(p) \/ AsClaimLost(p)
  \/ AsUnlinkOriginal(p) \/ AsUnlinkReply(p) \/ AsPutTable(p) \/ AsPut(p)
  \/ \E e \in Entries : AsWalkVisit(p, e)
  \/ AsWalkEnd(p)

WorkerGoesOn ==
  \/ Wake \/ Sleep \/ LeaveParked \/ UnlockParked \/ PutBack \/ EndBurst \/ TimeIsUp
  \/ \E e \in Entries : PutTold(e)
  \/ \E e \in Entries : TellNobodyParked(e)
  \/ \E e \in Entries : BeRefusedParked(e)

EventNext ==
  \/ \E p \in Cpus, k \in Keys : AsPacket(p, k)
  \/ \E p \in Cpus : CpuGoesOn(p)
  \/ WorkerGoesOn
  \/ \E taken \in SUBSET Entries : Pop(taken)
  \/ \E e \in Entries : LockParked(e)
  \/ \E e \in Entries : HandOverParked(e)
  \/ TimePasses
  \/ Drain
  \/ \E e \in Entries : DrainInTime(e)
  \/ \E e \in Entries : FreeEntry(e)
  \/ \E n \in Netns : AsUncount(n)
  \/ \E p \in Cpus, n \in Netns : SilenceAndExit(p, n)
  \/ \E p \in Cpus, n \in Netns : AsExitEnd(p, n)

allVars == <<vars, eventOwnVars>>

EventSpec == EventInit /\ [][EventNext]_allVars

--------------------------------------------------------------------------------
(* What must hold                                                           *)

(* What it does is something that the contract allows: a full buffer is a   *)
(* deaf listener.                                                           *)
Contract == INSTANCE Conntrack WITH deaf <- IsFull
RefinesConntrack == Contract!Spec

(* H.1  What waits is on the list, or in the worker's hands.                *)
WaitingIsListed == \A e \in Entries : parked[e] = "waiting" => e \in list \cup burst

(* H.1  What was told has left it.                                          *)
ToldLeavesTheList == \A e \in list \cup burst : parked[e] = "waiting"

(* H.1 D.4  What waits is referenced, and out of the table.                 *)
WaitingIsReferenced ==
  \A e \in list \cup burst : status[e] = "confirmed" /\ use[e] > 0 /\ linked[e] = {}

(* H.1  Somebody comes for what waits.                                      *)
WaitingIsAwaited ==
  list # {} => run # "asleep" \/ due # "never" \/ \E p \in Cpus : stage[p] = "due"

(* H.1  NEW is told, cached, or on its way: nothing of an entry gets lost.  *)
NewIsKept ==
  \A e \in Entries :
    status[e] = "confirmed" /\ told[e] = "nothing" /\ telling[e] = None => cached[e]

(* What is in the cache was not told.                                       *)
CachedIsUntold == \A e \in Entries : cached[e] => told[e] = "nothing"

BufferIsBounded == buffered + (IF inside = None THEN 0 ELSE 1) <= Capacity

--------------------------------------------------------------------------------
(* What must happen at last. The listener reads again and again, and of the *)
(* times when the worker stands before a full buffer he is not always too   *)
(* late; the worker does not take every entry but one.                      *)

EventFairness ==
  /\ \A p \in Cpus : SF_allVars(CpuGoesOn(p))
  /\ WF_allVars(WorkerGoesOn)
  /\ WF_allVars(TimePasses)
  /\ \A e \in Entries : SF_allVars(\E taken \in SUBSET Entries : e \in taken /\ Pop(taken))
  /\ \A e \in Entries : SF_allVars(LockParked(e))
  /\ \A e \in Entries : SF_allVars(HandOverParked(e))
  /\ WF_allVars(Drain)
  /\ \A e \in Entries : SF_allVars(DrainInTime(e))
  /\ \A e \in Entries : SF_allVars(FreeEntry(e))
  /\ \A n \in Netns : WF_allVars(AsUncount(n))

EventFairSpec == EventSpec /\ EventFairness

(* H.1  Who was parked is freed: its end was told (DestroyIsTold).          *)
ParkedIsFreed == \A e \in Entries : parked[e] # "no" ~> status[e] = "free"
================================================================================
