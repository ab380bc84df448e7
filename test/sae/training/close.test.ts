import { describe, expect, test } from 'vitest';
import { ClosedError } from '../../../src/gpu/errors.js';
import type { ModelOptions } from '../../../src/sae/config.js';
import { LatentPictures } from '../../../src/sae/insight/latents.js';
import { Probe } from '../../../src/sae/insight/probe.js';
import { Model } from '../../../src/sae/model/model.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, sameParameters, trained } from '../../support/models.js';

const gpu = await gpuOfFile();

const small: ModelOptions = { in_dims: 9, h_dims: [6, 4] };
const dataset = byteRows(23, 9, 1);
const options = { batch_size: 5, lr: 0.01, seed: 7 };

/** Another model, trained as if nothing had happened, and nothing left of what was closed. */
async function expectSound(): Promise<void> {
  await gpu.finish();
  const { epochs } = await trained(gpu, small, dataset, { ...options, epochs: 1 });
  expect(epochs).toHaveLength(1);
  expect(gpu.allocatedBytes).toBe(0);
}

describe('a trainer that is closed', () => {
  test.each([
    ['while it is asked for more', true],
    ['between two submits', false],
  ])('%s ends its steps with a sentence, and the model stays', async (_, asked) => {
    const model = await Model.create(gpu, small, 7);
    const trainer = await Trainer.create(model, dataset, options);
    const steps = trainer.steps({ submitMilliseconds: 0.001 });
    await steps.next();
    const { done } = trainer;
    const before = asked ? steps.next() : undefined;
    trainer.close();
    const next = before ?? steps.next();
    await expect(next).rejects.toThrow(ClosedError);
    await expect(next).rejects.toThrow('The trainer was closed, and its model keeps the weights');
    expect(await steps.next()).toEqual({ done: true, value: undefined });
    await expect(trainer.steps().next()).rejects.toThrow('The trainer was closed');
    await expect(trainer.epochs().next()).rejects.toThrow('The trainer was closed');
    await expect(trainer.snapshot()).rejects.toThrow('The trainer was closed');
    expect(() => trainer.change({ lr: 1 })).toThrow('The trainer was closed');

    // The steps that were submitted were done: the same ones by themselves give the same bits.
    const other = await Model.create(gpu, small, 7);
    const again = await Trainer.create(other, dataset, options);
    for await (const _ of again.steps({ count: done }));
    expect(sameParameters(await model.parameters(), await other.parameters())).toBe(true);
    for (const made of [again, other, model]) {
      made.close();
    }
    await expectSound();
  });

  test('while a snapshot is taken of it ends that as well', async () => {
    const model = await Model.create(gpu, small, 7);
    const trainer = await Trainer.create(model, dataset, options);
    const steps = trainer.steps({ submitMilliseconds: 0.001 });
    await steps.next();
    const taking = trainer.snapshot();
    trainer.close();
    await expect(taking).rejects.toThrow('The trainer was closed');
    await expect(steps.next()).rejects.toThrow('The trainer was closed');
    model.close();
    await expectSound();
  });
});

test('a model that is closed ends what is at work with it', async () => {
  const model = await Model.create(gpu, small, 7);
  const trainer = await Trainer.create(model, dataset, options);
  const probe = await Probe.create(model, 2);
  const pictures = await LatentPictures.create(model, 2);
  const steps = trainer.steps({ submitMilliseconds: 0.001 });
  await steps.next();
  // Three blocks of rows.
  const encoding = model.encode(byteRows(3000, 9, 2));
  model.close();
  const closed = [
    encoding,
    steps.next(),
    trainer.snapshot(),
    model.encode(dataset),
    model.decode(new Float32Array(4)),
    model.reconstruct(dataset),
    model.parameters(),
    pictures.weights(),
    evaluate(model, dataset),
    Trainer.create(model, dataset, options),
  ];
  for (const ended of await Promise.allSettled(closed)) {
    const { reason } = ended as PromiseRejectedResult;
    expect(reason).toBeInstanceOf(ClosedError);
    expect(reason.message).toMatch(/^The model was closed, and its weights are gone\./);
  }
  await expect(probe.encode(byteRows(1, 9, 3))).rejects.toThrow(ClosedError);
  probe.close();
  await expect(probe.encode(byteRows(1, 9, 3))).rejects.toThrow(ClosedError);
  pictures.close();
  trainer.close();
  await expectSound();
});

test('a probe that is closed while it is at work has given what it was asked for', async () => {
  const model = await Model.create(gpu, small, 7);
  const rows = byteRows(2, 9, 3);
  const codes = await model.encode(rows);
  const probe = await Probe.create(model, 2);
  const encoding = probe.encode(rows);
  probe.close();
  expect([...(await encoding)]).toEqual([...codes]);
  model.close();
  await expectSound();
});
