// What somebody asks a plan for, looked over before it is believed: a newcomer that is misspelt would be a member for good.
//
//     'n4' ──gossip knows it──▶ { name, zone, rack, weight }        { name: 'n5', zone: 'z2' } ──as it is said; it may be yet to come
//
// Invariant: what comes out has the shape the core (ring-plan.ts) expects, and names only what a node may be called.

import { TroupeError } from '../../errors.ts';
import { checkNodeName } from '../ids.ts';
import type { MemberView } from '../membership/gossip-types.ts';
import type { Changes, JoiningMember, PlanOptions } from '../ownership/ring-plan.ts';
import { show } from '../show.ts';

/** A newcomer by its name, if gossip knows it; or with what it will be. */
export type Newcomer = string | JoiningMember;

export interface PlanChanges {
  readonly join?: readonly Newcomer[] | undefined;
  readonly leave?: readonly string[] | undefined;
  readonly weights?: Readonly<Record<string, number>> | undefined;
  /** Old name to the one that takes exactly its place, with its weight. */
  readonly replace?: Readonly<Record<string, Newcomer>> | undefined;
}

/** Throws BAD_OPTION: `details.reason` is 'unknown-member' for a name that nobody has heard of, else 'bad-change'. */
export function wishesOf(changes: PlanChanges, members: readonly MemberView[]): Changes {
  checkFields('changes', changes, ['join', 'leave', 'weights', 'replace']);
  const { join = [], leave = [], weights = {}, replace = {} } = changes;
  const newcomer = (asked: Newcomer): JoiningMember => newcomerOf(asked, members);
  for (const name of Object.keys(checkMap('weights', weights))) checkNodeName(name);
  const places = Object.entries(checkMap('replace', replace)).map(([old, by]): [string, JoiningMember] => {
    const { weight: _, ...place } = newcomer(by as Newcomer);
    return [checkNodeName(old), place];
  });
  return {
    join: checkList('join', join).map(each => newcomer(each as Newcomer)),
    leave: checkList('leave', leave).map(checkNodeName),
    weights,
    replace: Object.fromEntries(places),
  };
}

export function checkPlanOptions(options: PlanOptions): PlanOptions {
  checkFields('options', options, ['spacing', 'spread']);
  const { spacing, spread } = options;
  if (spacing !== undefined && !(Number.isInteger(spacing) && spacing >= 1))
    throw bad('spacing', `is a whole number from 1 on; got ${show(spacing)}`);
  if (spread !== undefined && typeof spread !== 'boolean') throw bad('spread', `is true or false; got ${show(spread)}`);
  return options;
}

/** What plan() has returned, by its looks. */
export function checkPlan(planned: unknown): void {
  const { hash, base, transfers } = (planned ?? {}) as Record<string, unknown>;
  if (typeof hash === 'string' && typeof base === 'string' && Array.isArray(transfers)) return;
  throw new TroupeError('BAD_OPTION', `commit() takes what plan() has returned; got ${show(planned)}`, {
    details: { reason: 'bad-change' },
  });
}

function newcomerOf(asked: Newcomer, members: readonly MemberView[]): JoiningMember {
  const isName = typeof asked === 'string';
  if (!isName) checkFields('a newcomer', asked, ['name', 'weight', 'zone', 'rack']);
  const name = checkNodeName(isName ? asked : asked.name);
  const seen = members.find(member => member.name === name);
  if (isName && seen === undefined)
    throw bad(
      name,
      'is nobody that this node has heard of; start it, or say { name, zone, rack, weight } for one that is yet to come',
      'unknown-member',
    );
  // Of one that is yet to come nothing is known: the core has its defaults, and a place that is taken has its zone and rack.
  const known = seen === undefined ? { name } : { name, weight: seen.weight, zone: seen.zone, rack: seen.rack };
  if (isName) return known;
  for (const field of ['zone', 'rack'] as const)
    if (asked[field] !== undefined && typeof asked[field] !== 'string')
      throw bad(`${field} of ${name}`, `is a text; got ${show(asked[field])}`);
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  return { ...known, ...Object.fromEntries(given) };
}

function checkFields(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw bad(what, `is an object with ${known.join(', ')}; got ${show(given)}`);
  const stranger = Object.keys(given).find(name => !known.includes(name));
  if (stranger !== undefined) throw bad(stranger, `is not known in ${what}; there are ${known.join(', ')}`);
}

function checkList(what: string, given: unknown): readonly unknown[] {
  if (Array.isArray(given)) return given;
  throw bad(what, `is a list of nodes; got ${show(given)}`);
}

function checkMap(what: string, given: unknown): object {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given;
  throw bad(what, `is an object by names of nodes; got ${show(given)}`);
}

function bad(what: string, why: string, reason = 'bad-change'): TroupeError {
  return new TroupeError('BAD_OPTION', `no such plan: ${what} ${why}`, { details: { reason, member: what } });
}
