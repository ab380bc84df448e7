import { describe, expect, test } from 'vitest';
import type { TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import { normalizedRows } from '../../../src/sae/rows/dataset.js';
import type { SparsityName } from '../../../src/sae/sparsity/index.js';
import { momentsOf } from '../../../src/sae/step/update.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, sameParameters } from '../../support/models.js';

const gpu = await gpuOfFile();
const in_dims = 9;
const latents = 70;
const rows = byteRows(40, in_dims, 2);
/** Latents that no row activates. */
const dead = [3, 10, 69];
const common = { batch_size: 8, lr: 1e-3, epochs: 6, revive: 'resample', resample_every: 10, dead_after: 50 };

/** Lends a trainer of a model in which those are dead. */
async function lend<T>(own: object, use: (trainer: Trainer<SparsityName>) => Promise<T>): Promise<T> {
  const { pre_bias = false, ...options } = own as { readonly pre_bias?: boolean };
  const config = { in_dims, h_dims: [latents], activation: 'relu' as const, ...(pre_bias && { pre_bias }) };
  const created = await Model.create(gpu, config, 3);
  const parameters = await created.parameters();
  created.close();
  const biases = parameters.get('encoder.0.bias')!.data;
  // The others are above 0 for every row.
  biases.fill(40);
  for (const latent of dead) biases[latent] = -1000;
  const model = await Model.from(gpu, config, parameters);
  const trainer = await Trainer.create(model, rows, { ...common, ...options } as TrainOptions<SparsityName>);
  try {
    return await use(trainer);
  } finally {
    trainer.close();
    model.close();
  }
}

async function steps(trainer: Trainer<SparsityName>, count: number): Promise<void> {
  for await (const _ of trainer.steps({ count }));
}

function norm(vector: ArrayLike<number>): number {
  return Math.hypot(...Array.from(vector));
}

describe.each([
  { sparsity: 'l1', sparsity_lambda: 0 },
  { sparsity: 'none', clip_norm: 1, pre_bias: true },
  { sparsity: 'jumprelu' },
  // As lists: k is small against the width.
  { sparsity: 'topk', k: 4, pre_bias: true, decoder_norm: 'unit' },
])('dead latents of %o', (own) => {
  test('get the directions of rows, no bias and no moments; others stay as they are', async () => {
    await lend(own, async (trainer) => {
      const { model, step } = trainer;
      await steps(trainer, 10);
      const before = await model.parameters();
      const silent = new Uint32Array(await gpu.read(step.build.buffer('silent_rows')));
      const without = Array.from({ length: latents }, (_, i) => i).filter((i) => silent[i] >= 50);
      expect(without).toEqual(expect.arrayContaining(dead));
      // With a rate of nearly 0 the next step changes hardly anything else.
      trainer.change({ lr: 1e-30 });
      await steps(trainer, 1);
      const after = await model.parameters();
      const [W_enc, W_dec, b_enc] = ['encoder.0.weight', 'decoder.0.weight', 'encoder.0.bias'].map(
        (name) => (set: typeof before) => set.get(name)!.data,
      );
      const encoderRow = (set: typeof before, j: number) =>
        W_enc(set).subarray(j * in_dims, (j + 1) * in_dims);
      const decoderColumn = (set: typeof before, j: number) => W_dec(set).filter((_, i) => i % latents === j);
      const living = Array.from({ length: latents }, (_, i) => i).filter((i) => !without.includes(i));
      const mean = (of: (set: typeof before, j: number) => Float32Array) =>
        living.reduce((sum, j) => sum + norm(of(before, j)) / living.length, 0);
      const [encoderNorm, decoderNorm] = [mean(encoderRow), mean(decoderColumn)];

      const x = normalizedRows(rows, 0);
      const bias = 'pre_bias' in own ? before.get('decoder.0.bias')!.data : new Float32Array(in_dims);
      const units = Array.from({ length: rows.rows }, (_, row) => {
        const vector = Array.from(bias, (value, i) => x[row * in_dims + i] - value);
        return vector.map((value) => value / norm(vector));
      });
      const found = without.slice(0, rows.rows).map((j) => {
        expect(Math.abs(b_enc(after)[j])).toBeLessThan(1e-25);
        const direction = Array.from(decoderColumn(after, j), (value) => value / decoderNorm);
        const row = units.findIndex((unit) =>
          unit.every((value, i) => Math.abs(value - direction[i]) < 1e-5),
        );
        expect(row, `latent ${j}`).toBeGreaterThanOrEqual(0);
        expect(encoderRow(after, j)).toBeCloseTensor(
          units[row].map((value) => 0.2 * encoderNorm * value),
          1e-5,
        );
        return row;
      });
      // Without replacement.
      expect(new Set(found).size).toBe(found.length);
      for (const j of living) {
        expect(encoderRow(after, j)).toBeCloseTensor(encoderRow(before, j), 1e-6);
        expect(decoderColumn(after, j)).toBeCloseTensor(decoderColumn(before, j), 1e-6);
      }
    });
  });

  test('the same bits after a snapshot at the very step', async () => {
    await lend(own, async (trainer) => {
      await steps(trainer, 10);
      const resumed = await Trainer.resume<SparsityName>(gpu, rows, await trainer.snapshot());
      await steps(trainer, 12);
      await steps(resumed, 12);
      expect(sameParameters(await resumed.model.parameters(), await trainer.model.parameters())).toBe(true);
      resumed.close();
      resumed.model.close();
    });
  });
});

test('moments begin again for them, and there is no resampling in the last steps of the run', async () => {
  await lend({ sparsity: 'none', steps: 25 }, async (trainer) => {
    await steps(trainer, 10);
    const { build } = trainer.step;
    const [name] = momentsOf(build, trainer.model.layers[0].weight);
    gpu.write(build.buffer(name), new Float32Array(build.buffer(name).size / 4).fill(1e6));
    trainer.change({ lr: 1e-30 });
    await steps(trainer, 1);
    const moments = new Float32Array(await gpu.read(build.buffer(name)));
    // Nine tenths of what was there, and for new ones of nothing, with a tenth of one gradient.
    const stride = moments.length / (latents + 2);
    const mostly = Array.from({ length: latents }, (_, latent) => moments[latent * stride] > 5e5);
    expect(mostly).toEqual(Array.from({ length: latents }, (_, latent) => !dead.includes(latent)));
    const silent = new Uint32Array(await gpu.read(build.buffer('silent_rows')));
    expect(dead.every((latent) => silent[latent] < 80)).toBe(true);
    const biases = (await trainer.model.parameters()).get('encoder.0.bias')!.data;
    for (const latent of dead) biases[latent] = -1000;
    trainer.model.layers[0].bias.write(biases);
    gpu.write(build.buffer('silent_rows'), new Uint32Array(latents + 2).fill(1000));
    await steps(trainer, 10);
    const after = (await trainer.model.parameters()).get('encoder.0.bias')!.data;
    expect(dead.map((latent) => after[latent])).toEqual(dead.map(() => -1000));
  });
});

test('latents are revived when asked, between two calls, where nothing is by itself', async () => {
  await lend(
    { sparsity: 'l1', sparsity_lambda: 0, revive: 'none', resample_every: undefined },
    async (trainer) => {
      await steps(trainer, 3);
      const before = await trainer.model.parameters();
      await trainer.revive(dead);
      const after = await trainer.model.parameters();
      const of = (set: typeof before, name: string) => set.get(name)!.data;
      const column = (set: typeof before, j: number) =>
        of(set, 'decoder.0.weight').filter((_, i) => i % latents === j);
      const x = normalizedRows(rows, 0);
      const units = Array.from({ length: rows.rows }, (_, row) => {
        const vector = x.subarray(row * in_dims, (row + 1) * in_dims);
        return Array.from(vector, (value) => value / norm(vector));
      });
      for (let j = 0; j < latents; j++) {
        if (!dead.includes(j)) {
          expect(column(after, j)).toEqual(column(before, j));
          continue;
        }
        expect(of(after, 'encoder.0.bias')[j]).toBe(0);
        const direction = column(after, j);
        const cosines = units.map(
          (unit) => unit.reduce((sum, value, i) => sum + value * direction[i], 0) / norm(direction),
        );
        expect(Math.max(...cosines)).toBeCloseTo(1, 5);
      }
      // Training goes on; during it, nothing is revived.
      const running = trainer.steps({ count: 5 });
      await running.next();
      await expect(trainer.revive(dead)).rejects.toThrow('The trainer is at work.');
      for await (const _ of running);
      expect(trainer.done).toBe(8);
    },
  );
  const deep = await Model.create(gpu, { in_dims, h_dims: [6, 5] });
  const trainer = await Trainer.create(deep, rows, { batch_size: 8 });
  await expect(trainer.revive([0])).rejects.toThrow('this one has 2.');
  trainer.close();
  deep.close();
});
