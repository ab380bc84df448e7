import { describe, expect, test } from 'vitest';
import { readMnist10k } from '../../../src/node/data/mnist.js';
import { type ModelOptions, parseTrainConfig, type TrainOptions } from '../../../src/sae/config.js';
import { DataError, NonFiniteError, NonFiniteLossError } from '../../../src/sae/errors.js';
import { Probe } from '../../../src/sae/insight/probe.js';
import { Model } from '../../../src/sae/model/model.js';
import { type Dataset, sliceRows } from '../../../src/sae/rows/dataset.js';
import { momentsOf } from '../../../src/sae/step/update.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import type { EpochMetrics, Metrics } from '../../../src/sae/training/metrics.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { forward, gradients, losses } from '../../reference/autoencoder.js';
import { columnMeans } from '../../reference/column-means.js';
import { gatherRows } from '../../reference/gather.js';
import { ReferenceTrainer } from '../../reference/trainer.js';
import '../../support/compare.js';
import { gpuOfFile, sameBits, withLimits } from '../../support/device.js';
import {
  byteRows,
  floatRows,
  rowOrders,
  sameParameters,
  toReference,
  trained,
} from '../../support/models.js';

const gpu = await gpuOfFile();

const settings = { sparsity_lambda: 0.2, sparsity_target: 0.05, lr: 0.01 };
const small: ModelOptions = { in_dims: 9, h_dims: [6, 4], activation: 'relu' };
const dataset = byteRows(23, 9, 1);

/** Uses a model, and frees it. */
async function using<T>(model: Model, use: (model: Model) => Promise<T>): Promise<T> {
  try {
    return await use(model);
  } finally {
    model.close();
  }
}

function inputs({ data, in_dims, rows, normalization }: Dataset): Float64Array {
  return gatherRows(
    data,
    in_dims,
    Uint32Array.from({ length: rows }, (_, i) => i),
    normalization,
  );
}

/** `latents`: of the last encoder layer. */
function expectMetrics(actual: Metrics, expected: Metrics, latents: number): void {
  // WGSL allows a logarithm an absolute error of 2^-21, which a latent near its target shows.
  expect(Math.abs(actual.kl - expected.kl)).toBeLessThan(1e-5 * expected.kl + 2 * latents * 2 ** -21);
  expect([actual.mse]).toBeCloseTensor([expected.mse], 1e-5);
  expect([actual.loss]).toBeCloseTensor([expected.loss], 1e-5);
  expect(actual.active).toBeCloseTo(expected.active, 9);
  expect(actual.dead).toBe(expected.dead);
}

describe('determinism', () => {
  const options = { ...settings, epochs: 4, batch_size: 5 };

  test('the same seed gives the same bits', async () => {
    const first = await trained(gpu, small, dataset, { ...options, seed: 7 });
    const second = await trained(gpu, small, dataset, { ...options, seed: 7 });
    expect(sameParameters(first.parameters, second.parameters)).toBe(true);
    const figures = ({ epochs }: { epochs: EpochMetrics[] }) =>
      epochs.map(({ loss, mse, kl, active, dead }) => [loss, mse, kl, active, dead]);
    expect(figures(first)).toEqual(figures(second));
    expect(first.epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
  });

  test('another seed gives others', async () => {
    const first = await trained(gpu, small, dataset, { ...options, seed: 7 });
    const second = await trained(gpu, small, dataset, { ...options, seed: 8 });
    expect(sameParameters(first.parameters, second.parameters)).toBe(false);
  });

  test('data in several parts gives the same as in one', async () => {
    // 64 bytes a row: 4 parts of 32 rows at most.
    const rows = byteRows(123, 64, 2);
    const config = { in_dims: 64, h_dims: [4] };
    const whole = await trained(gpu, config, rows, { ...options, batch_size: 4 });
    const parts = await withLimits(gpu, { maxStorageBufferBindingSize: 2048 }, () =>
      trained(gpu, config, rows, { ...options, batch_size: 4 }),
    );
    // Not the same bits: in one part, kernels read the rows themselves and may contract what they do with them.
    for (const [name, { data }] of whole.parameters) {
      expect(parts.parameters.get(name)!.data).toBeCloseTensor(data, 1e-4);
    }
  });

  test('8-bit rows and the same rows as floats agree', async () => {
    const floats = floatRows(
      Float32Array.from(dataset.data, (value) => value / 255),
      9,
    );
    const first = await trained(gpu, small, dataset, options);
    const second = await trained(gpu, small, { ...floats, normalization: dataset.normalization }, options);
    for (const [name, { data }] of first.parameters) {
      expect(second.parameters.get(name)!.data).toBeCloseTensor(data, 1e-4);
    }
  });
});

describe('three epochs against the reference', () => {
  const wide: ModelOptions = { in_dims: 30, h_dims: [40, 21], activation: 'relu' };
  const wideData = byteRows(70, 30, 4);
  test.each<[string, ModelOptions, Dataset, TrainOptions]>([
    ['a short last batch', small, dataset, { batch_size: 5 }],
    ['a last batch of one row', small, dataset, { batch_size: 11 }],
    ['a batch larger than the data', small, dataset, { batch_size: 1000 }],
    ['batches of one row', small, dataset, { batch_size: 1, lr: 1e-3 }],
    ['rows in their order', small, dataset, { batch_size: 4, shuffle: false }],
    ['no penalty', small, dataset, { batch_size: 4, sparsity_lambda: 0 }],
    ['one latent', { ...small, h_dims: [1] }, dataset, { batch_size: 4 }],
    ['one sample', small, sliceRows(dataset, 3, 4), { batch_size: 4 }],
    ['one input', { ...small, in_dims: 1 }, byteRows(9, 1, 3), { batch_size: 4 }],
    ['sigmoid', { ...small, activation: 'sigmoid' }, dataset, { batch_size: 4 }],
    ['wider than a tile', wide, wideData, { batch_size: 33, lr: 1e-3 }],
  ])('%s', async (_, config, rows, options) => {
    await using(await Model.create(gpu, config, 5), async (model) => {
      const all = parseTrainConfig({ ...settings, ...options, epochs: 3, seed: 5 });
      const start = toReference(await model.parameters());
      const reference = new ReferenceTrainer({ ...model.config, ...all }, start);
      const trainer = await Trainer.create(model, rows, all);
      const orders = rowOrders(rows.rows, 5);
      const inOrder = Uint32Array.from({ length: rows.rows }, (_value, i) => i);
      for await (const metrics of trainer.epochs()) {
        const order = 'shuffle' in options ? inOrder : (orders.next().value as Uint32Array);
        expectMetrics(metrics, reference.epoch(rows, order, all.batch_size), model.hidden);
        expect(metrics.samples_per_second).toBeGreaterThan(0);
      }
      for (const [name, { data }] of await model.parameters()) {
        expect(data, name).toBeCloseTensor(start[name].data, 1e-4);
      }
      trainer.close();
    });
  });
});

test('the original\u2019s batches that were not a number stay finite: 1, 2 and 4 rows', async () => {
  const digits = sliceRows(await readMnist10k(), 0, 60);
  for (const batch_size of [1, 2, 4]) {
    const { epochs } = await trained(gpu, {}, digits, { batch_size, epochs: 3, lr: 1e-3 });
    expect(epochs.every(({ loss, mse, kl }) => [loss, mse, kl].every(Number.isFinite))).toBe(true);
    expect(epochs[2].loss).toBeLessThan(epochs[0].loss);
  }
});

test('evaluate measures what the reference does, and changes nothing', async () => {
  await using(await Model.create(gpu, small, 3), async (model) => {
    const before = await model.parameters();
    const config = { ...model.config, ...settings };
    for (const batch_size of [4, 23, 64]) {
      const metrics = await evaluate(model, dataset, { ...settings, batch_size });
      // A reference that learns nothing.
      const reference = new ReferenceTrainer({ ...config, lr: 0 }, toReference(before));
      expectMetrics(metrics, reference.epoch(dataset, [...Array(23).keys()], batch_size), model.hidden);
    }
    expect(sameParameters(before, await model.parameters())).toBe(true);
    const whole = await evaluate(model, dataset, { ...settings, batch_size: 23 });
    expect(whole.mse).toBeCloseTo(losses(config, toReference(before), inputs(dataset)).mse, 5);
  });
});

test('rows that go beyond f32 are named, whoever asks for what they give', async () => {
  const values = Float32Array.from(byteRows(23, 9, 1).data, (value) => value / 255);
  values.fill(3e38, 13 * 9, 14 * 9);
  const rows = floatRows(values, 9);
  await using(await Model.create(gpu, { ...small, activation: 'relu' }, 3), async (model) => {
    const measuring = evaluate(model, rows, { batch_size: 4 });
    await expect(measuring).rejects.toThrow(NonFiniteError);
    await expect(measuring).rejects.toThrow('The loss of test rows is not finite in rows 12 to 15 (from 0)');
    const tooLarge = evaluate(model, floatRows(new Float32Array(9).fill(1e25), 9));
    await expect(tooLarge).rejects.toThrow('in rows 0 to 0 (from 0)');
    // Weights of 1 leave nothing to the signs.
    const ones = new Map(
      [...(await model.parameters())].map(([name, { shape, data }]) => [
        name,
        { shape, data: data.map(() => 1) },
      ]),
    );
    await using(await Model.from(gpu, model.config, ones), async (large) => {
      const encoding = large.encode(rows);
      await expect(encoding).rejects.toThrow(NonFiniteError);
      await expect(encoding).rejects.toThrow('Row 13 (from 0) gives Infinity in encoder.2.output');
      await expect(large.reconstruct(rows)).rejects.toThrow(
        'Row 13 (from 0) gives Infinity in decoder.2.output',
      );
      await expect(large.decode(new Float32Array(8).fill(3e38))).rejects.toThrow(
        'Row 0 (from 0) gives Infinity',
      );
      const probe = await Probe.create(large, 23);
      await expect(probe.encode(rows)).rejects.toThrow('Row 13 (from 0) gives Infinity in encoder.2.output');
      const looking = probe.reconstruct(rows);
      await expect(looking).rejects.toThrow('Row 13 (from 0) gives Infinity in');
      probe.close();
      // The others are what they are.
      expect(await large.encode(sliceRows(rows, 0, 13))).toHaveLength(13 * 4);
    });
    // Infinity times 0 is not a number, which ReLU must not turn into a latent at rest.
    ones.get('encoder.2.weight')!.data.fill(0);
    await using(await Model.from(gpu, model.config, ones), async (resting) => {
      await expect(resting.encode(rows)).rejects.toThrow('Row 13 (from 0) gives NaN in encoder.2.output');
    });
    // Codes that are finite, and reconstructions that are not.
    ones.get('encoder.2.weight')!.data.fill(1);
    ones.get('decoder.2.weight')!.data.fill(3e38);
    await using(await Model.from(gpu, model.config, ones), async (far) => {
      const probe = await Probe.create(far, 13);
      const looking = probe.reconstruct(sliceRows(rows, 0, 13));
      await expect(looking).rejects.toThrow('Row 0 (from 0) gives Infinity in decoder.2.output');
      probe.close();
    });
  });
});

describe('encode, decode, reconstruct', () => {
  test.each([1, 3, 2500])('%d rows', async (rows) => {
    const data = byteRows(rows, 9, rows);
    await using(await Model.create(gpu, small, 2), async (model) => {
      const reference = { ...model.config, ...settings };
      const { hidden, output } = forward(reference, toReference(await model.parameters()), inputs(data));
      const codes = await model.encode(data);
      expect(codes).toBeCloseTensor(hidden, 1e-5);
      expect(await model.reconstruct(data)).toBeCloseTensor(output, 1e-5);
      expect(await model.decode(codes)).toBeCloseTensor(output, 1e-5);
    });
  });

  test('other numbers of rows seldom are other shapes, and give the same bits', async () => {
    await using(await Model.create(gpu, small, 2), async (model) => {
      const shapes = new Set<number>();
      const { tile } = gpu.tuner;
      gpu.tuner.tile = (shape) => {
        shapes.add(shape.rows);
        return tile.call(gpu.tuner, shape);
      };
      try {
        const all = byteRows(300, 9, 3);
        const codes = await model.encode(all);
        for (let rows = 1; rows < 300; rows += 13) {
          expect(sameBits(await model.encode(sliceRows(all, 0, rows)), codes.subarray(0, rows * 4))).toBe(
            true,
          );
        }
        expect([...shapes].sort((a, b) => a - b)).toEqual([1, 16, 32, 48, 64, 96, 128, 192, 256, 384]);
      } finally {
        gpu.tuner.tile = tile;
      }
    });
  });

  test('rows that are too wide for many of them go through a few at a time', async () => {
    await using(await Model.create(gpu, small, 2), async (model) => {
      const rows = byteRows(2500, 9, 3);
      const codes = await model.encode(rows);
      const reconstructions = await model.reconstruct(rows);
      const before = gpu.allocatedBytes;
      // Room for 20 rows of the input, 48 bytes each.
      await withLimits(gpu, { maxStorageBufferBindingSize: 20 * 48 }, async () => {
        expect(sameBits(await model.encode(rows), codes)).toBe(true);
        expect(sameBits(await model.reconstruct(rows), reconstructions)).toBe(true);
      });
      expect(gpu.allocatedBytes).toBe(before);
    });
  });

  test('rows or codes of another width are refused', async () => {
    await using(await Model.create(gpu, small, 2), async (model) => {
      const wide = byteRows(3, 10, 1);
      const sentence = 'The rows of test bytes have 10 values, and the model takes 9.';
      await expect(model.encode(wide)).rejects.toThrow(new DataError(sentence));
      await expect(model.reconstruct(wide)).rejects.toThrow(sentence);
      await expect(Trainer.create(model, wide)).rejects.toThrow(sentence);
      await expect(evaluate(model, wide)).rejects.toThrow(sentence);
      await expect(model.decode(new Float32Array(7))).rejects.toThrow(DataError);
      await expect(model.decode(new Float32Array(0))).rejects.toThrow(DataError);
    });
  });
});

describe('an abort', () => {
  test('ends training early and leaves a model that can be used and trained', async () => {
    const digits = sliceRows(await readMnist10k(), 0, 640);
    await using(await Model.create(gpu, {}), async (model) => {
      const trainer = await Trainer.create(model, digits, { epochs: 1000 });
      const stop = new AbortController();
      const seen: number[] = [];
      const progress = ({ rows }: { rows: number }) => {
        seen.push(rows);
        if (rows > 2 * 640) {
          stop.abort();
        }
      };
      const epochs: number[] = [];
      for await (const { epoch } of trainer.epochs({ signal: stop.signal, progress })) {
        epochs.push(epoch);
      }
      expect(epochs.length).toBeGreaterThanOrEqual(2);
      expect(epochs.length).toBeLessThan(100);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
      trainer.close();
      const codes = await model.encode(digits);
      expect(codes.every(Number.isFinite)).toBe(true);
      const again = await Trainer.create(model, digits, { epochs: 1 });
      for await (const { loss } of again.epochs()) {
        expect(Number.isFinite(loss)).toBe(true);
      }
      again.close();
    });
  });

  test('before the first step leaves the weights as they are', async () => {
    await using(await Model.create(gpu, small), async (model) => {
      const before = await model.parameters();
      const trainer = await Trainer.create(model, dataset, { epochs: 3 });
      for await (const _ of trainer.epochs({ signal: AbortSignal.abort() })) {
        throw new Error('an epoch was trained');
      }
      trainer.close();
      expect(sameParameters(before, await model.parameters())).toBe(true);
    });
  });

  test('in the middle of an epoch: that epoch gives no metrics, its steps count', async () => {
    await using(await Model.create(gpu, small), async (model) => {
      const before = await model.parameters();
      const rows = byteRows(5000, 9, 1);
      const trainer = await Trainer.create(model, rows, { ...settings, epochs: 3, batch_size: 1 });
      const stop = new AbortController();
      let done = 0;
      const progress = (now: { rows: number }) => {
        done = now.rows;
        stop.abort();
      };
      const epochs: EpochMetrics[] = [];
      for await (const epoch of trainer.epochs({ signal: stop.signal, progress })) {
        epochs.push(epoch);
      }
      trainer.close();
      expect(epochs).toEqual([]);
      expect(done).toBeGreaterThan(0);
      expect(done).toBeLessThan(5000);
      expect(sameParameters(before, await model.parameters())).toBe(false);
    });
  });
});

describe('a loss that stops being finite', () => {
  /** Trains until that happens. */
  async function diverged(config: ModelOptions, rows: Dataset, options: object) {
    return using(await Model.create(gpu, config), async (model) => {
      const trainer = await Trainer.create(model, rows, { ...settings, shuffle: false, ...options });
      const epochs: EpochMetrics[] = [];
      let error: unknown;
      try {
        for await (const epoch of trainer.epochs()) {
          epochs.push(epoch);
        }
      } catch (thrown) {
        error = thrown;
      }
      trainer.close();
      return { error, epochs, parameters: await model.parameters() };
    });
  }

  function expectFailure(
    { error, parameters }: Awaited<ReturnType<typeof diverged>>,
    epoch: number,
    step: number,
  ) {
    expect(error).toBeInstanceOf(NonFiniteLossError);
    expect(error).toMatchObject({ epoch, step });
    expect((error as Error).message).toContain(`in epoch ${epoch} at step ${step}.`);
    expect([...parameters.values()].every(({ data }) => data.every(Number.isFinite))).toBe(true);
  }

  test('is named with its step, and the weights are those from before it', async () => {
    const values = Float32Array.from(byteRows(20, 9, 1).data, (value) => value / 255);
    values[13 * 9 + 4] = 3e38;
    const rows = floatRows(values, 9);
    const seen = await diverged(small, rows, { batch_size: 4, epochs: 2 });
    expectFailure(seen, 1, 4);
    const before = await trained(gpu, small, sliceRows(rows, 0, 12), {
      ...settings,
      shuffle: false,
      batch_size: 4,
      epochs: 1,
    });
    expect(sameParameters(seen.parameters, before.parameters)).toBe(true);
  });

  test('with an enormous lr, in the second epoch', async () => {
    const options = { batch_size: 23, epochs: 9, lr: 1e30 };
    const seen = await diverged(small, dataset, options);
    expectFailure(seen, 2, 1);
    expect(seen.epochs.length).toBe(1);
    const before = await trained(gpu, small, dataset, { ...settings, ...options, shuffle: false, epochs: 1 });
    expect(sameParameters(seen.parameters, before.parameters)).toBe(true);
  });

  test('at the first step of all: the weights are the initial ones', async () => {
    const rows = floatRows(new Float32Array(5 * 9).fill(3e38), 9);
    const seen = await diverged(small, rows, { batch_size: 2, epochs: 2 });
    expectFailure(seen, 1, 1);
    await using(await Model.create(gpu, small), async (model) => {
      expect(sameParameters(seen.parameters, await model.parameters())).toBe(true);
    });
  });
});

describe('squared gradients beyond f32', () => {
  const scaled = (factor: number) =>
    floatRows(
      Float32Array.from(dataset.data, (value) => (value / 255) * factor),
      9,
    );
  const training = { ...settings, sparsity_lambda: 0, batch_size: 5, shuffle: false, epochs: 60 };

  test.each([
    ['epoch', undefined, 5],
    ['run', 3, 3],
  ])(
    'are named at the end of the %s, since nothing else shows that weights stand still',
    async (_, steps, last) => {
      await using(await Model.create(gpu, small, 5), async (model) => {
        const rows = scaled(1e13);
        // In double: the loss is far from the end of f32, the squares of gradients are beyond it, those of biases are not.
        const start = toReference(await model.parameters());
        const first = inputs(sliceRows(rows, 0, 5));
        const config = { ...model.config, ...training };
        expect(losses(config, start, first).loss).toBeLessThan(1e30);
        const { grads } = gradients(config, start, first);
        const largest = (name: string) => Math.max(...grads[name].map(Math.abs)) ** 2 * 1e-3;
        expect(largest('encoder.0.weight')).toBeGreaterThan(3.5e38);
        expect(largest('decoder.2.bias')).toBeLessThan(3e38);

        const trainer = await Trainer.create(model, rows, { ...training, steps });
        const epochs: EpochMetrics[] = [];
        const run = async () => {
          for await (const epoch of trainer.epochs()) {
            epochs.push(epoch);
          }
        };
        const failing = run();
        await expect(failing).rejects.toThrow(NonFiniteLossError);
        await expect(failing).rejects.toThrow(
          `The squared gradients of encoder.0.weight exceeded the range of f32 by epoch 1, step ${last}, so some of its weights could`,
        );
        expect(epochs).toHaveLength(1);
        expect(Number.isFinite(epochs[0].loss)).toBe(true);
        await expect(trainer.steps().next()).rejects.toThrow('The squared gradients of');
        await expect(trainer.snapshot()).rejects.toThrow('The squared gradients of');
        trainer.close();
      });
    },
  );

  test('are named within 1,024 steps, however long an epoch is', async () => {
    await using(await Model.create(gpu, small, 5), async (model) => {
      const rows = { ...byteRows(4000, 9, 1), normalization: { mean: 0, std: 1e-13 } };
      const trainer = await Trainer.create(model, rows, { ...training, batch_size: 1 });
      let steps = 0;
      await expect(
        (async () => {
          for await (const told of trainer.steps()) steps += told.steps.length;
        })(),
      ).rejects.toThrow(
        /^The squared gradients of encoder\.0\.weight exceeded the range of f32 by epoch 1, step \d+, /,
      );
      expect(steps).toBeGreaterThan(800);
      expect(steps).toBeLessThan(2500);
      trainer.close();
    });
  });

  test('are noticed when they come later, and are not where there are none', async () => {
    await using(await Model.create(gpu, small, 5), async (model) => {
      const trainer = await Trainer.create(model, scaled(10), training);
      for await (const _ of trainer.steps({ count: 250 }));
      const { build } = trainer.step;
      const weight = model.tensors.at(-2)!;
      const buffer = build.buffer(momentsOf(build, weight)[1]);
      const moments = new Float32Array(buffer.size / 4);
      moments[5] = Infinity;
      gpu.write(buffer, moments);
      const failing = (async () => {
        for await (const _ of trainer.steps({ count: 300 }));
      })();
      // Of epochs of 5 steps, the first is looked at, and then every 26th.
      await expect(failing).rejects.toThrow(
        `The squared gradients of ${weight.name} exceeded the range of f32 by epoch 53, step 5`,
      );
      trainer.close();
    });
  });
});

// The original's penalty takes log(1 - q) of a mean that is beyond 1 here from the first batch on.
test('1024 latents at lr 1e-3, where the original is not a number, stay finite and learn', async () => {
  const digits = sliceRows(await readMnist10k(), 0, 64);
  await using(await Model.create(gpu, { h_dims: [1024] }), async (model) => {
    const trainer = await Trainer.create(model, digits, { lr: 1e-3, epochs: 6 });
    const epochs: EpochMetrics[] = [];
    for await (const epoch of trainer.epochs()) {
      epochs.push(epoch);
      if (epoch.epoch === 1) {
        const hidden = await trainer.step.tensor('encoder.0.output').read();
        expect(Math.max(...columnMeans(hidden, 64, 1024))).toBeGreaterThan(1);
      }
    }
    trainer.close();
    expect(epochs.every(({ loss, mse, kl }) => [loss, mse, kl].every(Number.isFinite))).toBe(true);
    expect(epochs[5].loss).toBeLessThan(0.8 * epochs[0].loss);
    expect(epochs[5].mse).toBeLessThan(epochs[0].mse);
    const parameters = [...(await model.parameters()).values()];
    expect(parameters.every(({ data }) => data.every(Number.isFinite))).toBe(true);
  });
});
