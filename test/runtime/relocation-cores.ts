// The cores under test as one value, so that a copy with one line changed (a mutant) can take their place.

import { DedupeWindow } from '../../src/runtime/dedupe-window.ts';
import { Directory } from '../../src/runtime/directory.ts';
import { isForDirectory } from '../../src/runtime/relocation-messages.ts';
import { cutPieces, joinPieces } from '../../src/runtime/relocation-pieces.ts';
import { Route } from '../../src/runtime/relocation-route.ts';

export type { Directory } from '../../src/runtime/directory.ts';
export type { DirectoryReport } from '../../src/runtime/directory-entry.ts';
export type {
  Control,
  DirectoryEffect,
  HostEffect,
  Outcome,
  RouteInput,
} from '../../src/runtime/relocation-messages.ts';
export type { Piece } from '../../src/runtime/relocation-pieces.ts';
export type { Route } from '../../src/runtime/relocation-route.ts';

import type { BetweenHosts, FromDirectory } from '../../src/runtime/relocation-messages.ts';

export type ForHost = FromDirectory | BetweenHosts<number>;

export const cores = { Directory, Route, DedupeWindow: DedupeWindow<number>, isForDirectory, cutPieces, joinPieces };

export type Cores = typeof cores;
