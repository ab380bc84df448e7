import { adam } from './adam.js';
import type { Optimizer } from './optimizer.js';

export type { Optimizer };

/** The update rules by name, the default first. The option `optimizer` appears when there are two. */
export const optimizers = { adam } as const satisfies Readonly<Record<string, Optimizer>>;

export type OptimizerName = keyof typeof optimizers;
export const optimizerNames = Object.keys(optimizers) as [OptimizerName, ...OptimizerName[]];

/** A rule by name, for code that is the same for all rules. */
export function optimizerOf(name: OptimizerName): Optimizer {
  return optimizers[name];
}
