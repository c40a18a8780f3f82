// Every bound of the system in one place, each with its reason. A queue without a name here is a bug.

/** Messages a mailbox holds by default. At 10 us a message a full one is 10 ms of work: late, not lost. */
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
/** Free space below which puts are refused; deletes and reads go on. LMDB needs some to free some. */
export const diskFreeLowWater: number = 64 << 20;
/** Actors resident on one thread before the least valuable are put to sleep. 200 bytes each and their state. */
export const residentsMaxDefault = 1_000_000;
/** Time a moving actor may need to finish the turn it is in. Past it the move is aborted, never forced. */
export const relocateTurnMsDefault = 5_000;
