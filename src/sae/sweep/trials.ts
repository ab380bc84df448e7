import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { hexadecimal, shown } from '../../gpu/shown.js';
import {
  checkStart,
  type ModelConfig,
  modelOptions,
  parseModelConfig,
  parseTrainConfig,
  type TrainConfig,
  type TrainOptions,
  trainedConfig,
  trainOptions,
} from '../config.js';
import { ConfigError } from '../errors.js';
import { randomPair } from '../model/random.js';
import type { SparsityName } from '../sparsity/index.js';
import { checkSchedules, runLength } from '../training/schedule.js';
import type { Choices, Grid, Range, SweepSettings } from './settings.js';

/** A model of a sweep, and how it is trained. */
export interface Trial {
  readonly model: ModelConfig;
  readonly training: TrainConfig<SparsityName>;
}

/** What of the rows a trial's configuration depends on. */
export interface TrialRows {
  readonly in_dims: number;
  /** Steps of an epoch, in batches of so many rows. */
  batchesOf(batch_size: number): number;
}

type Values = Readonly<Record<string, unknown>>;

/** Faults that are told at once, at most. */
const mostFaults = 8;
/** Draws of a trial, on average, until it is another one than those before. */
const mostDraws = 100;
/** That of trials for which none is given, and of the draws. */
const firstSeed = trainOptions.find(({ name }) => name === 'seed')?.standard as number;

/** How many trials a sweep has, before those that are the same are one. */
export function trialCount({ grids, seeds, random }: SweepSettings): number {
  const all = grids.reduce(
    (sum, grid) => sum + [...grid.values()].reduce((product, choices) => product * sizeOf(choices), 1),
    0,
  );
  return seeds * (random ?? all);
}

/**
 * The trials of a sweep, each once, in the order of the grids. An option that belongs to some of a grid's kinds of sparsity or update
 * rules counts for these only.
 * @throws ConfigError with a sentence for every fault, with the path of what is at fault where one value is.
 */
export function trialsOf(settings: SweepSettings, rows: TrialRows): Trial[] {
  const { seeds, random } = settings;
  const faults = new Set<string>();
  const trials = new Map<string, Trial>();
  const add = (grid: Grid, values: Values) => {
    const before = trials.size;
    const { seed = firstSeed } = values;
    for (let i = 0; i < seeds; i++) {
      const own = { ...ownOptions(grid, values), seed: (seed as number) + i };
      try {
        const trial = trialOf(own, rows);
        trials.set(canonical(trial), trial);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        faults.add(`${placeOf(error.message, grid, values)}${error.message}`);
        if (random !== undefined || faults.size === mostFaults) throw new ConfigError([...faults].join(' '));
      }
    }
    return trials.size > before;
  };
  if (random === undefined) {
    for (const grid of settings.grids) for (const values of combinations([...grid])) add(grid, values);
  } else {
    drawn(settings, random, add);
  }
  if (faults.size > 0) throw new ConfigError([...faults].join(' '));
  return [...trials.values()];
}

/** A name that says what determines a trial's results, which end the same wherever it is trained. */
export async function trialId(determining: object): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(canonical(determining)));
  // A letter first: some queues take no names of digits alone.
  return `t${hexadecimal(digest).slice(0, 15)}`;
}

/** JSON in which the same is the same text. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}

/** The names of the options in which trials differ. What kinds of sparsity have by default is no difference of its own. */
export function differing(trials: readonly Trial[]): string[] {
  const all = trials.map(optionsOf);
  const names = [...new Set(all.flatMap((options) => Object.keys(options)))];
  const kinds = [...new Set(all.map(({ sparsity }) => sparsity))].map((kind) =>
    all.filter(({ sparsity }) => sparsity === kind),
  );
  const differ = (some: typeof all, name: string) =>
    new Set(some.map((one) => JSON.stringify(one[name]))).size > 1;
  return names.filter(
    (name) =>
      kinds.some((own) => differ(own, name)) || (['sparsity', 'h_dims'].includes(name) && differ(all, name)),
  );
}

/** Some options of a trial, by their names: those that it has. */
export function namedOptions(trial: Trial, names: readonly string[]): Record<string, unknown> {
  const options = optionsOf(trial);
  return Object.fromEntries(
    names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]),
  );
}

function optionsOf({
  model: { h_dims, activation, tied, pre_bias },
  training: { sparsity, ...others },
}: Trial): Record<string, unknown> {
  return { sparsity, h_dims, activation, tied, pre_bias, ...others };
}

/** @throws ConfigError. */
function trialOf(values: Values, { in_dims, batchesOf }: TrialRows): Trial {
  const pick = (options: readonly { name: string }[]) =>
    Object.fromEntries(Object.entries(values).filter(([name]) => options.some((own) => own.name === name)));
  if (values.steps !== undefined && values.epochs !== undefined) {
    throw new ConfigError('Both epochs and steps say how long to train. Give one of them.');
  }
  const options = pick(trainOptions) as TrainOptions<SparsityName>;
  const { sparsity } = parseTrainConfig<SparsityName>(options);
  const model = parseModelConfig({ ...pick(modelOptions), in_dims }, sparsity);
  const training = parseTrainConfig<SparsityName>(options, model);
  checkStart(model, training);
  checkSchedules(training, runLength(training, batchesOf(training.batch_size)));
  return { model: trainedConfig(model, training), training };
}

/** Without the options of other kinds of sparsity and update rules than the chosen ones, if the grid has those as well. */
function ownOptions(grid: Grid, values: Values): Values {
  const foreign = (name: string) => {
    const owners = trainOptions.find((option) => option.name === name)?.owners;
    const choice = owners?.[0].choice;
    if (!owners || choice === undefined) return false;
    const isOwned = (value: unknown) => owners.some((owner) => owner.value === value);
    const standard = trainOptions.find((option) => option.name === choice)?.standard;
    const tried = grid.get(choice);
    return (
      !isOwned(values[choice] ?? standard) &&
      tried !== undefined &&
      'values' in tried &&
      tried.values.some(isOwned)
    );
  };
  return Object.fromEntries(Object.entries(values).filter(([name]) => !foreign(name)));
}

/** Where the value is that a message begins with, if it does. */
function placeOf(message: string, grid: Grid, values: Values): string {
  const found = [...grid].find(([name]) => message.startsWith(`${name} `));
  if (!found) return '';
  const [name, choices] = found;
  if (!('values' in choices) || choices.values.length === 1) return `${choices.path}: `;
  return `${choices.path}[${choices.values.indexOf(values[name])}]: `;
}

function sizeOf(choices: Choices): number {
  return 'values' in choices ? choices.values.length : valuesOf(choices.range).length;
}

function* combinations([first, ...others]: readonly [string, Choices][]): Generator<Values> {
  if (!first) {
    yield {};
    return;
  }
  const [name, choices] = first;
  const values = 'values' in choices ? choices.values : valuesOf(choices.range);
  for (const value of values) for (const rest of combinations(others)) yield { [name]: value, ...rest };
}

/** Draws so many trials that differ, from all grids alike. */
function drawn({ grids }: SweepSettings, count: number, add: (grid: Grid, values: Values) => boolean): void {
  const { forOrder: random } = randomPair(firstSeed);
  let added = 0;
  for (let draws = 0; added < count; draws++) {
    if (draws === mostDraws * count) {
      throw new ConfigError(
        `random is ${count}, and there are ${added} combinations that differ. Set it to that, or leave it out for all.`,
      );
    }
    const grid = grids[uniformInt(random, 0, grids.length - 1)];
    const values = [...grid].map(([name, choices]) => {
      if ('values' in choices)
        return [name, choices.values[uniformInt(random, 0, choices.values.length - 1)]];
      const { range } = choices;
      const { count } = range;
      const share =
        count === undefined ? uniformFloat32(random) : uniformInt(random, 0, count - 1) / (count - 1);
      return [name, at(range, share)];
    });
    if (add(grid, Object.fromEntries(values))) added += 1;
  }
}

/** The values of a range with a count. */
function valuesOf(range: Range): number[] {
  const { count = 0 } = range;
  return [...new Set(Array.from({ length: count }, (_, i) => at(range, i / (count - 1))))];
}

/** @param share of the way, from 0 to 1. @returns six digits: what stands in a table is what is trained with. */
function at({ from, to, scale, whole }: Range, share: number): number {
  const value = scale === 'log' ? from * (to / from) ** share : from + (to - from) * share;
  return whole ? Math.round(value) : Number(value.toPrecision(6));
}

/** A trial in a few words, such as in a table. */
export function trialInWords(options: Readonly<Record<string, unknown>>): string {
  return Object.entries(options)
    .map(([name, value]) =>
      name === 'sparsity' ? String(value) : `${name} ${typeof value === 'string' ? value : shown(value)}`,
    )
    .join(', ');
}
