--------------------------- MODULE DoubleLockResize ----------------------------
(***************************************************************************)
(* How the kernel's table locks two buckets, and how it is resized under   *)
(* the feet of those who read and write it.                                *)
(*                                                                         *)
(* An entry lies in two chains.  Who links or unlinks it holds the locks   *)
(* of both, the lower first.  Which two they are depends on the size of    *)
(* the array, read before there is a lock to rely on: a generation, odd    *)
(* while a resize moves chains, tells whether to choose again.  Readers    *)
(* have no lock; they read generation, array, size, and the generation     *)
(* again.                                                                  *)
(*                                                                         *)
(* A resize holds all locks without taking all of them: global lock, flag, *)
(* then each lock once, taken and let go.  Who had a lock before is waited *)
(* for; who takes one after sees the flag, lets go, and waits at the       *)
(* global lock.                                                            *)
(*                                                                         *)
(* This machine is Conntrack with these steps in place of its confirm,     *)
(* unlink, find and resize; its other steps happen as they are, while      *)
(* their CPU is at rest here (As...).  What a table does beside that,      *)
(* walks, early drop, expiry, is left out.  A chain is read at one blow,   *)
(* without the links that a moved node leads astray by: TypesafeLookup has *)
(* those.                                                                  *)
(*                                                                         *)
(* Source: nf_conntrack_double_lock(), nf_conntrack_lock(),                *)
(* nf_conntrack_all_lock(), nf_conntrack_get_ht(),                         *)
(* nf_conntrack_hash_resize(), Linux 6.18; impls/rcu.  The same machine in *)
(* C++ is spec/model/double_lock_resize.h.                                 *)
(***************************************************************************)
EXTENDS Conntrack

CONSTANTS
  First, Second,  \* buckets of array 0, which is in use at first, and of array 1
  Locks,          \* bucket locks; a bucket has that of its number modulo Locks
  Shifted,        \* tuples whose original keys hash to 1 in place of 0
  Resizes         \* how many there may be

VARIABLES
  array,       \* 0 or 1: the one in use
  size,        \* the number of its buckets, a variable of its own
  generation,  \* odd while a resize is at the chains
  chain,       \* [0..1 -> [bucket -> SUBSET (Entries \X Dirs)]]
  owner,       \* [0..Locks-1 -> Cpus or None]
  global,      \* Cpus or None
  flag,        \* all locks are held, or about to be
  passed,      \* how many locks the resize has taken and let go
  stage,       \* [Cpus -> where it is in what follows]
  view         \* [Cpus -> what it has read of generation, array, size]

shapeVars  == <<array, size, generation>>
lockVars   == <<owner, global, flag, passed>>
resizeVars == <<shapeVars, chain, lockVars, stage, view>>

BucketsOf(a) == IF a = 0 THEN First ELSE Second
BucketSet    == 0..((IF First > Second THEN First ELSE Second) - 1)
Unread       == [generation |-> 0, array |-> 0, size |-> 0]

(* Enough of a hash: two flows share a bucket or do not, as the size wants. *)
Hash(k)      == IF k[3] = "reply" THEN 2 ELSE IF k[2] \in Shifted THEN 1 ELSE 0
Bucket(k, n) == Hash(k) % n

--------------------------------------------------------------------------------
(* The buckets and locks of the entry at hand, as p sees the table          *)

BucketOf(p, d) == Bucket(keys[at[p]][d], view[p].size)
LockOf(p, d)   == BucketOf(p, d) % Locks
IsSorted(p)    == LockOf(p, "original") <= LockOf(p, "reply") \/ Fault = "unsorted_locks"
LockOne(p)     == LockOf(p, IF IsSorted(p) THEN "original" ELSE "reply")
LockTwo(p)     == LockOf(p, IF IsSorted(p) THEN "reply" ELSE "original")

IsWriter(p) == \/ pc[p] = "confirm" /\ status[at[p]] = "unconfirmed"
               \/ pc[p] = "unlink_original"

(* What lies in the chain where p looks for k, under this key.              *)
Met(p, k) ==
  {e \in Entries : \E d \in Dirs :
     /\ <<e, d>> \in chain[view[p].array][Bucket(k, view[p].size)]
     /\ keys[e][d] = k}

Stage(p, label) == stage' = [stage EXCEPT ![p] = label]
Forget(p)       == view' = [view EXCEPT ![p] = Unread]

--------------------------------------------------------------------------------
(* The shape of the table, read without a lock                              *)

BeginRead(p) ==
  /\ stage[p] = "rest" /\ (pc[p] = "lookup" \/ IsWriter(p))
  /\ generation % 2 = 0
  /\ view' = [view EXCEPT ![p].generation = generation]
  /\ Stage(p, "array")
  /\ UNCHANGED <<vars, shapeVars, chain, lockVars>>

ReadArray(p) ==
  /\ stage[p] = "array"
  /\ view' = [view EXCEPT ![p].array = array]
  /\ Stage(p, "size")
  /\ UNCHANGED <<vars, shapeVars, chain, lockVars>>

ReadSize(p) ==
  /\ stage[p] = "size"
  /\ view' = [view EXCEPT ![p].size = size]
  /\ Stage(p, IF pc[p] = "lookup" THEN "check"
              ELSE IF Fault = "flag_before_lock" THEN "flag" ELSE "first")
  /\ UNCHANGED <<vars, shapeVars, chain, lockVars>>

(* A reader's second look: array and size are of one resize, or it reads    *)
(* them again.                                                              *)
CheckShape(p) ==
  /\ stage[p] = "check"
  /\ IF generation = view[p].generation \/ Fault = "torn_shape"
     THEN Stage(p, "walk") /\ UNCHANGED view
     ELSE Stage(p, "rest") /\ Forget(p)
  /\ UNCHANGED <<vars, shapeVars, chain, lockVars>>

Find(p, e) ==
  /\ stage[p] = "walk"
  /\ e \in Met(p, want[p]) /\ status[e] = "confirmed"
  /\ Obtain(p, e, "track")
  /\ Stage(p, "rest") /\ Forget(p)
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, walkVars, shapeVars, chain, lockVars>>
  /\ Watch

Miss(p) ==
  /\ stage[p] = "walk"
  /\ \A e \in Met(p, want[p]) : status[e] # "confirmed"
  /\ Goto(p, "reserve")
  /\ Stage(p, "rest") /\ Forget(p)
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars, shapeVars, chain, lockVars>>
  /\ Watch

--------------------------------------------------------------------------------
(* Two bucket locks                                                         *)

(* One lock for both buckets is taken once.                                 *)
HasOne(p) == IF LockOne(p) = LockTwo(p) \/ Fault = "one_lock" THEN "recheck" ELSE "second"

LockFirst(p) ==
  /\ stage[p] = "first" /\ owner[LockOne(p)] = None
  /\ owner' = [owner EXCEPT ![LockOne(p)] = p]
  /\ Stage(p, IF Fault = "flag_before_lock" THEN HasOne(p) ELSE "flag")
  /\ UNCHANGED <<vars, shapeVars, chain, global, flag, passed, view>>

(* Held, the lock makes the answer last: a resize that sets the flag after  *)
(* this has yet to pass it.                                                 *)
TestFlag(p) ==
  /\ stage[p] = "flag"
  /\ Stage(p, IF Fault = "flag_before_lock" THEN IF flag THEN "global" ELSE "first"
              ELSE IF flag THEN "yield" ELSE HasOne(p))
  /\ UNCHANGED <<vars, shapeVars, chain, lockVars, view>>

Yield(p) ==
  /\ stage[p] = "yield"
  /\ owner' = [owner EXCEPT ![LockOne(p)] = None]
  /\ Stage(p, "global")
  /\ UNCHANGED <<vars, shapeVars, chain, global, flag, passed, view>>

WaitGlobal(p) ==
  /\ stage[p] = "global" /\ global = None
  /\ global' = p
  /\ Stage(p, "again")
  /\ UNCHANGED <<vars, shapeVars, chain, owner, flag, passed, view>>

LockAgain(p) ==
  /\ stage[p] = "again" /\ owner[LockOne(p)] = None
  /\ owner' = [owner EXCEPT ![LockOne(p)] = p]
  /\ Stage(p, "leave")
  /\ UNCHANGED <<vars, shapeVars, chain, global, flag, passed, view>>

(* Of a writer that has its lock now, and of a resize that is over.         *)
LeaveGlobal(p) ==
  /\ stage[p] = "leave"
  /\ global' = None
  /\ Stage(p, IF IsWriter(p) THEN HasOne(p) ELSE "rest")
  /\ UNCHANGED <<vars, shapeVars, chain, owner, flag, passed, view>>

(* Plainly: who has the lower one got it before the resize passed it, and   *)
(* the resize passes the higher one later.                                  *)
LockSecond(p) ==
  /\ stage[p] = "second" /\ owner[LockTwo(p)] = None
  /\ owner' = [owner EXCEPT ![LockTwo(p)] = p]
  /\ Stage(p, "recheck")
  /\ UNCHANGED <<vars, shapeVars, chain, global, flag, passed, view>>

(* Are these the right locks still?                                         *)
Recheck(p) ==
  /\ stage[p] = "recheck"
  /\ Stage(p, IF generation = view[p].generation \/ Fault = "no_generation_check"
              THEN "holding" ELSE "unlock")
  /\ UNCHANGED <<vars, shapeVars, chain, lockVars, view>>

(* The second one, then the first.                                          *)
Unlock(p) ==
  /\ stage[p] = "unlock"
  /\ IF LockTwo(p) # LockOne(p) /\ owner[LockTwo(p)] = p
     THEN /\ owner' = [owner EXCEPT ![LockTwo(p)] = None]
          /\ UNCHANGED <<stage, view>>
     ELSE /\ owner' = [owner EXCEPT ![LockOne(p)] = None]
          /\ Stage(p, "rest") /\ Forget(p)
  /\ UNCHANGED <<vars, shapeVars, chain, global, flag, passed>>

--------------------------------------------------------------------------------
(* What both locks are for. The contract's guard ~IsLocked is not asked: it *)
(* has to hold because of the locks.                                        *)

BeginInsert(p) ==
  /\ stage[p] = "holding" /\ pc[p] = "confirm" /\ ~dying[at[p]]
  /\ \A d \in Dirs : Met(p, keys[at[p]][d]) = {}
  /\ Goto(p, "insert_original")
  /\ use' = [use EXCEPT ![at[p]] = @ + 1]
  /\ UNCHANGED <<bodyVars, tableVars, timeVars, eventVars, countVars,
                 systemVars, then, want, at, walkVars, resizeVars>>
  /\ Watch

RefuseClash(p) ==
  /\ stage[p] = "holding" /\ pc[p] = "confirm" /\ ~dying[at[p]]
  /\ \E d \in Dirs : Met(p, keys[at[p]][d]) # {}
  /\ Goto(p, "release")
  /\ Stage(p, "unlock")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars, systemVars,
                 then, want, at, walkVars, shapeVars, chain, lockVars, view>>
  /\ Watch

RefuseDying(p) ==
  /\ stage[p] = "holding" /\ pc[p] = "confirm" /\ dying[at[p]]
  /\ Goto(p, "release")
  /\ Stage(p, "unlock")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars, systemVars,
                 then, want, at, walkVars, shapeVars, chain, lockVars, view>>
  /\ Watch

Chained(p, d) ==
  chain' = [chain EXCEPT ![view[p].array][BucketOf(p, d)] = @ \cup {<<at[p], d>>}]

(* Wherever it lies: a node knows its neighbours.                           *)
Unchained(p, d) ==
  chain' = [a \in 0..1 |-> [b \in BucketSet |-> chain[a][b] \ {<<at[p], d>>}]]

ChainOriginal(p) ==
  /\ InsertOriginal(p) /\ Chained(p, "original")
  /\ UNCHANGED <<shapeVars, lockVars, stage, view>>

ChainReply(p) ==
  /\ InsertReply(p) /\ Chained(p, "reply")
  /\ UNCHANGED <<shapeVars, lockVars, stage, view>>

PublishEntry(p) ==
  /\ Publish(p) /\ Stage(p, "unlock")
  /\ UNCHANGED <<shapeVars, chain, lockVars, view>>

UnchainOriginal(p) ==
  /\ stage[p] = "holding" /\ pc[p] = "unlink_original"
  /\ Goto(p, "unlink_reply")
  /\ linked' = [linked EXCEPT ![at[p]] = @ \ {"original"}]
  /\ Unchained(p, "original")
  /\ UNCHANGED <<bodyVars, dying, use, timeVars, eventVars, countVars, systemVars,
                 then, want, at, walkVars, shapeVars, lockVars, stage, view>>
  /\ Watch

UnchainReply(p) ==
  /\ UnlinkReply(p) /\ Unchained(p, "reply") /\ Stage(p, "unlock")
  /\ UNCHANGED <<shapeVars, lockVars, view>>

--------------------------------------------------------------------------------
(* Resize                                                                   *)

TakeGlobal(p) ==
  /\ stage[p] = "rest" /\ IdleFor(p, "resize")
  /\ global = None /\ generation < 2 * Resizes
  /\ global' = p
  /\ Stage(p, "set")
  /\ UNCHANGED <<vars, shapeVars, chain, owner, flag, passed, view>>

SetFlag(p) ==
  /\ stage[p] = "set"
  /\ flag' = TRUE
  /\ Stage(p, "pass")
  /\ UNCHANGED <<vars, shapeVars, chain, owner, global, passed, view>>

(* Taken and let go, as one step: nobody could tell.                        *)
PassLock(p) ==
  /\ stage[p] = "pass" /\ owner[passed] = None
  /\ passed' = IF passed + 1 = Locks THEN 0 ELSE passed + 1
  /\ Stage(p, IF passed + 1 = Locks THEN "odd" ELSE "pass")
  /\ UNCHANGED <<vars, shapeVars, chain, owner, global, flag, view>>

(* The contract's ResizeBegin; that nobody is at the chains is not asked.   *)
BeginMove(p) ==
  /\ stage[p] = "odd"
  /\ generation' = generation + 1
  /\ resizing' = TRUE
  /\ Goto(p, "resize")
  /\ Stage(p, "move")
  /\ UNCHANGED <<bodyVars, tableVars, use, timeVars, eventVars, countVars, exiting,
                 then, want, at, walkVars, array, size, chain, lockVars, view>>
  /\ Watch

(* A node at a time, in some order.                                         *)
Move(p, e, d) ==
  /\ stage[p] = "move"
  /\ \E b \in BucketSet :
       /\ <<e, d>> \in chain[array][b]
       /\ chain' = [chain EXCEPT
            ![array][b] = @ \ {<<e, d>>},
            ![1 - array][Bucket(keys[e][d], BucketsOf(1 - array))] = @ \cup {<<e, d>>}]
  /\ UNCHANGED <<vars, shapeVars, lockVars, stage, view>>

PublishArray(p) ==
  /\ stage[p] = "move" /\ \A b \in BucketSet : chain[array][b] = {}
  /\ array' = 1 - array
  /\ Stage(p, "publish_size")
  /\ UNCHANGED <<vars, size, generation, chain, lockVars, view>>

PublishSize(p) ==
  /\ stage[p] = "publish_size"
  /\ size' = BucketsOf(array)
  /\ Stage(p, "even")
  /\ UNCHANGED <<vars, array, generation, chain, lockVars, view>>

EndMove(p) ==
  /\ stage[p] = "even" /\ ResizeEnd(p)
  /\ generation' = generation + 1
  /\ Stage(p, "clear")
  /\ UNCHANGED <<array, size, chain, lockVars, view>>

ClearFlag(p) ==
  /\ stage[p] = "clear"
  /\ flag' = FALSE
  /\ Stage(p, "leave")
  /\ UNCHANGED <<vars, shapeVars, chain, owner, global, passed, view>>

--------------------------------------------------------------------------------
(* The contract's other steps, as they are                                  *)

AtRest(p) == stage[p] = "rest" /\ UNCHANGED resizeVars

AsPacket(p, k)         == AtRest(p) /\ Packet(p, k)
AsGiveUp(p)            == AtRest(p) /\ GiveUp(p)
AsReserve(p)           == AtRest(p) /\ Reserve(p)
AsRefuse(p)            == AtRest(p) /\ Refuse(p)
AsAlloc(p, e)          == AtRest(p) /\ Alloc(p, e)
AsTrack(p)             == AtRest(p) /\ Track(p, Timeout, FALSE)
AsDrop(p)              == AtRest(p) /\ Drop(p)
AsKill(p, again)       == AtRest(p) /\ Kill(p, again)
AsKillUnconfirmed(p)   == AtRest(p) /\ KillUnconfirmed(p)
AsDeliver(p)           == AtRest(p) /\ Deliver(p)
AsClaim(p)             == AtRest(p) /\ Claim(p)
AsClaimLost(p)         == AtRest(p) /\ ClaimLost(p)
AsTell(p)              == AtRest(p) /\ Tell(p)
AsPutTable(p)          == AtRest(p) /\ PutTable(p)
AsPut(p)               == AtRest(p) /\ Put(p)
AsFree(e)              == UNCHANGED resizeVars /\ Free(e)
AsUncount(n)           == UNCHANGED resizeVars /\ Uncount(n)

--------------------------------------------------------------------------------
ResizeInit ==
  /\ Init
  /\ array = 0
  /\ size = First
  /\ generation = 0
  /\ chain = [a \in 0..1 |-> [b \in BucketSet |-> {}]]
  /\ owner = [l \in 0..(Locks - 1) |-> None]
  /\ global = None
  /\ flag = FALSE
  /\ passed = 0
  /\ stage = [p \in Cpus |-> "rest"]
  /\ view = [p \in Cpus |-> Unread]

ReadersAndWriters(p) ==
  \/ BeginRead(p) \/ ReadArray(p) \/ ReadSize(p) \/ CheckShape(p)
  \/ \E e \in Entries : Find(p, e)
  \/ Miss(p)
  \/ LockFirst(p) \/ TestFlag(p) \/ Yield(p) \/ WaitGlobal(p) \/ LockAgain(p)
  \/ LeaveGlobal(p) \/ LockSecond(p) \/ Recheck(p) \/ Unlock(p)
  \/ BeginInsert(p) \/ RefuseClash(p) \/ RefuseDying(p)
  \/ ChainOriginal(p) \/ ChainReply(p) \/ PublishEntry(p)
  \/ UnchainOriginal(p) \/ UnchainReply(p)

Resizer(p) ==
  \/ TakeGlobal(p) \/ SetFlag(p) \/ PassLock(p) \/ BeginMove(p)
  \/ \E e \in Entries, d \in Dirs : Move(p, e, d)
  \/ PublishArray(p) \/ PublishSize(p) \/ EndMove(p) \/ ClearFlag(p)

Others(p) ==
  \/ \E k \in Keys : AsPacket(p, k)
  \/ AsGiveUp(p) \/ AsReserve(p) \/ AsRefuse(p)
  \/ \E e \in Entries : AsAlloc(p, e)
  \/ AsTrack(p) \/ AsDrop(p)
  \/ \E again \in BOOLEAN : AsKill(p, again)
  \/ AsKillUnconfirmed(p) \/ AsDeliver(p) \/ AsClaim(p) \/ AsClaimLost(p)
  \/ AsTell(p) \/ AsPutTable(p) \/ AsPut(p)

ResizeNext ==
  \/ \E p \in Cpus : ReadersAndWriters(p) \/ Resizer(p) \/ Others(p)
  \/ \E e \in Entries : AsFree(e)
  \/ \E n \in Netns : AsUncount(n)

ResizeSpec == ResizeInit /\ [][ResizeNext]_<<vars, resizeVars>>

--------------------------------------------------------------------------------
(* What must hold                                                           *)

(* What it does is something that the contract allows.                      *)
RefinesConntrack == Spec

IsAtChains(p) == stage[p] = "holding"
ChainsOf(p)   == {<<view[p].array, BucketOf(p, d)>> : d \in Dirs}

(* C.1  Mutual exclusion: nobody else is at one's chains.                   *)
OneAtAChain ==
  \A p, q \in Cpus :
    p # q /\ IsAtChains(p) /\ IsAtChains(q) => ChainsOf(p) \cap ChainsOf(q) = {}

(* F.1  While chains move, nobody links or unlinks.                         *)
ResizeIsAlone == resizing => \A p \in Cpus : ~IsAtChains(p)

(* F.1  Each tuplehash that is linked lies in one chain, and none else does. *)
NothingLostOrDoubled ==
  \A e \in Entries, d \in Dirs :
    Cardinality({c \in (0..1) \X BucketSet : <<e, d>> \in chain[c[1]][c[2]]})
      = IF d \in linked[e] THEN 1 ELSE 0

(* F.1  It is the right one: of the array in use, unless it is on its way.  *)
LinkedIsInPlace ==
  \A a \in 0..1, b \in BucketSet : \A h \in chain[a][b] :
    /\ a = array \/ resizing
    /\ b = Bucket(keys[h[1]][h[2]], BucketsOf(a))

(* F.2  A reader does not leave the array that it reads.                    *)
BucketInBounds ==
  \A p \in Cpus :
    stage[p] = "walk" => Bucket(want[p], view[p].size) < BucketsOf(view[p].array)

(* G.1  At rest one has no lock, and the flag is down when nobody set it.   *)
RestIsUnlocked ==
  /\ \A p \in Cpus : stage[p] = "rest" => global # p /\ \A l \in DOMAIN owner : owner[l] # p
  /\ flag => global # None
================================================================================
