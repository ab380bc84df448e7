import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Gpu } from '../../src/gpu/gpu.js';
import type { TrainOptions } from '../../src/sae/config.js';
import { Model } from '../../src/sae/model/model.js';
import type { SparsityName } from '../../src/sae/sparsity/index.js';
import { Trainer } from '../../src/sae/training/trainer.js';
import type { ReferenceConfig } from '../reference/autoencoder.js';
import './compare.js';
import { floatRows, modelConfig, plain, toParameters } from './models.js';

/** What a library's own code computed in float64; see the README beside these files. */
export interface Published {
  readonly config: ReferenceConfig & { readonly lr: number };
  readonly params: Record<string, { shape: number[]; data: number[] }>;
  /** Five batches of 16 rows. */
  readonly batches: number[][];
  /** Of the first batch, with the initial parameters. */
  readonly hidden: number[];
  readonly output: number[];
  /** Of the first batch, with the whole weight of the penalty, neither projected nor clipped. */
  readonly grads: Record<string, number[]>;
  readonly losses?: number[];
  readonly params_after?: Readonly<Record<'1' | '5', Record<string, number[]>>>;
  /** Where the library's schedule is not one of ours: of each step. */
  readonly lr?: number[];
  readonly sparsity_scale?: number[];
  /** By how much its loss is larger than ours. */
  readonly scale?: number;
  /** Rows since each latent was active, before the first batch. */
  readonly silent_rows?: number[];
  /** The five steps where no latent is dead before them, and any is after 17 rows: see from_start.py. */
  readonly from_start?: { readonly losses: number[]; readonly params_after: Record<string, number[]> };
  /** Where codes after training are not those of training: `hidden` and `output` of the first batch with the threshold. */
  readonly thresholded?: { readonly hidden: number[]; readonly output: number[] };
}

export function published(name: string): Published {
  return JSON.parse(readFileSync(new URL(`../fixtures/published/${name}.json`, import.meta.url), 'utf8'));
}

/** The options of training in a configuration: one batch a step, in the order of the file. */
function trainOptions(config: Published['config'], own: object): TrainOptions<SparsityName> {
  const { in_dims: _, h_dims: _h, activation: _a, pre_bias: _p, ...training } = config;
  const auxk = config.revive === 'auxk' && { auxk_loss: 'dictionary_learning' };
  const options = { ...plain, ...auxk, ...training, batch_size: 16, epochs: 1, shuffle: false, ...own };
  return options as unknown as TrainOptions<SparsityName>;
}

/** Lends a training of the five batches. */
export async function training(
  gpu: Gpu,
  { config, params, batches, silent_rows }: Published,
  own: object,
  use: (trainer: Trainer<SparsityName>) => Promise<void>,
): Promise<void> {
  const model = await Model.from(gpu, modelConfig(config), toParameters(params));
  const rows = floatRows(batches.flat(), config.in_dims);
  const trainer = await Trainer.create<SparsityName>(model, rows, trainOptions(config, own));
  if (silent_rows) {
    gpu.write(trainer.step.build.buffer('silent_rows'), Uint32Array.from(silent_rows));
  }
  try {
    await use(trainer);
  } finally {
    trainer.close();
    model.close();
  }
}

/** Largest distance over the largest value, without entries whose gradient is nearly 0: the sign of Adam's first step is rounding there. */
export function compare(
  what: string,
  actual: Float32Array,
  expected: number[],
  gradient: number[],
  most: number,
) {
  const largest = Math.max(...gradient.map(Math.abs));
  const counted = (_: number, i: number) => gradient[i] === 0 || Math.abs(gradient[i]) > 1e-6 * largest;
  expect([...actual].filter(counted), what).toBeCloseTensor(expected.filter(counted), most);
}

/** Columns scaled to norm 1. */
export function unit(values: number[], columns: number): number[] {
  const squares = new Float64Array(columns);
  values.forEach((value, i) => {
    squares[i % columns] += value ** 2;
  });
  return values.map((value, i) => value / Math.sqrt(squares[i % columns]));
}
