---------------------------- MODULE ConntrackTrace ----------------------------
(***************************************************************************)
(* Is a recorded run of a real system a behaviour of Conntrack?            *)
(*                                                                         *)
(* A file in the working directory (ctbench replay --trace writes it; the  *)
(* format: harness/trace/trace_file.h) says what the constants are, and    *)
(* which action follows which.  There is one behaviour at most; it is as   *)
(* long as the trace exactly if every line is a step.                      *)
(*                                                                         *)
(* Against Conntrack, the clock may also go on while nothing lives.        *)
(***************************************************************************)
EXTENDS Conntrack, Integers, Json, Sequences, TLC

CONSTANT TraceFile

VARIABLE line  \* of the trace that is next; the header is line 1

Trace  == ndJsonDeserialize(TraceFile)
Header == Trace[1]

SetOf(sequence) == {sequence[i] : i \in DOMAIN sequence}

TraceCpus       == 1..Header.cpus
TraceEntries    == 1..Header.entries
TraceNetns      == 1..Header.netns
TraceTuples     == 1..Header.flows
TraceMax        == Header.max
TraceChainLimit == Header.chain_limit
TraceOperations == SetOf(Header.operations)
TraceAllowances == SetOf(Header.allowances)

Key(r) == <<r.netns, r.flow, r.dir>>

(* The clock goes on, and nothing lives that it could bring to its end.     *)
TickAlone ==
  /\ May("clock")
  /\ \A e \in Entries : status[e] = "confirmed" => IsExpired(e)
  /\ UNCHANGED vars

Act(r) ==
  CASE r.action = "Packet"          -> Packet(r.cpu, Key(r))
    [] r.action = "FindGet"         -> FindGet(r.cpu, r.entry)
    [] r.action = "Put"             -> Put(r.cpu)
    [] r.action = "Track"           -> Track(r.cpu, r.timeout, r.assures)
    [] r.action = "Deliver"         -> Deliver(r.cpu)
    [] r.action = "Tick"            -> Tick(r.ticks) \/ TickAlone
    [] r.action = "Glance"          -> Glance(r.cpu, r.entry)
    [] r.action = "LookAway"        -> LookAway(r.cpu)
    [] r.action = "FindMiss"        -> FindMiss(r.cpu)
    [] r.action = "FindExpired"     -> FindExpired(r.cpu, r.entry)
    [] r.action = "GiveUp"          -> GiveUp(r.cpu)
    [] r.action = "Reserve"         -> Reserve(r.cpu)
    [] r.action = "EarlyDrop"       -> EarlyDrop(r.cpu, r.entry)
    [] r.action = "Refuse"          -> Refuse(r.cpu)
    [] r.action = "Alloc"           -> Alloc(r.cpu, r.entry)
    [] r.action = "AlterReply"      -> AlterReply(r.cpu, Key(r))
    [] r.action = "Drop"            -> Drop(r.cpu)
    [] r.action = "Kill"            -> Kill(r.cpu, r.again)
    [] r.action = "KillUnconfirmed" -> KillUnconfirmed(r.cpu)
    [] r.action = "Confirm"         -> Confirm(r.cpu)
    [] r.action = "InsertOriginal"  -> InsertOriginal(r.cpu)
    [] r.action = "InsertReply"     -> InsertReply(r.cpu)
    [] r.action = "Publish"         -> Publish(r.cpu)
    [] r.action = "ConfirmDying"    -> ConfirmDying(r.cpu)
    [] r.action = "Merge"           -> Merge(r.cpu, r.entry)
    [] r.action = "LinkReply"       -> LinkReply(r.cpu, r.timeout)
    [] r.action = "ClashDrop"       -> ClashDrop(r.cpu)
    [] r.action = "ChainTooLong"    -> ChainTooLong(r.cpu)
    [] r.action = "LeaveToKiller"   -> LeaveToKiller(r.cpu)
    [] r.action = "Reap"            -> Reap(r.cpu)
    [] r.action = "Claim"           -> Claim(r.cpu)
    [] r.action = "ClaimLost"       -> ClaimLost(r.cpu)
    [] r.action = "Spare"           -> Spare(r.cpu)
    [] r.action = "Tell"            -> Tell(r.cpu)
    [] r.action = "TellRefused"     -> TellRefused(r.cpu)
    [] r.action = "UnlinkOriginal"  -> UnlinkOriginal(r.cpu)
    [] r.action = "UnlinkReply"     -> UnlinkReply(r.cpu)
    [] r.action = "PutTable"        -> PutTable(r.cpu)
    [] r.action = "Park"            -> Park(r.cpu)
    [] r.action = "Free"            -> Free(r.entry)
    [] r.action = "Uncount"         -> Uncount(r.netns)
    [] r.action = "GcVisit"         -> GcVisit(r.cpu, r.entry)
    [] r.action = "GcDrop"          -> GcDrop(r.cpu, r.entry)
    [] r.action = "Redeliver"       -> Redeliver(r.entry)
    [] r.action = "PutParked"       -> PutParked(r.entry)
    [] r.action = "Stall"           -> Stall
    [] r.action = "Recover"         -> Recover
    [] r.action = "FlushBegin"      -> FlushBegin(r.cpu)
    [] r.action = "ExitBegin"       -> ExitBegin(r.cpu, r.netns)
    [] r.action = "WalkVisit"       -> WalkVisit(r.cpu, r.entry)
    [] r.action = "WalkEnd"         -> WalkEnd(r.cpu)
    [] r.action = "ExitEnd"         -> ExitEnd(r.cpu, r.netns)
    [] r.action = "ResizeBegin"     -> ResizeBegin(r.cpu)
    [] r.action = "ResizeEnd"       -> ResizeEnd(r.cpu)

TraceInit == Init /\ line = 2
TraceNext ==
  /\ line <= Len(Trace)
  /\ line' = line + 1
  /\ Act(Trace[line])

TraceSpec == TraceInit /\ [][TraceNext]_<<vars, line>>

--------------------------------------------------------------------------------
(* States of the one behaviour: as many as there are lines, if all are steps.   *)
IsAccepted ==
  LET states == TLCGet("stats").diameter
  IN IF states = Len(Trace)
     THEN PrintT("accepted " \o ToString(states - 1) \o " actions")
     ELSE /\ PrintT("rejected at line " \o ToString(states + 1) \o ": "
                    \o ToString(Trace[states + 1]))
          /\ FALSE
================================================================================
