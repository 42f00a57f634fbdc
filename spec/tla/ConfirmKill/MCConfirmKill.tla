----------------------------- MODULE MCConfirmKill -----------------------------
(* ConfirmKill with what only a model checker asks for. *)
EXTENDS ConfirmKill, TLC

Symmetry ==
  Permutations(Entries) \cup Permutations(Cpus \ Workers) \cup Permutations(Tuples)
================================================================================
