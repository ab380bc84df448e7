import { shown } from '../../gpu/shown.js';
import { type EngineOption, modelOptions, trainOptions } from '../config.js';
import { ConfigError } from '../errors.js';
import { alternatives } from '../rows/formats/array.js';

/** Numbers between two ends: so many, the ends included, or any of them where trials are drawn. */
export interface Range {
  readonly from: number;
  readonly to: number;
  readonly count?: number;
  readonly scale: 'linear' | 'log';
  /** Whether the option takes whole numbers only. */
  readonly whole: boolean;
}

/** What a sweep tries of an option, and where that is said. */
export type Choices = { readonly path: string } & (
  | { readonly values: readonly unknown[] }
  | { readonly range: Range }
);

/** A grid: every combination of its options' choices. */
export type Grid = ReadonlyMap<string, Choices>;

/** What a sweep tries. */
export interface SweepSettings {
  readonly grids: readonly Grid[];
  /** Each combination with so many seeds, one after another. */
  readonly seeds: number;
  /** So many combinations, drawn, in the place of all. */
  readonly random: number | undefined;
  /** Of trials that differ in how they are optimised alone, one in so many goes on at each stage. */
  readonly halving: number | undefined;
}

const own = ['grids', 'seeds', 'random', 'halving'] as const;
/** The number of values comes from the rows. */
const sweepable: ReadonlyMap<string, EngineOption> = new Map(
  [...modelOptions, ...trainOptions].filter(({ name }) => name !== 'in_dims').map((one) => [one.name, one]),
);

/** Options that a sweep can try several values of. */
export const sweepOptions: readonly EngineOption[] = [...sweepable.values()];

/**
 * Reads what a sweep tries: options of models and training by their names, each with a value, a list of values or a range such as
 * `{ from: 1e-4, to: 1e-2, count: 3, scale: log }`; `grids`, a list of the same, of which each goes with the options beside it; `seeds`,
 * `random` and `halving`.
 * @throws ConfigError with a sentence for every fault, each with its path.
 */
export function parseSweep(given: Readonly<Record<string, unknown>>): SweepSettings {
  const faults: string[] = [];
  const numbers = Object.fromEntries(
    [
      ['seeds', 1],
      ['random', 1],
      ['halving', 2],
    ].map(([name, least]) => [name, wholeOf(given, name as string, least as number, faults)]),
  );
  const shared = gridOf(given, '', own, faults);
  const standard = [{}];
  const { grids = standard } = given;
  const listed = Array.isArray(grids) && grids.length > 0 ? grids : undefined;
  if (!listed) faults.push(`grids must be a list of at least one set of options, and is ${shown(grids)}.`);
  const all = (listed ?? []).map((one, i): Grid => {
    const path = grids === standard ? '' : `grids[${i}].`;
    if (!isObject(one)) {
      faults.push(`grids[${i}] must be options by their names, and is ${shown(one)}.`);
      return shared;
    }
    return new Map([...shared, ...gridOf(one, path, [], faults)]);
  });
  const { seeds, random, halving } = numbers;
  if (random === undefined) {
    for (const grid of all) {
      for (const [name, choices] of grid) {
        if ('range' in choices && choices.range.count === undefined) {
          faults.push(
            `${name} is a range without a count, of which values can be drawn only. Give it a count, or set random.`,
          );
        }
      }
    }
  }
  if (faults.length > 0) throw new ConfigError([...new Set(faults)].join(' '));
  return { grids: all, seeds: seeds ?? 1, random, halving };
}

function wholeOf(
  given: Readonly<Record<string, unknown>>,
  name: string,
  least: number,
  faults: string[],
): number | undefined {
  const value = given[name];
  if (value === undefined) return undefined;
  if (!(Number.isSafeInteger(value) && (value as number) >= least)) {
    faults.push(`${name} must be a whole number of at least ${least}, and is ${shown(value)}.`);
    return undefined;
  }
  return value as number;
}

function gridOf(
  given: Readonly<Record<string, unknown>>,
  path: string,
  others: readonly string[],
  faults: string[],
): Grid {
  const grid = new Map<string, Choices>();
  for (const [name, value] of Object.entries(given)) {
    if (others.includes(name) || value === undefined) continue;
    const option = sweepable.get(name);
    if (!option) {
      faults.push(`There is no option ${path}${shown(name)}. Leave it out, or look at its spelling.`);
      continue;
    }
    const choices = choicesOf(option, value, path + name, faults);
    if (choices) grid.set(name, choices);
  }
  return grid;
}

function choicesOf(
  { kind, name }: EngineOption,
  value: unknown,
  path: string,
  faults: string[],
): Choices | undefined {
  if (isObject(value)) {
    if (kind !== 'number' && kind !== 'whole') {
      faults.push(`${path} is a range, and ${name} is no number. Give it a list.`);
      return undefined;
    }
    return rangeOf(value, kind, path, faults);
  }
  // The value of some options is a list by itself.
  const isList =
    kind === 'list' || kind === 'pair' ? Array.isArray(value) && isArray(value[0]) : isArray(value);
  const values = (isList ? value : [value]) as unknown[];
  if (values.length === 0) {
    faults.push(`${path} is an empty list, of which nothing can be tried. Give it a value, or leave it out.`);
    return undefined;
  }
  return { path, values };
}

function rangeOf(
  given: Readonly<Record<string, unknown>>,
  kind: EngineOption['kind'],
  path: string,
  faults: string[],
): Choices | undefined {
  const { from, to, count, scale = 'linear', ...others } = given;
  const fault = (sentence: string) => {
    faults.push(sentence);
    return undefined;
  };
  const example = `{ from: ${kind === 'whole' ? 16 : 1e-4}, to: ${kind === 'whole' ? 64 : 1e-2}, count: 3, scale: log }`;
  const [other] = Object.keys(others);
  if (other !== undefined) return fault(`There is no ${path}.${other}; expected a range such as ${example}.`);
  if (!isNumber(from) || !isNumber(to) || from >= to) {
    return fault(
      `${path} must be a range from a number to a larger one, such as ${example}, and is from ${shown(from)} to ${shown(to)}.`,
    );
  }
  if (scale !== 'linear' && scale !== 'log') {
    return fault(`${path}.scale must be ${alternatives(['linear', 'log'])}, and is ${shown(scale)}.`);
  }
  if (scale === 'log' && from <= 0)
    return fault(`${path}.from must be above 0 on a scale of log, and is ${from}.`);
  if (count !== undefined && !(Number.isSafeInteger(count) && (count as number) >= 2)) {
    return fault(`${path}.count must be a whole number of at least 2, and is ${shown(count)}.`);
  }
  return {
    path,
    range: {
      from,
      to,
      scale,
      whole: kind === 'whole',
      ...(count !== undefined && { count: count as number }),
    },
  };
}

function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}
