// What travels on a link: one message to an actor, one answer, or one word between hosts. The header is laid out by hand
// and written straight into the link's window; the payload follows in msgpack.
//
//   frame-header.ts   the layout: shape, writing and reading of the header, side by side
//   frame-writer.ts   messages into a link
//   frame-reader.ts   frames out of a link, one call of a handler for each
//   target-table.ts   numbers for the actors a link talks about, the sender's side and the receiver's

export {
  Envelope,
  Frame,
  frameAsk,
  frameBind,
  frameControl,
  frameError,
  frameReply,
  frameTell,
  frameVersion,
} from './frame-header.ts';
export { type FrameHandler, FrameReader } from './frame-reader.ts';
export { FrameWriter } from './frame-writer.ts';
