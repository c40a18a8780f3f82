// Where actors live, as one thread knows it: by the tables of threads and nodes, unless something has moved them. A router asks once
// a ref and remembers, so none of this is hot.
//
//     child ─▶ the thread in its key      moved between threads ─▶ relocation route      of the ring ─▶ node ─▶ here: thread by the table
//     looked after by the gateway (away) ─▶ thread 0, which knows the node               └ elsewhere: thread 0, which has the links

import type { FarRouter } from './far-router.ts';
import { here, type NodeTable } from './gateway/node-table.ts';
import type { HostedType } from './hosted-type.ts';
import { homeOf, type PartitionTable, threadOfChild } from './placement.ts';

export class FarPlaces {
  private readonly router: FarRouter;
  private nodes: NodeTable | null;
  /** Actors of this node's partitions that are looked after by its gateway: moved to other nodes, back from there, on the way. */
  private readonly away = new Set<string>();
  table: PartitionTable;

  constructor(router: FarRouter, table: PartitionTable, nodes: NodeTable | undefined) {
    this.router = router;
    this.table = table;
    this.nodes = nodes ?? null;
  }

  /** Is anything looked after by the gateway? */
  get anyAway(): boolean {
    return this.away.size !== 0;
  }

  /** Other nodes own other keys from now on. */
  setNodes(nodes: NodeTable): void {
    this.nodes = nodes;
    this.router.version++;
  }

  isAway(unit: string): boolean {
    return this.away.has(unit);
  }

  setAway(unit: string, isAway: boolean): void {
    if (isAway) this.away.add(unit);
    else this.away.delete(unit);
    this.router.version++;
  }

  /** The number of a peer, this thread's own, or inDoubt. */
  where(hosted: HostedType, key: string): number {
    const child = threadOfChild(key);
    if (child >= 0) return child;
    const { gateway, moves } = this.router;
    if (this.anyAway || moves.any) {
      const unit = `${hosted.name}/${key}`;
      if (this.away.has(unit)) return gateway === null ? 0 : gateway.whereIs(unit);
      // Between the threads of this node: that says nothing once its partition is another node's, until it comes back.
      const moved = moves.any && this.isOurs(hosted, key) ? moves.threadOf(unit) : undefined;
      if (moved !== undefined) return moved;
    }
    return this.homeOf(hosted, key);
  }

  /** Is it one that this node places? */
  isOurs(hosted: HostedType, key: string): boolean {
    return this.nodeOf(hosted, key) === here;
  }

  private nodeOf({ spec }: HostedType, key: string): number {
    return this.nodes === null ? here : this.nodes.nodeOf(spec, key);
  }

  /** Where it lives unless something has moved it. */
  homeOf(hosted: HostedType, key: string): number {
    const { gateway, host, threads } = this.router;
    const node = this.nodeOf(hosted, key);
    if (node !== here) return gateway === null ? 0 : gateway.numberOf(node);
    return homeOf(hosted.spec, key, this.table, host.thread, threads);
  }

  /** The same, were its partition not about to change hands. */
  ownsWhenOpen(hosted: HostedType, key: string): boolean {
    return (
      this.where(hosted, key) === this.router.host.thread &&
      !(this.router.moves.any && this.router.moves.inMotion(`${hosted.name}/${key}`))
    );
  }

  /** Do messages to that actor of this thread take a way of their own? */
  takesOwnWay(unit: string): boolean {
    return (
      (this.router.moves.any && this.router.moves.inMotion(unit)) || this.router.gateway?.livesElsewhere(unit) === true
    );
  }
}
