// Every bound of the system in one place, each with its reason. A queue without a name here is a bug.

/**
 * Messages a mailbox holds by default. At 10 us a message a full one is 10 ms of work: late, not lost. What was accepted elsewhere goes in
 * over it: tells that a thread has sent before it heard 'pause' (what its ring holds, ringBytesDefault), and what each move has kept back
 * (relocateLateMax at the source, relocateHeldMax at the target). With more than relocateOverMax over its bound it does not move.
 */
export const mailboxCapacityDefault = 1_024;
/** Bytes a mailbox holds by default; binds before the count for payloads above 1 KiB. */
export const mailboxBytesDefault: number = 1 << 20;
/** Control messages (stop, watch, cancel, relocation) are never dropped, but a peer that floods them is broken. */
export const controlLaneMax = 65_536;
/** Senders that may wait for a slot of one `overflow: 'wait'` mailbox; the next one gets OVERLOADED. */
export const waitersPerMailboxMax = 65_536;
/** Messages an actor may set aside with stash(); as many as its mailbox holds by default. */
export const stashMax = 1_024;
/** Default time an ask waits for its answer. */
export const askDeadlineMsDefault = 5_000;
/** Asks one thread may have outstanding towards others; past it callers outrun replies. */
export const asksPerThreadMax: number = 1 << 20;
/** How long an expired ask waits for the receiver's word on whether the turn ever started, before it ends unknown. */
export const verdictGraceMs = 100;
/** The same of a reminder that is called back: as long as its actor is waited for that moves (guestFreezeMs). */
export const reminderGraceMs = 5_000;
/** Arguments of one message. Three travel unboxed. */
export const argumentsMax = 64;
/** Public methods of one actor class; the number is a byte on the wire. */
export const methodsMax = 255;
/** A key of an actor or a record, in UTF-8 bytes. LMDB takes 1,978; we prefix up to 64. */
export const keyBytesMax = 1_024;
/** The largest frame any link accepts, checked before anything is allocated. */
export const frameBytesMax: number = 16 << 20;
/** The deepest nesting a decoder follows; honest data stays below 20. */
export const depthMax = 64;
/** Elements (array items, map entries) one message may announce; bounds what a decoder allocates. */
export const elementsMax: number = 1 << 20;
/** Largest value of the key-value store unless a store says otherwise. */
export const valueBytesMaxDefault: number = 1 << 20;
/** Siblings of one key: a warning, then a refusal (research/behaviours.md A-87). */
export const siblingsWarn = 25;
export const siblingsMax = 100;
/** Opaque client context of a key, in bytes; 100 dots of 40 bytes with room to spare. */
export const contextBytesMax = 8_192;
/** Depth of an ask chain; a longer one is a recursion that lost its way. */
export const chainDepthMax = 64;
/** Writes one thread may have waiting for their group commit. lmdb-js blocks its caller at 300,000. */
export const writesPendingMax = 32_768;
/** Bytes one thread may have waiting for their group commit. */
export const writeBytesPendingMax: number = 64 << 20;
/**
 * Writes one thread may have under way in its stores, from the call to the answer. People hand in 10,000 at once and await them
 * all; half of what the line for the disk holds, so that two such threads do not fill it.
 */
export const writesUnderWayMax = 16_384;
/** Fewer are never too many: it takes a few hundred for the group commit to reach its rate. */
export const writesUnderWayMin = 512;
/** Bytes of their values. Below what the line for the disk takes, keys and clocks included; one value may lie across it. */
export const writeBytesUnderWayMax: number = 48 << 20;
/** Up to so many, only their own deadlines count: a loop of 1,024 on a slow disk waits, and is not refused. A fifth of a second's work. */
export const writesUnderWayFew = 4_096;
/** How long a write may be expected to wait among more than those, however patient its asker is. */
export const writeWaitMsMax = 500;
/** Free space below which puts are refused; deletes and reads go on. LMDB needs some to free some. */
export const diskFreeLowWater: number = 64 << 20;
/** The least a user may ask for: LMDB does not survive a disk that is really full. */
export const diskFreeLowWaterMin: number = 1 << 20;
/** Actors resident on one thread before the least valuable are put to sleep. 200 bytes each and their state. */
export const residentsMaxDefault = 1_000_000;
/** Time a moving actor may need to finish the turn it is in. Past it the move is aborted, never forced. */
export const relocateTurnMsDefault = 5_000;
/** Bytes of one ring between two threads, each way. 256 KiB to 4 MiB differ by a few percent; a power of two. */
export const ringBytesDefault: number = 1 << 20;
/** The largest ring: positions are 32-bit and must tell full from empty across their own wrap. */
export const ringBytesMax: number = 1 << 28;
/** The window of a ring is its bytes divided by this: larger frames go in pieces, four of which are then under way. */
export const ringWindowShare = 4;
/** Frames taken from one ring before the next one has its turn: a flood delays a neighbour by some 10 us. */
export const ringFramesPerTurn = 256;
/** Frames taken between two looks at the clock; at 10 us a handler that is half a millisecond. */
export const ringFramesPerLook = 64;
/** A poll longer than this returns to the event loop, so timers are late by this and one look at most. */
export const pollBudgetMs = 1;
/** How long a thread keeps polling after its last frame before it parks. An answer from a busy peer takes 2-20 us. */
export const pollWindowMs = 0.1;
/** Callers that may wait for room on one link; each is a host's own flush, so a handful is normal. */
export const writableWaitersMax = 1_024;
/** Threads of one fabric. Rings grow with the square: 64 threads of 1 MiB rings are 5 GiB of address space. */
export const fabricThreadsMax = 64;
/** 'node:partition:epoch': a node name takes 32, a partition 5, an epoch 11. */
export const actorIdBytesMax = 64;
/** An operation id names one request; a UUID takes 36. It is stored beside the value, so it stays small. */
export const opIdBytesMax = 64;
/** Actors a context names: 64 ids of 64 bytes and 100 excepted dots stay below contextBytesMax. */
export const contextEntriesMax = 64;
/** Actors a clock of a store with one replica keeps; the oldest epochs without a value go first (protocols.md 2.6). */
export const actorsPerKeyMax = 50;
/** The largest count of writes one actor may have made to one key; a context that says more is forged. */
export const counterMax: number = 2 ** 48;
/** A record with all its siblings: half of frameBytesMax, so that any record fits into one answer. */
export const recordBytesMax: number = 8 << 20;
/** How far ahead of us a stamp from outside may be. NTP keeps honest clocks within a tenth of this. */
export const clockAheadMsMax = 500;
/** The longest time to live, a hundred years: an expiry then still fits into its 48 bits for the next 8,800 years. */
export const ttlMsMax: number = 100 * 366 * 86_400_000;
/** Operation ids a vnode remembers. A retry comes within seconds; 64 vnodes remember about 10 MB in all. */
export const opMemoMax = 1_024;
/** Replicas of one key: their states fit the bits of one number, and more than 7 is a mistake rather than a wish. */
export const replicasMax = 16;
/** Records and bytes one page of a scan carries, and records it looks at: about 2 ms of a vnode's thread. */
export const scanPageRecordsMax = 256;
export const scanPageBytesMax: number = 256 << 10;
export const scanPageVisitsMax = 1_024;
/** Keys a scan hands out before the event loop has a turn: 64 partitions have 16,384 at hand, which would be half a second without one. */
export const scanTurnKeys = 64;
/** A piece of a packed unit on its way to another host: small enough to share a link fairly, large enough to be rare. */
export const relocatePieceBytes: number = 64 << 10;
/** Pieces sent and not yet acknowledged. 1 MiB in flight fills any link we have and bounds what both ends buffer. */
export const relocatePiecesInFlight = 16;
/** Pieces one pack may announce: 256 MiB. Only the volatile part is packed; more than this is a leak, not an actor. */
export const relocatePiecesMax = 4_096;
/** Time a target has to say whether it has room. It only counts, so a second is a stalled thread. */
export const relocateReserveMs = 1_000;
/** Time a frozen unit may take to drain its output gate and be packed. */
export const relocatePackMs = 5_000;
/** Time between two pieces, or a piece and its acknowledgement, before the other side counts as stuck. */
export const relocateSilenceMs = 5_000;
/** Time a target may take to decode and restore what it was sent. */
export const relocateInstallMs = 5_000;
/** The directory's watchdog over a whole move. Above the sum of the steps (21 s), so that a step's own reason comes first. */
export const relocateMoveMs = 30_000;
/** A switched unit whose old owner still forwards after this long is reported: some host does not read its links. */
export const relocateSettleWarnMs = 10_000;
/** Messages a source keeps between pack and verdict. 40 ms (a long pause) at 200,000 messages a second. */
export const relocateLateMax = 8_192;
/** Direct messages a new owner holds until the markers came, for one unit. As many as the source kept. */
export const relocateHeldMax = 8_192;
/**
 * Messages over the bound of its mailbox with which an actor still moves: each move may add relocateLateMax + relocateHeldMax. With more it moves
 * when it has worked some off.
 */
export const relocateOverMax = 16_384;
/** Messages of one unit that came before the news they rest on. One hop's worth of traffic; as many as may be held. */
export const relocateParkedMax = 8_192;
/** Messages of one host that wait to learn where their unit lives, over all units. */
export const relocateResolvingMax = 65_536;
/** Routes one host remembers. About 100 bytes each; the oldest goes, the directory knows it still. */
export const routesMax: number = 1 << 20;
/** Senders one dedupe window remembers. Far above the hosts of any cluster; one that was forgotten must come back anew. */
export const dedupeSendersMax = 65_536;
/** Partitions of a ring: the top 16 bits of a hash. Past it the ring table outgrows what gossip can carry. */
export const partitionsMax = 65_536;
/** Empty mailboxes a thread keeps for reuse. More than ever wake between two idle moments would only be memory. */
export const mailboxesPooledMax = 1_024;
/** Room in those mailboxes altogether, in messages (32 bytes each: 4 MiB); the many large ones a burst leaves are dropped. */
export const mailboxRoomPooledMax: number = 1 << 17;
/** Restarts a supervisor may be asked to count; each is a number kept in memory while the actor is failing. */
export const restartsMax = 1_000;
/** Longest window or back-off of a supervisor. A longer one is a stop that nobody notices. */
export const superviseMsMax = 86_400_000;

// Storage.

/** Operations one transaction takes, unless a single group has more. 1,000 cost about 3 ms of JavaScript and 40 ms of disk. */
export const batchRecordsMax = 1_024;
/** Bytes one transaction takes, unless a single group has more. An eighth of what may wait: others get their turn. */
export const batchBytesMax: number = 8 << 20;
/** A commit, or a write or sync of the log, that takes longer than this will not come back. Slow disks stall for seconds; 30 are a dead one. */
export const commitStallMs = 30_000;
/** ... looked at so often: what the process itself was stopped for counts as one such step. */
export const commitLookMs = 1_000;
/** A log whose disk has not answered for so long is told of. Ten times the worst sync of a disk that only has much to do. */
export const stallTellMs = 2_000;
/** How often each thread looks whether the disk answers. An eighth of stallTellMs. */
export const stallLookMs = 250;
/** A thread waits itself for syncs that take no longer than this on average: two wake-ups of another one take as long. */
export const syncHereMs = 0.25;
/** When they have turned out slower, so long for none of them; doubled each time, up to a minute. */
export const syncHereRestMs = 1_000;
export const syncHereRestMsMax = 60_000;
/** After so many quick ones in a row a slow one is an accident again. */
export const syncsHereTrusted = 1_000;
/** An exported chunk, unless a single record is larger. As relocatePieceBytes: small enough to share a link fairly. */
export const chunkBytesMax: number = 64 << 10;
/** Records removed at a time from what a dropped shard left behind. A quarter of a batch: it is in no hurry. */
export const purgeRecordsMax = 256;
/** Read snapshots all threads of a process may hold open in one environment: a tick's own, and scans and exports. */
export const readersMax = 512;
/** Threads assumed to commit between one look at the free space and the next; each may use that part of the margin. */
export const diskSharersMax = 8;
/** A segment of the log as the engine uses it: half of what a log could have, because each lies in memory as well. */
export const segmentBytesDefault: number = 32 << 20;
/** Segments of one log that may hold what no run has yet: one being written, one being flushed, two for a flush that comes late. */
export const slotsPerLog = 4;
/** Logs that are given slots of their own; the threads of larger machines share them. */
export const logsPerNodeMax = 8;
/** Threads that may walk through segments at once; as fabricThreadsMax. */
export const pinsMax = 64;
/** Shards whose fences all threads share. 64 partitions of 1,000 stores; 16 bytes each. */
export const fencesMax = 65_536;
/** How long a write waits for a segment to be flushed before it is told that the disk is behind; asks give up at 5 s. */
export const slotWaitMs = 4_000;
export const slotWaitStepMs = 50;
/** How long the upkeep rests when nobody tells it anything: it looks for slots that are read no more. */
export const upkeepRestMs = 1_000;
/** After a flush or a merge that failed. A full disk is noticed by trying. */
export const upkeepRetryMs = 500;
/** Records of an import in one group of the log, or one transaction. */
export const importRecordsMax = 256;
/** Subscribers of one topic on one thread: publishing is a message to each, 65,536 of them some 20 ms. */
export const subscribersPerTopicMax = 65_536;
/** Topics one actor may subscribe to; its subscriptions travel with it when it moves. */
export const topicsPerSubscriberMax = 1_024;
/** Topics one thread knows. Far below the 2^24 entries where a Map ends. */
export const topicsMax: number = 1 << 20;
/** Largest cap of awake actors on one thread: a Map ends at 2^24, and at 200 bytes each this is 3 GB. */
export const residentsCapMax: number = 1 << 24;
/** Actors a link names by number in each direction. A link talks to fewer at a time; more only means naming them again. */
export const internedTargetsMax = 16_384;
/** Bytes of the sender's name in a frame; its length is a byte. */
export const senderBytesMax = 255;
/** A W3C traceparent is 55 characters. */
export const traceCharsMax = 55;
/** Characters of an error's message that cross a link; the rest is for the log of the thread that threw. */
export const errorCharsMax = 4_096;
/** Threads for jobs. One leaves a core of two for the hosts; more cores than that are better spent on hosts. */
export const jobsThreadsMax = 1;
/** Jobs that may wait for a thread. They are whole merges and rebuilds: this many is minutes of work. */
export const jobsQueuedMax = 1_024;
/**
 * A key as a storage engine sees it: a user's key (keyBytesMax) behind what its owner puts before and after it, the longest
 * being a reminder's: type, actor key and name. LMDB takes 1,978 bytes, 4 of them are the shard's.
 */
export const recordKeyBytesMax = 1_900;
/** Answers an actor keeps for operations that carry an opId. A retry comes within seconds; this is many seconds of them. */
export const answersMax = 256;
/** An answer larger than this is not kept: its retry runs again. */
export const answerBytesMax = 4_096;
/** The longest deadline or timer, a hundred years. A longer one is a unit mistaken, and the wheel counts in safe integers. */
export const timerMsMax: number = 100 * 366 * 86_400_000;
/**
 * A log segment, and so a memtable's worth of records: at 100,000 records of 1 KiB a second one lasts 0.6 s, and its run is
 * written in 0.3. Half of it makes twice the runs to merge; twice as much doubles what a restart has to read.
 */
export const logSegmentBytes: number = 64 << 20;
/** Of the active segment no more than this waits to be synced, also when nobody asks for 'flushed': its seal waits for the rest. */
export const logAheadBytes: number = 4 << 20;
/** Files one log keeps ready to become segments: one for the next roll, one for a flush that comes late. */
export const logSparesMax = 2;
/** Zeros written to a new segment file between two syncs: some 10 ms of the disk that the log's own syncs may wait for. */
export const logFillBytes: number = 4 << 20;
/** A record in a run. lmdb-js hands out 16 MiB and more as a view of the map itself, which is gone when the file is closed. */
export const runRecordBytesMax: number = (16 << 20) - 4_096;
/** Bytes of entries that are put into a new run in one transaction: 4 ms of work, and what is copied twice fits the cache. */
export const runBatchBytesMax: number = 4 << 20;
/** How often the filter of a run says perhaps to a key it does not hold: 10 bits a key, and 1 read of 100 in vain. */
export const runFilterRate = 0.01;
/** Runs of one size that become one. A record is rewritten log4 of the data times; with 8 half as often, and reads ask twice as many. */
export const runFanIn = 4;
/** Runs there may be before merging takes whatever is smallest. Seven full tiers of three, 1 TB in all, are 21. */
export const runsMax = 64;
/** Runs up to this size are the lowest tier: a flushed segment (64 MiB) and whatever is smaller. */
export const runTierBytesMin: number = 96 << 20;
/** When this part of all entries is deletions and records of dropped shards, everything is merged into one run. */
export const runGarbageShare = 0.25;

/** Bytes of a file that are summed, and of a segment that are written, between two looks at the event loop: half a millisecond. */
export const backupPieceBytes: number = 1 << 20;
/** Records, and their bytes, in one transaction of a copied LMDB environment: about 10 ms of JavaScript. */
export const backupBatchRecordsMax = 2_048;
export const backupBatchBytesMax: number = 4 << 20;
/** Looks at the order of writes for a moment in which nobody takes a number. A look takes microseconds, two writes are farther apart. */
export const cutTriesMax = 1_000;
/**
 * Chunks of epochs that a restored or adopted directory leaves out: what whoever went on from the same state may have used
 * meanwhile. A start reserves 65,536, and so do 4 million activations (runtime/epochs.ts): this is 64 of them, and one more for
 * each 10 s since the backup, which is more than any node can use. 53 bits last for some 600 years of it.
 */
export const restoredChunksMin: number = 1 << 22;
export const restoredChunksPerStep: number = 1 << 16;
export const restoredStepMs = 10_000;

// Doors.

/** Connections the HTTP door holds open. Its users are a probe, a scraper and a person: this is many of each. */
export const httpConnectionsMax = 64;
/** Time a client has to send its request's headers; a shorter one is a client that will never finish. */
export const httpHeadersMs = 5_000;
/** Time a page waits for all threads to describe themselves. A thread that needs longer is what the page should say. */
export const httpDescribeMs = 5_000;
/** Deletes an adapter has under way when it clears a store: a group commit's worth, far below a mailbox. */
export const clearingMax = 64;
/** States of sleeping actors that are not stored, kept in memory on one thread; the oldest are forgotten beyond it. */
export const sleepersMax = 4_000_000;
/** The name of a topic; as long as a key. What varies belongs into the message. */
export const topicCharsMax = 1_024;
/** Asks that may wait for room on one link: as many as the ring before them holds. The next one is OVERLOADED at once. */
export const linkBacklogMax = 16_384;
/** An idle turn of a poller looks so often for a frame before it lets the event loop turn: some 3 us. */
export const pollLooks = 60;
/** ... where no more than so many came at a time. */
export const pollLoneFrames = 2;
/** Bytes of the messages that wait for one link, and for mailboxes behind it. As what waits for the disk; four of the largest frames. */
export const linkBacklogBytesMax: number = 64 << 20;
/** Two idle turns of the event loop farther apart than this: the poller was put aside. A turn takes 1 to 3 us. */
export const pollGapMs = 0.05;
/** Two such gaps this close together are a busy neighbour, not a garbage collection. */
export const pollGapsWithinMs = 5;
/** Polling windows in a row that end without a frame before polling rests. */
export const pollBarrenMax = 4;
/** How long polling rests: a neighbour costs one bad answer in this time instead of all of them. */
export const pollRestMs = 20;

// The upkeep of the disk.

/** What a file that nobody needs any more becomes shorter by in one go: a disk gives so much back in a few ms. */
export const removalPieceBytes: number = 8 << 20;
/** The rest after each piece: 400 MB a second. */
export const removalRestMs = 20;
/** How often it is looked whether somebody reads such a file still. Threads look for what they do not need as often (sealLookMs). */
export const removalLookMs = 50;
/** A merge looks at its pace after this much work: a rest is then far longer than the call that makes it. */
export const mergeChunkMs = 8;
/** The part of a core a merge takes while somebody writes. */
export const mergeCpuShare = 0.5;
/** The longest a merge that is held sleeps without looking around by itself. It is woken when something changes. */
export const mergeHoldMs = 1_000;
/** How often the upkeep looks whether a merge that goes on is in somebody's way. A tenth of a flush. */
export const paceLookMs = 50;
/** Groups committed between two such looks above which the writers count as busy: 320 a second. */
export const busyGroupsPerLook = 16;
/** The longest wait between two tries of what has failed. Doubling from upkeepRetryMs, a merge that cannot succeed is tried so often. */
export const upkeepRetryMsMax = 8_000;
/** How often a thread looks whether the upkeep wants its segment. Nobody waits for it but who has asked for a flush of everything. */
export const sealLookMs = 100;
/**
 * How old the oldest record of a segment may become before it is handed over, full or not: what a restart has to read ends here, and
 * what merges may forget. A thread that writes little makes six small runs an hour.
 */
export const segmentAgeMs = 600_000;
/** How long such a flush waits for the threads to hand over their segments. A thread that needs longer is stuck in a turn. */
export const sealWaitMs = 5_000;
/**
 * Threads for flushes, and for merges, beside those for jobs of the user's (jobsThreadsMax). Writers wait for a flush, so it must
 * not wait behind anything; a merge that gives way holds its thread and no core.
 */
export const upkeepThreadsMax = 1;
/** How long a deleted or expired record is kept. A clock that is set right by less than this makes nothing disappear too early. */
export const tombstoneGraceMsDefault = 3_600_000;
/** The longest such time, ten years. */
export const tombstoneGraceMsMax: number = 10 * 366 * 86_400_000;
/** Actors of its own that a vnode goes on using for the keys that name them. Past it a key gets one actor more, 20 bytes. */
export const actorsOwnMax = 256;
/** How long the door of the compactor waits for everything to be merged. A terabyte takes that long. */
export const compactorRunMs: number = 6 * 3_600_000;
/** The smallest budget of merges. Less would never catch up with anybody who writes. */
export const mergeBytesPerSecondMin: number = 1 << 20;
/** Vnodes asked at once before a merge that purges. As many as a small node has; they answer in microseconds. */
export const purgeAsksMax = 64;

// Slots that change threads.

/** Actors of a slot have so long to come to rest: a tenth of the time people notice. A turn that takes longer is not waited for. */
export const shiftFreezeMs = 100;
/** So long a moment is waited for at which all are at rest by themselves; then no turn of theirs begins any more. */
export const shiftCalmMs = 20;
/** Each step of a thread, its event loop included. Above shiftFreezeMs, so that who is asked gives up first. */
export const shiftStepMs = 1_000;
/** Awake actors that one slot takes along, and their bytes, packed: some 50 ms of packing, and one message on a link. */
export const shiftActorsMax = 8_192;
export const shiftActorsBytesMax: number = 4 << 20;
/** Actors asleep in the memory of a thread (sleepersMax) are gone through for those of a slot while it stands still: 80 ms. */
export const shiftSleepersMax = 262_144;
/** How often loads are looked at. Moves cost senders a few ms each; a load that lasts shorter than a few looks is not worth one. */
export const rebalanceEveryMs = 2_000;
/** Slots moved in a minute, at most: a table of 64 is turned over in five. */
export const rebalanceMovesPerMinute = 12;
/** A slot that has moved stays so long, and one that could not be moved is left alone so long, doubled each time up to the second. */
export const rebalanceRestMs = 30_000;
export const rebalanceRestMsMax: number = 16 * rebalanceRestMs;
/** After so long 1/e of what was measured still counts. */
export const rebalanceMemoryMs = 10_000;
/** What is seen of the loads before the first move: two looks. */
export const rebalanceSeenMsMin = 3_000;
/** A thread below this part of a core is not helped: nobody waits there. */
export const rebalanceBusyMin = 0.5;
/** Part of a core that a move has to win. Less is noise. */
export const rebalanceGainMin = 0.05;
/** Moves that the report remembers. */
export const rebalanceReportMax = 64;

export * from './limits-cluster.ts';
