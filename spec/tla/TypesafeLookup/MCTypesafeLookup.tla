---------------------------- MODULE MCTypesafeLookup ---------------------------
(* TypesafeLookup with what only a model checker asks for. *)
EXTENDS TypesafeLookup, TLC

Symmetry == Permutations(Entries)
================================================================================
