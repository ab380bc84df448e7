import { afterAll, describe, expect, test } from 'vitest';
import { parseTrainConfig, type TrainOptions } from '../../../src/sae/config.js';
import { NonFiniteLossError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import { decodeModel, encodeModel, savedModel } from '../../../src/sae/model/saved-model.js';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import type { SparsityName } from '../../../src/sae/sparsity/index.js';
import { momentsOf } from '../../../src/sae/step/update.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { forward, gradients, tie } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import { ReferenceTrainer } from '../../reference/trainer.js';
import { relativeError } from '../../support/compare.js';
import { familiesOf, gpuOfFile, mainFamily, useFamily } from '../../support/device.js';
import { long } from '../../support/long.js';
import {
  byteRows,
  firstGradient,
  floatRows,
  plain,
  sameParameters,
  toParameters,
  toReference,
} from '../../support/models.js';

const gpu = await gpuOfFile();
let largest = 0;

afterAll(() => console.log(`stored against fused gradients: largest error ${largest}`));

const settings = { sparsity_lambda: 0.2, sparsity_target: 0.05, lr: 1e-3 };
/** So large that nothing is clipped: gradients are stored, and used as they are. */
const unclipped = 1e30;

const floats = (rows: number, in_dims: number) => {
  const { data } = byteRows(rows, in_dims, 5);
  return floatRows(
    Array.from(data, (value) => value / 128 - 0.5),
    in_dims,
  );
};

/** Each class of shape: thin, square, wide, deep, one of everything, and sizes that no tile divides. */
const cases = [
  { rows: 64, in_dims: 784, h_dims: [20], activation: 'relu' },
  { rows: 64, in_dims: 784, h_dims: [64, 32], activation: 'sigmoid' },
  { rows: 33, in_dims: 301, h_dims: [257], activation: 'relu' },
  { rows: 7, in_dims: 30, h_dims: [301, 19, 45], activation: 'relu' },
  { rows: 1, in_dims: 1, h_dims: [1], activation: 'sigmoid' },
] as const;

type Case = (typeof cases)[number];
const [, deep, odd] = cases;

/** Trains a new model for some steps, all rows in one batch; `use` looks at it while it is there. */
async function training<T, S extends SparsityName = 'kl'>(
  { rows, in_dims, h_dims, activation }: Case,
  dataset: Dataset,
  options: TrainOptions<S>,
  steps: number,
  use: (trainer: Trainer<S>) => Promise<T>,
): Promise<T> {
  // A seed with which no latent is only just active: its divergence's slope multiplies rounding a thousandfold.
  const model = await Model.create(gpu, { in_dims, h_dims: [...h_dims], activation }, 2);
  const own = { sparsity_lambda: 0.2, sparsity_target: 0.05 };
  const all = {
    lr: 1e-3,
    ...plain,
    ...(options.sparsity ? {} : own),
    ...options,
    batch_size: rows,
    shuffle: false,
  };
  const trainer = await Trainer.create<S>(model, dataset, all as TrainOptions<S>);
  try {
    for await (const _ of trainer.steps({ count: steps }));
    return await use(trainer);
  } finally {
    trainer.close();
    model.close();
  }
}

// Not wide ones, ten kernels that are slow to compile: parity.test.ts has their gradients.
const families = familiesOf(gpu).filter((family) => family !== 'wide');

describe.each(long ? families : families.slice(-1))('%s tiles', (family) => {
  // To the loops of a family, what reads rows and what stores a block are functions of places: one class of the others will do.
  const all = family === mainFamily(gpu);
  test.each(all ? cases : [odd])('$rows rows of $in_dims, $h_dims, $activation', async (shape) => {
    useFamily(gpu, family);
    const bytes = byteRows(shape.rows, shape.in_dims, 3);
    for (const dataset of [floats(shape.rows, shape.in_dims), ...(all ? [bytes] : [])]) {
      const fused = await training(shape, dataset, {}, 1, async (trainer) => {
        const names = trainer.model.tensors.map(({ name }) => name);
        return new Map(
          await Promise.all(names.map(async (name) => [name, await firstGradient(trainer, name)] as const)),
        );
      });
      await training(shape, dataset, { clip_norm: unclipped }, 1, async (trainer) => {
        for (const [name, gradient] of fused) {
          const stored = await trainer.step.tensor(`${name}.gradient`).read();
          largest = Math.max(largest, relativeError(stored, gradient));
          expect(stored, name).toBeCloseTensor(gradient, 1e-5);
        }
      });
    }
  });
});

describe('what takes stored gradients', () => {
  const dataset = byteRows(12, 9, 1);
  const rows = gatherRows(dataset.data, 9, [...Array(12).keys()], dataset.normalization);
  const topk = { sparsity: 'topk', k: 3, activation: 'relu' };

  test.each([
    { pre_bias: true, h_dims: [6], activation: 'relu' },
    { pre_bias: true, h_dims: [7, 5], activation: 'sigmoid' },
    { decoder_norm: 'unit', h_dims: [6], activation: 'sigmoid', clip_norm: 0.05 },
    { decoder_norm: 'unit', h_dims: [7, 5], activation: 'relu' },
    { decoder_norm: 'unit', pre_bias: true, h_dims: [70], ...topk, clip_norm: 1 },
    { tied: true, h_dims: [7], activation: 'sigmoid', clip_norm: 0.05 },
    {
      tied: true,
      h_dims: [30],
      activation: 'relu',
      sparsity: 'l1',
      sparsity_warmup: 0,
      pre_bias: true,
      clip_norm: 1,
    },
    { tied: true, decoder_norm: 'unit', pre_bias: true, h_dims: [70], ...topk, clip_norm: 1 },
  ])(
    'five steps with %o are the reference’s',
    async ({ pre_bias = false, tied = false, h_dims, ...options }) => {
      const sizes = { in_dims: 9, h_dims, activation: options.activation as 'relu', pre_bias, tied };
      const model = await Model.create(gpu, { ...sizes, tied: false }, 7);
      // Biases that are not near 0, and a latent whose direction is 0 and has no norm.
      const start = toReference(await model.parameters());
      for (const [name, { data, shape }] of Object.entries(start)) {
        if (shape.length === 1) data.set(data.map((_, i) => Math.fround(((i * 7) % 5) / 4 - 0.4)));
        if (name === 'decoder.0.weight') for (let i = 2; i < data.length; i += shape[1]) data[i] = 0;
      }
      if (tied) tie(start);
      const begun = await Model.from(gpu, sizes, toParameters(start));
      const { activation, ...given } = options;
      const training = {
        ...plain,
        ...given,
        ...('sparsity' in given ? {} : settings),
        lr: 1e-2,
      } as TrainOptions<SparsityName>;
      const config = { ...sizes, ...parseTrainConfig<SparsityName>(training) };
      const reference = new ReferenceTrainer(config, start);
      const trainer = await Trainer.create(begun, dataset, { ...training, batch_size: 12, shuffle: false });
      for (let step = 1; step <= 5; step++) {
        for await (const { steps } of trainer.steps({ count: 1 })) {
          expect([steps[0].loss], String(step)).toBeCloseTensor([reference.step(rows).losses.loss], 1e-5);
        }
      }
      for (const [name, { data }] of await begun.parameters()) {
        expect(data, name).toBeCloseTensor(start[name].data, 3e-5);
      }
      const { hidden, output } = forward(config, start, rows);
      expect(await begun.encode(dataset)).toBeCloseTensor(hidden, 1e-4);
      expect(await begun.reconstruct(dataset)).toBeCloseTensor(output, 1e-4);
      const saved = decodeModel(encodeModel(await savedModel(begun, dataset)), 'sae.safetensors');
      expect(saved.config).toEqual(begun.config);
      expect([saved.config.pre_bias ?? false, saved.config.tied ?? false]).toEqual([pre_bias, tied]);
      trainer.close();
      begun.close();
      model.close();
    },
  );
});

test('three steps with stored gradients end where fused ones do', async () => {
  const dataset = byteRows(deep.rows, deep.in_dims, 3);
  const fused = await training(deep, dataset, {}, 3, ({ model }) => model.parameters());
  const stored = await training(deep, dataset, { clip_norm: unclipped }, 3, ({ model }) =>
    model.parameters(),
  );
  for (const [name, { data }] of fused) {
    expect(stored.get(name)!.data, name).toBeCloseTensor(data, 1e-5);
  }
});

describe('clip_norm', () => {
  const small = { in_dims: 9, h_dims: [6, 4], activation: 'relu' } as const;
  const dataset = byteRows(12, 9, 1);
  const rows = gatherRows(dataset.data, 9, [...Array(12).keys()], dataset.normalization);

  test.each([
    { clip_norm: 0.05 },
    { clip_norm: 0.05, adam_betas: [0.5, 0.9] as [number, number], adam_eps: 1e-4 },
    { adam_betas: [0, 0.99] as [number, number], adam_eps: 0.01 },
  ])('five steps with %o are the reference’s', async (options) => {
    const model = await Model.create(gpu, { ...small, h_dims: [...small.h_dims] }, 7);
    const start = toReference(await model.parameters());
    const { grads } = gradients({ ...small, ...settings }, start, rows);
    const norm = Math.hypot(...Object.values(grads).map((gradient) => Math.hypot(...gradient)));
    expect(norm).toBeGreaterThan(0.2);
    const reference = new ReferenceTrainer({ ...small, ...settings, ...options }, start);
    const trainer = await Trainer.create(model, dataset, {
      ...settings,
      ...options,
      batch_size: 12,
      shuffle: false,
    });
    for (let step = 1; step <= 5; step++) {
      for await (const { steps } of trainer.steps({ count: 1 })) {
        expect([steps[0].loss], String(step)).toBeCloseTensor([reference.step(rows).losses.loss], 1e-5);
      }
    }
    for (const [name, { data }] of await model.parameters()) {
      expect(data, name).toBeCloseTensor(start[name].data, 2e-5);
    }
    trainer.close();
    model.close();
  });

  test('changes nothing where the norm is below it but the order of roundings', async () => {
    const shape = { rows: 12, ...small } as unknown as Case;
    const plain = await training(shape, dataset, {}, 4, ({ model }) => model.parameters());
    const clipped = await training(shape, dataset, { clip_norm: 100 }, 4, ({ model }) => model.parameters());
    for (const [name, { data }] of plain) {
      expect(clipped.get(name)!.data, name).toBeCloseTensor(data, 1e-5);
    }
  });

  test('a gradient that is not finite stops training before it does harm', async () => {
    // The squares of the errors are finite, and those of the gradients are not.
    const large = floatRows(new Float32Array(12 * 9).fill(1e18), 9);
    const model = await Model.create(gpu, { ...small, h_dims: [...small.h_dims] }, 7);
    const before = await model.parameters();
    const trainer = await Trainer.create(model, large, { ...settings, batch_size: 12, clip_norm: 1 });
    const run = async () => {
      for await (const _ of trainer.steps({ count: 3 }));
    };
    await expect(run()).rejects.toThrow(new NonFiniteLossError(1, 1, 'gradient').message);
    await expect(run()).rejects.toThrow('The gradient stopped being finite in epoch 1 at step 1.');
    expect(sameParameters(before, await model.parameters())).toBe(true);
    const { build } = trainer.step;
    for (const name of model.tensors.flatMap((tensor) => momentsOf(build, tensor))) {
      const moments = new Float32Array(await gpu.read(build.buffer(name)));
      expect(moments.every((value) => value === 0)).toBe(true);
    }
    trainer.close();
    model.close();
  });
});
