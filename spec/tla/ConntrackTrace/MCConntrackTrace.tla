--------------------------- MODULE MCConntrackTrace ---------------------------
(* ConntrackTrace as a model checker takes it. *)
EXTENDS ConntrackTrace
================================================================================
