import { afterAll, describe, expect, test } from 'vitest';
import type { Gpu } from '../../../src/gpu/gpu.js';
import { openGpu } from '../../../src/node/adapters.js';
import type { ModelOptions, TrainOptions } from '../../../src/sae/config.js';
import { DataError, NonFiniteLossError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import { sliceRows } from '../../../src/sae/rows/dataset.js';
import type { EpochMetrics, StepMetrics } from '../../../src/sae/training/metrics.js';
import type { Snapshot } from '../../../src/sae/training/snapshot.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { sameBits } from '../../support/device.js';
import { byteRows, floatRows, sameParameters } from '../../support/models.js';

// Two devices: one that training begins on, one that it goes on with.
const first = await openGpu();
const second = await openGpu();
afterAll(() => {
  first.close();
  second.close();
});

const small: ModelOptions = { in_dims: 9, h_dims: [6, 4] };
const dataset = byteRows(23, 9, 1);
const options = { batch_size: 5, lr: 0.01, sparsity_target: 0.05, seed: 7 } satisfies TrainOptions;
const last = 23;

/** All that a training of so many steps has come to. */
interface Outcome {
  readonly steps: StepMetrics[];
  readonly epochs: Partial<EpochMetrics>[];
  readonly parameters: Parameters;
  readonly moments: Map<string, Float32Array>;
}

/** Trains to the last step, changing the lr at some steps, and closes what it was given. */
async function finish(trainer: Trainer): Promise<Outcome> {
  const steps: StepMetrics[] = [];
  const epochs: Partial<EpochMetrics>[] = [];
  while (trainer.done < last) {
    if (trainer.done === 8) {
      trainer.change({ lr: 0.004, sparsity_lambda: 0.6 });
    }
    const to = trainer.done < 8 ? 8 : last;
    for await (const told of trainer.steps({ count: to - trainer.done })) {
      steps.push(...told.steps);
      if (told.epoch) {
        const { epoch, loss, mse, kl, active, dead } = told.epoch;
        epochs.push({ epoch, loss, mse, kl, active, dead });
      }
    }
  }
  const moments = new Map<string, Float32Array>();
  for (const [name, bytes] of (await trainer.step.state()).moments) {
    moments.set(name, new Float32Array(bytes));
  }
  const parameters = await trainer.model.parameters();
  trainer.close();
  trainer.model.close();
  return { steps, epochs, parameters, moments };
}

function expectSame(actual: Outcome, expected: Outcome): void {
  expect(sameParameters(actual.parameters, expected.parameters)).toBe(true);
  for (const [name, values] of expected.moments) {
    expect(sameBits(actual.moments.get(name)!, values), name).toBe(true);
  }
  expect(actual.steps).toEqual(expected.steps.slice(expected.steps.length - actual.steps.length));
  expect(actual.epochs).toEqual(expected.epochs.slice(expected.epochs.length - actual.epochs.length));
}

async function begun(gpu: Gpu, changed: TrainOptions = {}): Promise<Trainer> {
  const model = await Model.create(gpu, small, options.seed);
  return Trainer.create(model, dataset, { ...options, ...changed });
}

describe.each([true, false])('a snapshot goes on bit for bit on another device, shuffled: %s', (shuffle) => {
  test.each([0, 1, 4, 5, 8, 9, 10, 22])('after %d steps', async (count) => {
    const whole = await finish(await begun(first, { shuffle }));
    const trainer = await begun(first, { shuffle });
    for await (const _ of trainer.steps({ count: Math.min(count, 8) }));
    if (count > 8) {
      trainer.change({ lr: 0.004, sparsity_lambda: 0.6 });
      for await (const _ of trainer.steps({ count: count - 8 }));
    }
    const snapshot = await trainer.snapshot();
    expect(snapshot.done).toBe(count);
    // The one that it was taken of goes on as if nothing had happened.
    const rest = await finish(trainer);
    expectSame(rest, whole);
    const resumed = await Trainer.resume(second, dataset, snapshot);
    expect(resumed.done).toBe(count);
    expect(resumed.config).toEqual({ ...snapshot.training, batch_size: 5, seed: 7, shuffle });
    expectSame(await finish(resumed), whole);
  });
});

test('snapshots that are taken while submits are in flight are whole, and can be taken up twice', async () => {
  const whole = await finish(await begun(first));
  const trainer = await begun(first);
  const taking: Promise<Snapshot>[] = [];
  for await (const _ of trainer.steps({ count: 8, submitMilliseconds: 0.001 })) {
    taking.push(trainer.snapshot());
  }
  await finish(trainer);
  const snapshots = await Promise.all(taking);
  const done = snapshots.map((snapshot) => snapshot.done);
  expect(done).toEqual([3, 4, 5, 6, 7, 8, 8, 8]);
  for (const snapshot of [...snapshots, snapshots[0]]) {
    // It is plain data, which a page can keep.
    const kept = structuredClone(snapshot);
    const resumed = await Trainer.resume(second, dataset, kept);
    expectSame(await finish(resumed), whole);
  }
});

test('the time that was spent on training goes on', async () => {
  const trainer = await begun(first);
  for await (const _ of trainer.steps({ count: 7 }));
  const snapshot = await trainer.snapshot();
  expect(snapshot.seconds).toBeGreaterThan(0);
  const resumed = await Trainer.resume(second, dataset, { ...snapshot, seconds: 1000 });
  for await (const { epoch } of resumed.steps({ count: 3 })) {
    if (epoch) {
      expect(epoch.seconds).toBeGreaterThan(1000);
      expect(epoch.samples_per_second).toBeGreaterThan(0);
    }
  }
});

test('a lost device costs what came after the snapshot, no more', async () => {
  const lost = await openGpu();
  const whole = await finish(await begun(first));
  const trainer = await begun(lost);
  for await (const _ of trainer.steps({ count: 6 }));
  const snapshot = await trainer.snapshot();
  lost.device.destroy();
  await expect(trainer.snapshot()).rejects.toThrow('The device was closed while it was in use.');
  expectSame(await finish(await Trainer.resume(second, dataset, snapshot)), whole);
});

test('other rows are refused, and nothing is left on the device', async () => {
  const trainer = await begun(first);
  for await (const _ of trainer.steps({ count: 2 }));
  const snapshot = await trainer.snapshot();
  const before = second.allocatedBytes;
  const fewer = Trainer.resume(second, sliceRows(dataset, 0, 20), snapshot);
  await expect(fewer).rejects.toThrow(DataError);
  await expect(fewer).rejects.toThrow("has 20 rows, and the snapshot's training had 23. Use the same rows.");
  await expect(Trainer.resume(second, byteRows(23, 10, 1), snapshot)).rejects.toThrow(DataError);
  expect(second.allocatedBytes).toBe(before);
});

test('a training that has stopped at a loss that is not finite gives none', async () => {
  const model = await Model.create(first, small);
  const rows = floatRows(new Float32Array(23 * 9).fill(3e38), 9);
  const trainer = await Trainer.create(model, rows, options);
  const run = async () => {
    for await (const _ of trainer.steps({ count: 2 }));
  };
  await expect(run()).rejects.toThrow(NonFiniteLossError);
  await expect(trainer.snapshot()).rejects.toThrow(new NonFiniteLossError(1, 1).message);
});
