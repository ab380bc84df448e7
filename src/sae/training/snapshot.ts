import { z } from 'zod';
import type { ModelConfig, TrainConfig } from '../config.js';
import { DataError } from '../errors.js';
import type { Parameters } from '../model/parameter.js';
import type { SparsityName } from '../sparsity/index.js';
import type { StepState } from '../step/train-step.js';
import type { Place } from './course.js';
import type { PassSums } from './metrics.js';

/** A copy on the host of all that training needs to go on, bit for bit on an adapter of the same kind. */
export interface Snapshot<S extends SparsityName = 'kl'> extends Place {
  readonly model: ModelConfig;
  readonly parameters: Parameters;
  readonly training: TrainConfig<S>;
  /** Rows of the data, and of a window. */
  readonly rows: number;
  readonly window_rows: number;
  /** The sums over the epoch's steps so far. */
  readonly sums: PassSums;
  /** Seconds spent on training. */
  readonly seconds: number;
  readonly step: StepState;
}

const count = z.number().int().min(0);
const spread = z.object({
  rows: count,
  squares: z.number().min(0),
  mean: z.instanceof(Float64Array),
  windows: count,
});
/** What a snapshot is made of; its parameters and the bytes of its step are looked at where they are used. */
const shape = z.object({
  model: z.looseObject({}),
  training: z.looseObject({}),
  rows: count,
  window_rows: count.min(1),
  done: count,
  order: z.object({
    order: z.instanceof(Uint32Array),
    chunks: z.instanceof(Uint32Array),
    begun: count,
    random: z.array(z.int32()).length(4),
  }),
  sums: z.object({
    steps: count,
    rows: count,
    loss: z.number(),
    mse: z.number(),
    squared_error: z.number(),
    terms: z.array(z.number()).length(4),
    active: z.number(),
  }),
  seconds: z.number().min(0),
  step: z.object({
    moments: z.instanceof(Map),
    pass: z.instanceof(Map),
    kept: z.instanceof(Map),
    spread,
  }),
});

/** @throws DataError if it is not what a trainer gave. */
export function checkSnapshot({ ...snapshot }: Snapshot<SparsityName>): void {
  const wrong = shape.safeParse(snapshot).error?.issues[0].path;
  if (wrong) {
    throw new DataError(
      `The snapshot has no valid ${wrong.join('.')}. Resume it unchanged, as Trainer.snapshot gave it.`,
    );
  }
}
