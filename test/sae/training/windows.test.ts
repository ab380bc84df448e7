import { describe, expect, test } from 'vitest';
import type { ModelOptions, TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import { randomPair, shuffle } from '../../../src/sae/model/random.js';
import { pickRows } from '../../../src/sae/rows/dataset.js';
import { type RowSource, rowSource } from '../../../src/sae/rows/source.js';
import { Windows } from '../../../src/sae/rows/window.js';
import type { Snapshot } from '../../../src/sae/training/snapshot.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import type { TrainedSteps } from '../../../src/sae/training/training-log.js';
import { seededRandom } from '../../reference/random.js';
import { gpuOfFile, reals, withLimits } from '../../support/device.js';
import { byteRows, floatRows, sameParameters, trained } from '../../support/models.js';

const gpu = await gpuOfFile();

const small: ModelOptions = { in_dims: 9, h_dims: [6, 4] };
const dataset = byteRows(47, 9, 1);
const options = { batch_size: 4, lr: 0.01, sparsity_target: 0.05, seed: 7 } satisfies TrainOptions;
// Windows of 20 rows, the last of which has 7; chunks are single rows.
const placement = { window_rows: 20 };
const windows = [20, 20, 7];

/** In which order rows are taken: an order of all chunks each epoch, and within each window another of its rows. */
function* rowsOfEpochs(): Generator<number[][]> {
  const random = randomPair(options.seed).forOrder;
  const chunks = Uint32Array.from({ length: 47 }, (_, row) => row);
  let within = Uint32Array.from({ length: windows[0] }, (_, row) => row);
  for (;;) {
    shuffle(chunks, random);
    yield windows.map((length, window) => {
      if (within.length !== length) {
        within = Uint32Array.from({ length }, (_, row) => row);
      }
      shuffle(within, random);
      return Array.from(within, (row) => chunks[20 * window + row]);
    });
  }
}

async function training<T>(
  rows: RowSource,
  use: (trainer: Trainer) => Promise<T>,
  more: TrainOptions = {},
): Promise<T> {
  const model = await Model.create(gpu, small, options.seed);
  const trainer = await Trainer.create(model, rows, { ...options, ...more }, placement);
  try {
    return await use(trainer);
  } finally {
    trainer.close();
    model.close();
    expect(gpu.allocatedBytes).toBe(0);
  }
}

async function all(generator: AsyncGenerator<TrainedSteps>): Promise<TrainedSteps[]> {
  const told: TrainedSteps[] = [];
  for await (const steps of generator) {
    told.push(steps);
  }
  return told;
}

const epochsOf = (told: readonly TrainedSteps[]) =>
  told.flatMap(({ epoch }) => {
    if (!epoch) return [];
    const { samples_per_second: _, seconds: _s, ...figures } = epoch;
    return figures;
  });

describe('rows in two windows in turn', () => {
  test('train as the same rows in that order do, bit for bit', async () => {
    const orders = rowsOfEpochs();
    // Batches do not cross the ends of windows.
    const model = await Model.create(gpu, small, options.seed);
    const expected: number[] = [];
    const plain = await Trainer.create(model, dataset, options);
    let snapshot = await plain.snapshot();
    plain.close();
    for (let epoch = 0; epoch < 3; epoch++) {
      const taken = orders.next().value as number[][];
      // All rows of the epoch as one data set whose batches fall as they do in the windows.
      for (const part of taken.flatMap(batchesOf)) {
        const one = pickRows(dataset, part);
        const resumed = await Trainer.resume(gpu, one, forRows(snapshot, part.length));
        const [{ steps }] = await all(resumed.steps({ count: 1 }));
        expected.push(steps[0].loss);
        snapshot = await resumed.snapshot();
        resumed.close();
        resumed.model.close();
      }
    }
    model.close();
    await training(rowSource(dataset), async (trainer) => {
      expect(trainer.step.windows.sizes).toMatchObject({ count: 3, chunks: 47 });
      expect(trainer.step.batches).toBe(12);
      const told = await all(trainer.steps({ count: 36 }));
      expect(told.flatMap(({ steps }) => steps.map(({ loss }) => loss))).toEqual(expected);
      expect(sameParameters(await trainer.model.parameters(), snapshot.parameters)).toBe(true);
      expect(epochsOf(told).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    });
  });

  test('never wait for the next window: the device has it before the last steps of this one have ended', async () => {
    await training(rowSource(dataset), async (trainer) => {
      const ahead: number[] = [];
      for await (const { steps } of trainer.steps({ count: 60, submitMilliseconds: 1e-6 })) {
        ahead.push(trainer.done - steps[0].step);
      }
      // As with one window: two submits of a step each, but for the last steps of all.
      expect(new Set(ahead.slice(0, -2))).toEqual(new Set([2]));
    });
  });

  test('agree with one window where nothing is shuffled', async () => {
    const inOrder = { ...options, shuffle: false, batch_size: 5, epochs: 3 };
    const rows = floatRows(
      Float32Array.from(byteRows(40, 9, 3).data, (value) => value / 255),
      9,
    );
    const one = await trained(gpu, small, rows, inOrder);
    const two = await trained(gpu, small, rows, inOrder, { window_rows: 10 });
    expect(sameParameters(one.parameters, two.parameters)).toBe(true);
    const figures = ({ epochs }: typeof one) =>
      epochs.map(({ loss, mse, kl, dead }) => [loss, mse, kl, dead]);
    expect(figures(two)).toEqual(figures(one));
  });

  test('a source that is slow is waited for, and one that fails ends training with its own error', async () => {
    const rows = rowSource(dataset);
    const fast = await training(rows, async (trainer) => {
      await all(trainer.steps({ count: 30 }));
      return trainer.model.parameters();
    });
    let reads = 0;
    const slow: RowSource = {
      ...rows,
      async read(first, end) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        reads += 1;
        return rows.read(first, end);
      },
    };
    const waited = await training(slow, async (trainer) => {
      await all(trainer.steps({ count: 30 }));
      return trainer.model.parameters();
    });
    expect(sameParameters(waited, fast)).toBe(true);
    expect(reads).toBeGreaterThan(3);

    const broken: RowSource = {
      ...rows,
      async read(first, end) {
        if (first === 40) {
          throw new Error('the last block is broken');
        }
        return rows.read(first, end);
      },
    };
    await training(broken, async (trainer) => {
      const told: TrainedSteps[] = [];
      const run = async () => {
        for await (const steps of trainer.steps({ count: 30 })) {
          told.push(steps);
        }
      };
      await expect(run()).rejects.toThrow('the last block is broken');
      // What had been submitted before has been told.
      expect(told.flatMap(({ steps }) => steps).length).toBe(trainer.done);
    });
  });

  test('whose source fails for a while train on with the next call, with the same bits', async () => {
    const rows = rowSource(dataset);
    let failures = 2;
    const failing: RowSource = {
      ...rows,
      async read(first, end) {
        if (first === 40 && failures-- > 0) {
          throw new Error('the disk is away');
        }
        return rows.read(first, end);
      },
    };
    const whole = await training(rows, async (trainer) => {
      await all(trainer.steps({ count: 30 }));
      return trainer.model.parameters();
    });
    await training(failing, async (trainer) => {
      await expect(all(trainer.steps({ count: 30 }))).rejects.toThrow('the disk is away');
      // The rows are read ahead: whether that was the first failure or the second is a matter of time.
      await all(trainer.steps({ count: 30 - trainer.done })).catch(() => {});
      await all(trainer.steps({ count: 30 - trainer.done }));
      expect(sameParameters(await trainer.model.parameters(), whole)).toBe(true);
    });
  });

  test.each([
    [0, true],
    [1, true],
    [5, true],
    [6, true],
    [12, true],
    [13, true],
    [20, true],
    [3, false],
    [8, false],
    [13, false],
  ])('go on from a snapshot after %d steps, bit for bit, with shuffle %s', async (count, shuffle) => {
    const rows = rowSource(dataset);
    const run = <T>(use: (trainer: Trainer) => Promise<T>) => training(rows, use, { shuffle });
    const whole = await run(async (trainer) => {
      const told = await all(trainer.steps({ count: 30 }));
      return { told, parameters: await trainer.model.parameters() };
    });
    const snapshot = await run(async (trainer) => {
      await all(trainer.steps({ count }));
      return structuredClone(await trainer.snapshot());
    });
    const resumed = await Trainer.resume(gpu, dataset, snapshot);
    expect(resumed.done).toBe(count);
    const rest = await all(resumed.steps({ count: 30 - count }));
    expect(sameParameters(await resumed.model.parameters(), whole.parameters)).toBe(true);
    expect(epochsOf(rest)).toEqual(epochsOf(whole.told).slice(-epochsOf(rest).length));
    resumed.close();
    resumed.model.close();
  });
});

/** Batches of 4 rows. */
function batchesOf(rows: readonly number[]): number[][] {
  return Array.from({ length: Math.ceil(rows.length / 4) }, (_, i) => rows.slice(4 * i, 4 * i + 4));
}

/** The snapshot as one of a training on other rows, all of which are one batch in their order. */
function forRows(snapshot: Snapshot, rows: number): Snapshot {
  return {
    ...snapshot,
    training: { ...snapshot.training, shuffle: false },
    rows,
    window_rows: rows,
    order: {
      order: Uint32Array.from({ length: rows }, (_, row) => row),
      chunks: Uint32Array.of(0),
      begun: snapshot.done,
      random: snapshot.order.random,
    },
  };
}

describe('windows', () => {
  test('whose rows lie in several parts train as those in one do, bit for bit', async () => {
    // 1 KiB a row, so that eight rows are a part, and two windows of twelve three parts.
    const wide = floatRows(reals(seededRandom(3), 30 * 256, -1, 1), 256);
    const run = async () => {
      const model = await Model.create(gpu, { in_dims: 256, h_dims: [2] }, 1);
      const trainer = await Trainer.create(model, wide, { ...options, epochs: 2 }, { window_rows: 12 });
      await all(trainer.steps({ count: 12 }));
      const parameters = await model.parameters();
      const parts = trainer.step.windows.parts.length;
      trainer.close();
      model.close();
      return { parameters, parts };
    };
    const whole = await run();
    const cut = await withLimits(gpu, { maxStorageBufferBindingSize: 8192 }, run);
    expect([whole.parts, cut.parts]).toEqual([1, 3]);
    expect(sameParameters(cut.parameters, whole.parameters)).toBe(true);
  });

  test('are on the device two at a time, the one that was used last longest', async () => {
    const rows = byteRows(33, 5, 2);
    const windows = await Windows.create(gpu, rowSource(rows), 10);
    const { sizes } = windows;
    expect(sizes.count).toBe(4);
    expect([0, 1, 2, 3].map((window) => sizes.rowsOf(window))).toEqual([10, 10, 10, 3]);
    expect(windows.has(0)).toBe(false);
    expect(() => windows.open(0, new Uint32Array(10))).toThrow('window 0 is not on the device');
    await windows.load(0, [[0, 10]]);
    windows.open(0, new Uint32Array(10));
    const last = [[30, 33]] as const;
    await Promise.all([windows.load(3, last), windows.load(3, last)]);
    expect([windows.has(0), windows.has(3)]).toEqual([true, true]);
    await windows.load(1, [[10, 20]]);
    expect([0, 1, 2, 3].map((window) => windows.has(window))).toEqual([true, true, false, false]);
    windows.destroy();
    expect(gpu.allocatedBytes).toBe(0);
  });
});
