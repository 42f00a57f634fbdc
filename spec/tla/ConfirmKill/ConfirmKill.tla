------------------------------ MODULE ConfirmKill ------------------------------
(***************************************************************************)
(* Who may bury an entry, and when: the DYING claim, confirm, and a reaper *)
(* whose pointer is from before.                                           *)
(*                                                                         *)
(* An entry's timeout is a duration until confirm makes it a moment.  A    *)
(* duration taken for a moment has passed long ago.  So a reaper (gc, or a *)
(* lookup that meets something expired)                                    *)
(*                                                                         *)
(*   - takes a reference: the pointer that he has may lead to another      *)
(*     connection by now, which is not in the table yet;                   *)
(*   - reads CONFIRMED, and only then the timeout;                         *)
(*   - claims the entry by a test-and-set of DYING: of several, one buries.*)
(*                                                                         *)
(* Confirm in its turn refuses what is dying, and with both locks held     *)
(* makes the timeout a moment, links twice, and sets CONFIRMED last.       *)
(*                                                                         *)
(* This machine is Conntrack with these steps in place of its confirm and  *)
(* its Reap; the others happen as they are, while their CPU is at rest     *)
(* here (As...).  The bits are the contract's status and dying; what comes *)
(* from here are the timeout as memory has it, and a clock.  That nobody   *)
(* is buried before his time is not built in: ReapsOnlyExpired and         *)
(* RefinesConntrack say it.                                                *)
(*                                                                         *)
(* A tick is some time: no bucket lock is held that long.                  *)
(*                                                                         *)
(* Source: nf_conntrack_core.c (__nf_conntrack_confirm, nf_ct_delete,      *)
(* nf_ct_gc_expired, nf_ct_should_gc, gc_worker), nf_ct_refresh_acct,      *)
(* Linux 6.18.  The same machine in C++ is spec/model/confirm_kill.h; the  *)
(* algorithm itself impls/core/conntrack_life.h.                           *)
(***************************************************************************)
EXTENDS Conntrack

CONSTANT Horizon  \* how long the clock runs

(* A reaper may hold what he did not come for.                              *)
ASSUME "stale_visit" \in Allowances

VARIABLES
  clock,    \* 0..Horizon
  timeout,  \* [Entries -> Nat]  a duration until confirm, then a moment
  stage,    \* [Cpus -> where it is between two steps of the contract]
  prey      \* [Cpus -> Entries or None]  a pointer without a reference

killVars == <<clock, timeout, stage, prey>>

Move(p, label) == stage' = [stage EXCEPT ![p] = label]
AtRest(p) == stage[p] = "rest" /\ UNCHANGED killVars

--------------------------------------------------------------------------------
(* The reaper                                                               *)

(* From a chain; without a reference it is good for nothing yet.            *)
Spot(p, e) ==
  /\ stage[p] = "rest" /\ IdleFor(p, "gc")
  /\ linked[e] # {}
  /\ prey' = [prey EXCEPT ![p] = e]
  /\ Move(p, "spotted")
  /\ UNCHANGED <<vars, clock, timeout>>

Grab(p) ==
  /\ stage[p] = "spotted"
  /\ GcVisit(p, prey[p])
  /\ prey' = [prey EXCEPT ![p] = None]
  /\ Move(p, "first")
  /\ UNCHANGED <<clock, timeout>>

GrabFails(p) ==
  /\ stage[p] = "spotted" /\ use[prey[p]] = 0
  /\ prey' = [prey EXCEPT ![p] = None]
  /\ Move(p, "rest")
  /\ UNCHANGED <<vars, clock, timeout>>

(* A lookup has met it.                                                     *)
Meet(p, e) ==
  /\ stage[p] = "rest"
  /\ FindExpired(p, e)
  /\ Move(p, "first")
  /\ UNCHANGED <<clock, timeout, prey>>

(* Two readings; who does not like the first makes no second.               *)
Reading(which) ==
  IF (which = "confirmed") = (Fault # "timeout_before_confirmed") THEN "first" ELSE "second"
Judge(p, is_prey) ==
  IF is_prey /\ stage[p] = "first"
  THEN Move(p, "second") /\ UNCHANGED <<vars, clock, timeout, prey>>
  ELSE /\ Move(p, "rest")
       /\ Goto(p, IF is_prey THEN "claim" ELSE "release")
       /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                      systemVars, then, want, at, walkVars, clock, timeout, prey>>
       /\ Watch

ReadConfirmed(p) ==
  /\ stage[p] = Reading("confirmed")
  /\ Judge(p, status[at[p]] = "confirmed")

ReadTimeout(p) ==
  /\ stage[p] = Reading("timeout")
  /\ Judge(p, timeout[at[p]] <= clock)

--------------------------------------------------------------------------------
(* The claim: test and set are one step, Claim; with plain_claim they are   *)
(* two                                                                      *)

AsClaim(p)     == AtRest(p) /\ Fault # "plain_claim" /\ Claim(p)
AsClaimLost(p) == AtRest(p) /\ ClaimLost(p)

TestDying(p) ==
  /\ stage[p] = "rest" /\ Fault = "plain_claim"
  /\ pc[p] = "claim" /\ ~dying[at[p]]
  /\ Move(p, "tested")
  /\ UNCHANGED <<vars, clock, timeout, prey>>

SetDying(p) ==
  /\ stage[p] = "tested"
  /\ Move(p, "rest")
  /\ Goto(p, "tell")
  /\ dying' = [dying EXCEPT ![at[p]] = TRUE]
  /\ UNCHANGED <<bodyVars, linked, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars, clock, timeout, prey>>
  /\ Watch

--------------------------------------------------------------------------------
(* Confirm. From here to Publish both locks are held.                       *)

AsConfirm(p) == AtRest(p) /\ Confirm(p)
AsConfirmDying(p) == AtRest(p) /\ Fault # "no_dying_test" /\ ConfirmDying(p)

ConfirmAnyway(p) ==
  /\ AtRest(p) /\ Fault = "no_dying_test"
  /\ IsInserting(p) /\ dying[at[p]] /\ IsFree(at[p])
  /\ Goto(p, "insert_original")
  /\ use' = [use EXCEPT ![at[p]] = @ + 1]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars>>
  /\ Watch

SetConfirmedFirst(p) ==
  /\ stage[p] = "rest" /\ Fault = "confirmed_first"
  /\ pc[p] = "insert_original" /\ status[at[p]] = "unconfirmed"
  /\ status' = [status EXCEPT ![at[p]] = "confirmed"]
  /\ UNCHANGED <<keys, silent, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, pc, then, want, at, walkVars, killVars>>
  /\ Watch

MakeMoment(p) ==
  /\ stage[p] = "rest" /\ pc[p] = "insert_original"
  /\ Fault = "confirmed_first" => status[at[p]] = "confirmed"
  /\ timeout' = [timeout EXCEPT ![at[p]] = @ + clock]
  /\ Move(p, "timed")
  /\ UNCHANGED <<vars, clock, prey>>

AsInsertOriginal(p) == stage[p] = "timed" /\ UNCHANGED killVars /\ InsertOriginal(p)
AsInsertReply(p)    == stage[p] = "timed" /\ UNCHANGED killVars /\ InsertReply(p)

SetConfirmed(p) ==
  /\ Publish(p)
  /\ Move(p, "rest")
  /\ UNCHANGED <<clock, timeout, prey>>

--------------------------------------------------------------------------------
(* The timeout                                                              *)

(* A packet prolongs it: a moment if it is one already.                     *)
Prolong(p) ==
  /\ stage[p] = "rest"
  /\ Track(p, Timeout, FALSE)
  /\ timeout' = [timeout EXCEPT ![at[p]] =
       Timeout + (IF status[at[p]] = "confirmed" \/ Fault = "always_a_moment" THEN clock ELSE 0)]
  /\ UNCHANGED <<clock, stage, prey>>

(* What a free entry's memory says, nobody reads: it has no references.     *)
Release(e) ==
  /\ Free(e)
  /\ timeout' = [timeout EXCEPT ![e] = 0]
  /\ UNCHANGED <<clock, stage, prey>>

PassTime ==
  /\ clock < Horizon
  /\ \A p \in Cpus : stage[p] # "timed"
  /\ Tick(1)
  /\ clock' = clock + 1
  /\ UNCHANGED <<timeout, stage, prey>>

--------------------------------------------------------------------------------
(* The rest of the contract                                                 *)

AsPacket(p, k)       == AtRest(p) /\ Packet(p, k)
AsFindGet(p, e)      == AtRest(p) /\ FindGet(p, e)
AsFindMiss(p)        == AtRest(p) /\ FindMiss(p)
AsGiveUp(p)          == AtRest(p) /\ GiveUp(p)
AsReserve(p)         == AtRest(p) /\ Reserve(p)
AsRefuse(p)          == AtRest(p) /\ Refuse(p)
AsAlloc(p, e)        == AtRest(p) /\ Alloc(p, e)
AsDrop(p)            == AtRest(p) /\ Drop(p)
AsKill(p, again)     == AtRest(p) /\ Kill(p, again)
AsKillUnconfirmed(p) == AtRest(p) /\ KillUnconfirmed(p)
AsMerge(p, w)        == AtRest(p) /\ Merge(p, w)
AsClashDrop(p)       == AtRest(p) /\ ClashDrop(p)
AsDeliver(p)         == AtRest(p) /\ Deliver(p)
AsTell(p)            == AtRest(p) /\ Tell(p)
AsUnlinkOriginal(p)  == AtRest(p) /\ UnlinkOriginal(p)
AsUnlinkReply(p)     == AtRest(p) /\ UnlinkReply(p)
AsPutTable(p)        == AtRest(p) /\ PutTable(p)
AsPut(p)             == AtRest(p) /\ Put(p)
AsUncount(n)         == UNCHANGED killVars /\ Uncount(n)

--------------------------------------------------------------------------------
KillInit ==
  /\ Init
  /\ clock = 0
  /\ timeout = [e \in Entries |-> 0]
  /\ stage = [p \in Cpus |-> "rest"]
  /\ prey = [p \in Cpus |-> None]

Bury(p) ==
  \/ \E e \in Entries : Spot(p, e) \/ Meet(p, e)
  \/ Grab(p) \/ GrabFails(p) \/ ReadConfirmed(p) \/ ReadTimeout(p)
  \/ AsClaim(p) \/ AsClaimLost(p) \/ TestDying(p) \/ SetDying(p)
  \/ AsTell(p) \/ AsUnlinkOriginal(p) \/ AsUnlinkReply(p) \/ AsPutTable(p) \/ AsPut(p)

Carry(p) ==
  \/ \E e \in Entries : AsFindGet(p, e) \/ AsAlloc(p, e) \/ AsMerge(p, e)
  \/ AsFindMiss(p) \/ AsGiveUp(p) \/ AsReserve(p) \/ AsRefuse(p)
  \/ Prolong(p) \/ AsDrop(p) \/ AsKillUnconfirmed(p)
  \/ \E again \in BOOLEAN : AsKill(p, again)
  \/ AsConfirm(p) \/ AsConfirmDying(p) \/ ConfirmAnyway(p) \/ AsClashDrop(p)
  \/ SetConfirmedFirst(p) \/ MakeMoment(p) \/ AsInsertOriginal(p) \/ AsInsertReply(p)
  \/ SetConfirmed(p) \/ AsDeliver(p)

KillNext ==
  \/ \E p \in Cpus, k \in Keys : AsPacket(p, k)
  \/ \E p \in Cpus : Bury(p) \/ Carry(p)
  \/ \E e \in Entries : Release(e)
  \/ \E n \in Netns : AsUncount(n)
  \/ PassTime

KillSpec == KillInit /\ [][KillNext]_<<vars, killVars>>

--------------------------------------------------------------------------------
(* What must hold                                                           *)

RefinesConntrack == Spec

(* Both forms of the timeout say what is left; while confirm is at it, the  *)
(* locks are held and no time passes.                                       *)
TimeoutIsWhatIsLeft ==
  \A e \in Entries :
    LET is_moment == \/ status[e] = "confirmed"
                     \/ \E p \in Cpus : at[p] = e /\ stage[p] = "timed"
    IN ttl[e] = IF ~is_moment THEN timeout[e]
                ELSE IF timeout[e] > clock THEN timeout[e] - clock ELSE 0

(* Nobody is buried before his time, nor before he was in the table.        *)
ReapsOnlyExpired ==
  [][\A p \in Cpus : pc[p] = "reap" /\ pc'[p] = "claim"
       => /\ status[at[p]] = "confirmed" /\ IsExpired(at[p])
          /\ linked[at[p]] # {} \/ dying[at[p]]]_<<vars, killVars>>
================================================================================
