import { ConfigError } from '../errors.js';
import { kAt, type Sizes } from '../sparsity/k.js';

/**
 * The share of the learning rate that a decay leaves where `left` of it remains: 1 at its first step, 0 just after its
 * last.
 */
const decays = {
  none: () => 1,
  linear: (left: number) => left,
  cosine: (left: number) => (1 - Math.cos(Math.PI * left)) / 2,
} as const;

export type LrDecay = keyof typeof decays;
export const lrDecays = Object.keys(decays) as [LrDecay, ...LrDecay[]];

/** The options of the learning rate's schedule. */
interface LrSchedule {
  readonly lr_warmup: number;
  readonly lr_decay: LrDecay;
  /** By default all steps after the warm-up. */
  readonly lr_decay_steps?: number | undefined;
}

/** The settings that may have a schedule, and the options of their schedules. */
export interface Scheduled extends LrSchedule {
  readonly lr: number;
  /** Of kinds of sparsity that have a penalty. */
  readonly sparsity_lambda?: number;
  /** By default the first twentieth of the run. */
  readonly sparsity_warmup?: number | undefined;
  /** Of kinds of sparsity that keep so many latents of a row. */
  readonly k?: number;
  readonly k_decay?: number;
}

/** Steps of a whole run. @param batches steps of an epoch. */
export function runLength(
  { steps, epochs }: { readonly steps?: number | undefined; readonly epochs: number },
  batches: number,
): number {
  return steps ?? epochs * batches;
}

/**
 * What the learning rate is multiplied by at step n, from 0, of a run of T steps, with a warm-up of w steps and a decay
 * over the last D steps (D = T - w by default):
 *
 * - warm-up: (n + 1) / w for n < w, so that the first step moves the weights, too;
 * - linear: (T - n) / D for n >= T - D, 1 before;
 * - cosine: (1 + cos(pi (1 - (T - n) / D))) / 2 for n >= T - D, 1 before.
 *
 * The first step of a decay, n = T - D, still has the full rate, and step T, the first after the run, would have 0; so
 * have all later ones. The warm-up is SAELens's. The linear decay is that of its `lr_decay_steps`, that of
 * dictionary_learning with `decay_start` = T - D and, from the end of the warm-up, that of transformers'
 * `get_linear_schedule_with_warmup`; the cosine from the end of the warm-up is saev's.
 *
 * @param step n. @param steps T.
 */
export function lrFactor(
  step: number,
  steps: number,
  { lr_warmup, lr_decay, lr_decay_steps = steps - lr_warmup }: LrSchedule,
): number {
  const left = Math.min(1, Math.max(0, steps - step) / lr_decay_steps);
  return Math.min(1, (step + 1) / lr_warmup) * decays[lr_decay](left);
}

/**
 * What `sparsity_lambda` is multiplied by at step n, from 0, with a warm-up of w steps: n / w, and 1 from n = w on, as
 * in SAELens and dictionary_learning. The first step has no penalty.
 */
export function sparsityFactor(step: number, sparsity_warmup: number): number {
  return step < sparsity_warmup ? step / sparsity_warmup : 1;
}

/** Steps of the warm-up of the penalty's weight, in a run of so many. */
function sparsityWarmup({ sparsity_lambda, sparsity_warmup }: Scheduled, steps: number): number {
  return sparsity_warmup ?? (sparsity_lambda === undefined ? 0 : Math.floor(steps / 20));
}

function hasLrSchedule({ lr_warmup, lr_decay }: LrSchedule): boolean {
  return lr_warmup > 0 || lr_decay !== 'none';
}

/** What schedules depend on besides the configuration. */
export interface Run {
  /** The length of the whole run. */
  readonly steps: number;
  /** Of the model. */
  readonly sizes: Sizes;
}

/** Those of the settings that have a schedule, as they are at a step of a run. Empty if none has. */
export function scheduledSettings(
  config: Scheduled,
  step: number,
  { steps, sizes }: Run,
): Pick<Partial<Scheduled>, 'lr' | 'sparsity_lambda' | 'k'> {
  const { lr, sparsity_lambda = 0, k = 0, k_decay = 0 } = config;
  const sparsity_warmup = sparsityWarmup(config, steps);
  return {
    ...(hasLrSchedule(config) && { lr: lr * lrFactor(step, steps, config) }),
    ...(sparsity_warmup > 0 && { sparsity_lambda: sparsity_lambda * sparsityFactor(step, sparsity_warmup) }),
    ...(k_decay > 0 && { k: kAt(step, { k, k_decay }, sizes) }),
  };
}

/**
 * The configuration with the settings of a step, from 0, of a run. Without a schedule it is the same object:
 * this is asked for each step.
 */
export function settingsAt<Config extends Scheduled>(config: Config, step: number, run: Run): Config {
  if (!hasLrSchedule(config) && sparsityWarmup(config, run.steps) === 0 && !config.k_decay) {
    return config;
  }
  return { ...config, ...scheduledSettings(config, step, run) };
}

/**
 * @param steps of the run; undefined while the data is not known, which has the rest checked.
 * @throws ConfigError if the schedules do not fit into the run, or contradict each other.
 */
export function checkSchedules(config: Scheduled, steps: number | undefined): void {
  const { lr_warmup, lr_decay, lr_decay_steps, sparsity_warmup = 0, k_decay = 0 } = config;
  if (lr_decay === 'none' && lr_decay_steps !== undefined) {
    throw new ConfigError(
      `lr_decay_steps is ${lr_decay_steps}, and lr_decay is none. Name a decay, ${lrDecays.slice(1).join(' or ')}, or leave it out.`,
    );
  }
  if (steps === undefined) {
    return;
  }
  for (const [name, length] of Object.entries({ lr_warmup, sparsity_warmup, k_decay })) {
    if (length > steps) {
      throw new ConfigError(
        `${name} is ${length} steps, and the run has ${steps}. Make it shorter, or train for longer.`,
      );
    }
  }
  if (lr_decay !== 'none' && lr_warmup + (lr_decay_steps ?? 1) > steps) {
    throw new ConfigError(
      `lr_warmup is ${lr_warmup} steps and lr_decay takes ${lr_decay_steps ?? 'at least 1'}, and the run has ${steps}. ` +
        'Make them shorter, or train for longer.',
    );
  }
}
