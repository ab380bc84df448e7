import type { ModelConfig } from '../config.js';
import { canonical, type Trial } from './trials.js';

/** Trials of a group, at most, unless that is said. Of more, sharing saves little, and workers have fewer groups to take. */
const usualGroup = 8;

/** Options that say how a trial is optimised, not what its model is to be like. */
const optimising: ReadonlySet<string> = new Set([
  'lr',
  'lr_warmup',
  'lr_decay',
  'lr_decay_steps',
  'optimizer',
  'adam_betas',
  'adam_eps',
  'clip_norm',
  'decoder_norm',
  'sparsity_warmup',
  'k_decay',
  'encoder_init',
  'pre_bias_init',
  'revive',
  'resample_every',
  'dead_after',
]);

/**
 * Divides trials into groups that train side by side: such as take the same batches, at most so many together. Rivals stay together as far
 * as they fit, and come one after another.
 * @param processes that train them: there are as many groups at least, where there are so many trials.
 * @param size of a group, at most.
 */
export function groupsOf<T extends Trial>(trials: readonly T[], processes = 1, size = usualGroup): T[][] {
  // As long as each other, so that no process waits for another at the end.
  const rounds = Math.ceil(trials.length / (size * processes));
  const most = Math.ceil(trials.length / (rounds * processes));
  const groups: T[][] = [];
  for (const sharing of classes(trials, ({ training: { batch_size, seed, shuffle } }) => [
    batch_size,
    seed,
    shuffle,
  ])) {
    let group: T[] = [];
    const close = () => {
      if (group.length > 0) groups.push(group);
      group = [];
    };
    for (const rivals of classes(sharing, contestOf)) {
      if (group.length + rivals.length > most) close();
      for (const trial of rivals) {
        group.push(trial);
        if (group.length === most) close();
      }
    }
    close();
  }
  return groups;
}

/** Trials of which the better ones go on: such as differ in nothing but how they are optimised. */
export function contestOf({ model, training }: Trial): string {
  const others = Object.entries(training).filter(([name]) => !optimising.has(name));
  return canonical({ model, ...Object.fromEntries(others) });
}

/** Divides what is the same by a key, in the order in which each key comes first. */
export function classes<T>(all: readonly T[], keyOf: (one: T) => unknown): T[][] {
  const found = new Map<string, T[]>();
  for (const one of all) {
    const key = JSON.stringify(keyOf(one));
    const others = found.get(key);
    if (others) others.push(one);
    else found.set(key, [one]);
  }
  return [...found.values()];
}

/**
 * Bytes that a trial's training takes on the device, besides the rows: weights with Adam's two moments, and a batch's codes and rows with
 * what goes back through them.
 */
export function trialBytes({ model, training }: Trial): number {
  const parameters = parameterCount(model);
  const { in_dims, h_dims } = model;
  const stored = training.clip_norm !== undefined || model.tied ? 4 : 0;
  const widths = h_dims.reduce((sum, width, i) => sum + (i < h_dims.length - 1 ? 4 : 2) * width, 4 * in_dims);
  return (12 + stored) * parameters + 4 * training.batch_size * widths;
}

/** Weights and biases. */
export function parameterCount({ in_dims, h_dims, tied }: ModelConfig): number {
  const sizes = [in_dims, ...h_dims];
  return h_dims.reduce((sum, width, i) => {
    const weights = sizes[i] * width;
    return sum + (tied ? 1 : 2) * weights + width + sizes[i];
  }, 0);
}
