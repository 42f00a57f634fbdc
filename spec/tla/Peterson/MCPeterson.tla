----------------------------- MODULE MCPeterson -----------------------------
(* SPDX-License-Identifier: BSD-2-Clause                                    *)
(* What TLC needs beside Peterson: nothing.                                 *)
EXTENDS Peterson
=============================================================================
