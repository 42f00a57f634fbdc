------------------------------ MODULE Peterson ------------------------------
(* SPDX-License-Identifier: BSD-2-Clause                                    *)
(* Mutual exclusion of two threads; the twin of spec/model/peterson.h,      *)
(* which says what the faults are.                                          *)
(* Source: Peterson, "Myths About the Mutual Exclusion Problem", 1981.      *)
EXTENDS Naturals, FiniteSets

CONSTANTS Threads, Faults

ASSUME Cardinality(Threads) = 2 /\ Faults \subseteq {"turn_first", "flags_only"}

VARIABLES flag, pc, turn

vars == <<flag, pc, turn>>

Other(p) == CHOOSE q \in Threads : q # p

Init == /\ flag = [p \in Threads |-> FALSE]
        /\ pc = [p \in Threads |-> "idle"]
        /\ turn \in Threads

Raise(p) == /\ flag' = [flag EXCEPT ![p] = TRUE]
            /\ UNCHANGED turn

GiveAway(p) == /\ turn' = Other(p)
               /\ UNCHANGED flag

Begin(p) == /\ pc[p] = "idle"
            /\ pc' = [pc EXCEPT ![p] = "halfway"]
            /\ IF "turn_first" \in Faults THEN GiveAway(p) ELSE Raise(p)

Announce(p) == /\ pc[p] = "halfway"
               /\ pc' = [pc EXCEPT ![p] = "waiting"]
               /\ IF "turn_first" \in Faults THEN Raise(p) ELSE GiveAway(p)

Enter(p) == /\ pc[p] = "waiting"
            /\ \/ ~flag[Other(p)]
               \/ "flags_only" \notin Faults /\ turn = p
            /\ pc' = [pc EXCEPT ![p] = "working"]
            /\ UNCHANGED <<flag, turn>>

Leave(p) == /\ pc[p] = "working"
            /\ flag' = [flag EXCEPT ![p] = FALSE]
            /\ pc' = [pc EXCEPT ![p] = "idle"]
            /\ UNCHANGED turn

Next == \E p \in Threads : Begin(p) \/ Announce(p) \/ Enter(p) \/ Leave(p)

EachThreadGoesOn == \A p \in Threads : WF_vars(Announce(p) \/ Enter(p) \/ Leave(p))

Spec == Init /\ [][Next]_vars /\ EachThreadGoesOn

-----------------------------------------------------------------------------

MutualExclusion == ~ \A p \in Threads : pc[p] = "working"

WorksAnnounced ==
  [][\A p \in Threads : pc[p] # "working" /\ pc'[p] = "working"
                          => pc[p] = "waiting" /\ flag[p]]_vars

WaitsThenWorks == \A p \in Threads : (pc[p] = "waiting") ~> (pc[p] = "working")

=============================================================================
