// Bounds of what happens between processes; the rest, and all under one name, in limits.ts.

// Membership.

/** Members one node keeps: past it a newcomer is refused. Ten times the largest cluster the protocol is measured at. */
export const membersMax = 10_000;
/** Digests in one gossip message, 25 bytes each: up to so many members each exchange covers all, beyond it they take turns. */
export const gossipDigestsMax = 64;
/** Whole records in one gossip message: 200 bytes each, and the ring's digest. A joiner of a large cluster needs several. */
export const gossipStatesMax = 64;
/** Characters of what the application gossips with a member; larger things are fetched by their hash. */
export const gossipBlobCharsMax = 4_096;
/** Bytes of one gossip message: gossipStatesMax records whose every field is as long as it may be, at 3 bytes a character. */
export const gossipBytesMax: number = 1 << 20;
/** Peers told at once of a change; they tell as many. */
export const gossipFanOut = 3;
/** Times in one round that news is passed on at once; later news of that round waits for the next. */
export const gossipBurstsPerRoundMax = 4;
/** Peers that a node which stops or leaves tells itself. */
export const goodbyesMax = 16;
/** Pings in one round: echoes of newcomers and probes of suspects. */
export const probesPerRoundMax = 8;
/** Members that one node of a large cluster asks each round because they have not answered: 3 messages each of those 8. */
export const watchedMax = 2;
/** Reports kept against one member; two are enough for a verdict. */
export const suspicionsPerMemberMax = 4;
/** Intervals of one phi window, as Cassandra keeps. 8 KB a member. */
export const phiSamplesMax = 1_000;
/** Addresses a node may be given to join through. */
export const seedsMax = 64;
/** Name conflicts one node tells of; each is told once, and a name that is fought over for long makes many. */
export const conflictsMax = 1_024;

// Links between processes.

/** Bytes on one link that are not acknowledged, and that a receiver holds for a reader that has paused: a few ms of loopback. */
export const peerLinkBytesDefault: number = 4 << 20;
/** Largest frame that is encoded in place; larger ones go in pieces of this size. */
export const peerWindowBytesMax: number = 64 << 10;
/** A packet this full is sent at once instead of at the end of the turn: the other side begins while we go on. */
export const packetBytes: number = 64 << 10;
/** The longest body of a packet, checked before anything is allocated: one that was almost full, and one more window. */
export const packetBodyBytesMax: number = packetBytes + peerWindowBytesMax + 64;
/** Packets are cut from pieces of memory of this size, at most a quarter of which is wasted at the end. */
export const peerSlabBytes: number = 256 << 10;
/** Body of a packet of the greeting: two names, an address and a proof are 500 bytes at most, and a stranger gets no more room. */
export const greetingBytesMax = 1_024;
/** From the opening of a connection to its last proof. Four messages and their two hashes take a millisecond and the way. */
export const greetingMs = 5_000;
/** Name of a cluster in UTF-8 bytes, and what is dialled ('host:port'); a DNS name takes 253. Each length is a byte. */
export const clusterNameBytesMax = 64;
export const addressBytesMax = 255;
/** A shared secret in UTF-8 bytes. Whoever pretends to be a peer gets a proof to try words against, so it must be no word. */
export const secretBytesMin = 16;
/** A link with nothing to say says so this often. */
export const beatMs = 1_000;
/** Bytes that do not come for so long, or a packet that does not end: the connection is given up. Five beats. */
export const silenceMs = 5_000;
/** How long a dial may take until it is connected, TLS included. */
export const dialMs = 5_000;
/** The wait before a dial is chance times this, doubled from the first to the second while they fail. */
export const dialWaitMsMin = 100;
export const dialWaitMsMax = 10_000;
/**
 * An address of `join` where nobody answers for so long is told of, and counts no more when all others have refused this node. A refusal as a
 * namesake holds when it lasts so long: three times what it takes to find out that the life before is silent.
 */
export const joinPatienceMs = 15_000;
/** How often that is told again, while the node waits: a line a minute and address, seedsMax of them at most. */
export const joinToldEveryMs = 60_000;
/** Connections that have proved nothing yet, in all and from one address. They end after greetingMs, so 12 a second get through. */
export const unprovenMax = 64;
export const unprovenPerAddressMax = 16;
/** Wrong proofs of one address: so many at once, then one a second. A secret of 16 random bytes does not notice. */
export const failedProofsMax = 20;
export const failedProofsPerSecond = 1;
/** Addresses whose failures are remembered; the oldest is forgotten. */
export const failedProofAddressesMax = 1_024;
/** How long a session outlives its connection. Far above any ask's deadline and any verdict of the failure detector. */
export const sessionKeepMs = 60_000;
/** What a socket takes before it says that it is full: two of the longest packets and more, so that it is not idle while we fill. */
export const socketBufferBytes: number = 256 << 10;
/** How long a node that stops waits for acknowledgements; and a closed connection for the other side's goodbye. */
export const stopFlushMs = 1_000;
export const stopLookMs = 10;
/** An acknowledgement waits so long for something to go with, unless a quarter of the window is due: most answers take less. */
export const ackDelayMs = 5;
/** Partitions in a row that shall lie on different members: a copy more than the usual three, so that a fallback is a stranger. */
export const claimSpacingDefault = 4;
/** Swaps one claim looks at before it takes what it has. About 0.5 us each: a second, and only where nothing helps. */
export const claimSwapsMax = 2_000_000;
/** Partitions under way at once in the whole cluster: a change of owners is an hour in the background, not a storm. */
export const transfersMax = 8;
/** Partitions one node sends, and receives, at once. Two keep a disk and a link busy; more only make each slower. */
export const transfersOutMax = 2;
export const transfersInMax = 2;
/** Members unchanged for so long found a ring together. Two rounds of gossip: news of a third has come by then. */
export const foundAfterMs = 2_000;
/** How long a founder waits for a vote: one write to a disk, and the way. Twice as long after each time that was too short, up to a minute. */
export const foundAskMs = 5_000;
export const foundAskMsMax = 60_000;
/** Votes for the first ring that wait for the disk of one node. All but the latest are overtaken. */
export const votesWaitingMax = 64;
/** A node that has joined waits so long for links to all who own something before it is ready, and looks so often. */
export const ownersPatienceMs = 5_000;
export const ownersLookMs = 20;
/** A ring that could not be stored is stored again after so long; a full disk is not emptied faster. */
export const ringSaveAgainMs = 1_000;
/** How long a node waits for the ring of another, and how soon it asks that one again for the same. Half a round of gossip more or less is no matter. */
export const ringFetchMs = 5_000;
export const ringFetchAgainMs = 1_000;
/** How long a node waits for the claimant's word on a plan: one write to a disk, and the way. */
export const ringCommitMs = 5_000;
/** How long a node waits for another's word on the partitions that it gives away; a person looks at it. */
export const handoffStatusMs = 2_000;
/** A node that leaves looks so often whether it is done, or its wish has to be said again. */
export const leaveLookMs = 250;
/** What still passes through it then, when it owns nothing any more, it waits for at most so long: several times an ask's usual deadline. */
export const leavePassingMs = 30_000;
/** An actor that moves to another node has so long to bring its turn to an end, and each step of the move takes at most so long. */
export const guestFreezeMs = 5_000;
export const guestStepMs = 10_000;
/** How long it waits for other threads to say what has become of the reminders that they had sent it. */
export const remindersBackMs = 500;
/** Whoever asks the home for a move has no answer by then: two steps, and what comes before them. A lost session is told later. */
export const guestMoveMs: number = 3 * guestStepMs;
/** So often it is looked meanwhile whether a node that is needed for it is down. */
export const guestLookMs = 250;
/** Messages held for one actor while it moves between nodes; the next is OVERLOADED. As between threads. */
export const guestHeldMax = 8_192;
/** The most an actor may take along to another node, packed: it travels as one frame. */
export const guestBytesMax: number = 8 << 20;
/** A node asks again so often for the verdict on an actor that is on the move, while its home is still at it. */
export const verdictEveryMs = 500;
/** Actors of one node's partitions on the move between nodes at once: each may hold guestBytesMax and guestHeldMax messages. */
export const guestMovesMax = 64;

// Partitions that change hands.

/** Messages one thread keeps back for one partition while it changes hands; the next is OVERLOADED. 100 ms of 300,000 a second. */
export const handoffHeldMax = 32_768;
/** Bytes of records in one step of a copy, and records looked at: a few ms of a thread, and of a link. A record may lie across. */
export const handoffPageBytes: number = 256 << 10;
export const handoffPageRecords = 512;
/** Keys written while a partition is copied that are remembered; with more the copy begins anew. 100 bytes each. */
export const handoffDirtyMax = 262_144;
/** It is frozen when so few written keys are left to send: a few ms. Or when rounds take no less time any more, of these so many. */
export const handoffTailKeys = 64;
export const handoffRoundsMin = 3;
export const handoffRoundsMax = 16;
/** Actors of a partition have at most so long to come to rest; senders wait meanwhile. A first try gives up earlier (retries.ts). */
export const handoffFreezeMs = 5_000;
/** Each step that another node or thread takes. */
export const handoffStepMs = 5_000;
/** Awake actors that are looked at in one go for those of a partition: a millisecond. */
export const handoffSliceKeys = 2_048;
/** The most that the awake actors of one partition take along, packed: they are in the memory of both nodes. */
export const handoffActorsBytesMax: number = 64 << 20;
/** Pages of a copy on their way at once. */
export const handoffPagesAhead = 2;
/** A transfer that could not be made is tried again after so long, doubled up to the second. */
export const handoffRetryMsMin = 1_000;
export const handoffRetryMsMax = 30_000;
/** The same where the other node takes in as many as it may. */
export const handoffQueuedMs = 150;
/** What could not be cleared away is tried again after so long: partitions come here again that soon after a disk has room. */
export const leftoversAgainMs = 5_000;
/** Whoever has taken a partition in without hearing whether it is his asks so often. */
export const handoffAskMs = 500;
/** What a node sends straight to the new owner waits at most so long for its last word by the old one: see last-words.ts. */
export const lastWordMs = 10_000;
/** ... and asks for it when it has waited so long. */
export const lastWordAskMs = 500;
/** A node that is not linked may be so in a moment: who watches an actor of it is told so late that it is lost. Looked at again so often. */
export const watchLinkMs = 5_000;
export const watchLookMs = 250;
/** How long last words are remembered, to be said again where a link has broken: as long as a session lives. */
export const lastWordKeepMs = 60_000;
/** ... and of how many turns of a partition. */
export const lastWordsKeptMax = 8;

// Copies of partitions on other nodes.

/** How many nodes may keep the records of a partition: more than half of them must agree to each write. */
export const keptByMax = 7;
/** Rounds of two lives of an owner do not meet: each begins with an epoch of its own, and has so many. */
export const roundsPerEpoch = 1_024;
/** A node speaks for its partitions for so long after a quorum has heard of it; it tells them that it is alive this often. */
export const leaseMs = 5_000;
export const leaseBeatMs = 1_000;
/** An answer to a beat waits so long for a disk. */
export const leaseWriteMs: number = leaseBeatMs / 2;
/** Those who have heard of it wait for so much longer before they agree to another owner: clocks go at different speeds. */
export const leaseMarginMs = 1_000;
/** What was written of a partition waits for a follower that is away or slow; with more its copy is compared page by page when it is back. */
export const followerBytesMax: number = 16 << 20;
/** Parts of shards in one round: more than followerBytesMax and handoffDirtyMax make, in pages. */
export const roundPartsMax = 4_096;
/** Steps of a copy of one partition that wait for a slow disk; an owner has handoffPagesAhead of them under way, and begins again when they are late. */
export const followerStepsMax = 16;
/** A follower that could not be brought up to date is tried again after so long. */
export const followerRetryMs = 1_000;
/** It is looked so often whether a partition has lost its owner, or should be kept by others. */
export const replicasLookMs = 500;
/** Partitions that have fewer copies than asked for are told after so long: a copy of little is made in a second, a link is back in two. */
export const copiesMissingMs = 5_000;
/** Those who may own a partition next ask one after the other, so far apart, so that two seldom ask at once. */
export const campaignWaitMs = 1_000;
/** Whoever has less lets one go first for so long who has more: longer than an ask that is not answered. */
export const campaignYieldMs = 8_000;
