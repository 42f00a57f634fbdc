--------------------------- MODULE MCEventRedelivery ---------------------------
(* EventRedelivery with what only a model checker asks for. *)
EXTENDS EventRedelivery, TLC

Symmetry == Permutations(Entries) \cup Permutations(Cpus \ Workers) \cup Permutations(Tuples)
================================================================================
