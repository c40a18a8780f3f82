// What a refusal means for a person: what does not fit, and what to do about it. For logs and for errors, never for the wire.

import { type Reason, versionMax, versionMin } from './greeting.ts';
import type { Refused, Self } from './handshake.ts';

export interface Refusal {
  /** What the other side says it is called, if it came so far. Proved only where the reason came after the proof. */
  readonly name: string | undefined;
  readonly remote: string;
  readonly reason: Reason;
  readonly by: 'us' | 'them';
  /** What does not fit, and what to do about it. */
  readonly message: string;
}

/** `remote`: the address that was dialled, or where the connection came from. */
export function explainRefusal(refused: Refused, self: Self, remote: string): string {
  const { reason, by, peer, expected, provenNames } = refused;
  const them = peer === undefined ? `whoever is at ${remote}` : `${peer.name} at ${remote}`;
  const opening = by === 'us' ? `refused ${them}` : `refused by ${them}`;
  switch (reason) {
    case 'refused':
      return `${opening}: it says no more to who has not proved the secret; its log has the reason`;
    case 'malformed':
      return `${opening}: that is no greeting of a Troupe node; is the address right?`;
    case 'version': {
      const theirs = peer === undefined ? 'others' : `${peer.versionMin} to ${peer.versionMax}`;
      return `${opening}: this node speaks versions ${versionMin} to ${versionMax} of links, the other ${theirs}; install releases that are closer together`;
    }
    case 'cluster':
      return `${opening}: this node belongs to cluster '${self.cluster}', the other ${peer === undefined ? 'does not' : `to '${peer.cluster}'`}; give both the same 'cluster', or take the address out of 'join'`;
    case 'self':
      return `${opening}: that is this node itself; its own address has no use in 'join'`;
    case 'namesake':
      return `${opening}: another node is called '${by === 'us' ? (peer?.name ?? self.name) : self.name}' too; give one of them another 'name'`;
    case 'name':
      return `${opening}: ${expected ?? self.name} was expected there; has the address been given to another node?`;
    case 'certificate':
      return `${opening}: the certificate is for ${provenNames?.join(', ') || 'no name'}; it must be for the name of the node`;
    case 'secret':
      return `${opening}: the proof of the secret is wrong; give both nodes the same 'secret', or neither`;
    case 'duplicate':
      return `${opening}: there is another connection between the two already`;
    case 'superseded':
      return `${opening}: something newer has been heard of it, a later life or a later session`;
    case 'session':
      return `${opening}: the two ends of the session do not fit together; a new one begins`;
    case 'full':
      return `${opening}: it has as many peers as a node may have`;
    case 'stopping':
      return `${opening}: it is stopping`;
    case 'replicas':
      return `${opening}: this node has 'replicas' ${self.replicas}, the other ${peer?.replicas ?? 'another number'}; all nodes of a cluster have the same, from its first day on`;
    case 'partitions':
      return `${opening}: this node has 'partitions' ${self.partitions}, the other ${peer?.partitions ?? 'another number'}; that is fixed at the birth of a node's data: begin one of them in an empty directory, with the number of the other`;
  }
}

/** Nothing changes until somebody sets something right. */
export function isHopeless(reason: Reason): boolean {
  switch (reason) {
    case 'refused':
    case 'malformed':
    case 'version':
    case 'cluster':
    case 'self':
    case 'namesake':
    case 'name':
    case 'certificate':
    case 'secret':
    case 'full':
    case 'replicas':
    case 'partitions':
      return true;
    case 'duplicate':
    case 'superseded':
    case 'session':
    case 'stopping':
      return false;
  }
}
