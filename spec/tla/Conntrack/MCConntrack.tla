------------------------------ MODULE MCConntrack ------------------------------
(* Conntrack with what only a model checker asks for. *)
EXTENDS Conntrack, TLC

Symmetry ==
  Permutations(Entries) \cup Permutations(Cpus \ Workers) \cup Permutations(Tuples)
================================================================================
