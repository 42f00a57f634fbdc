-------------------------- MODULE MCDoubleLockResize ---------------------------
(* DoubleLockResize with what only a model checker asks for. *)
EXTENDS DoubleLockResize, TLC

Symmetry == Permutations(Entries) \cup Permutations(Cpus \ Workers)
================================================================================
