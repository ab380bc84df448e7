import { afterEach, expect, test, vi } from 'vitest';
import { LimitError } from '../../../src/gpu/errors.js';
import { Tensor } from '../../../src/gpu/tensor.js';
import { Model } from '../../../src/sae/model/model.js';
import { measureTraining } from '../../../src/sae/training/benchmark.js';
import { RowOrder } from '../../../src/sae/training/row-order.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { gpuOfFile, withLimits } from '../../support/device.js';
import { byteRows } from '../../support/models.js';

// What fails half-way leaves nothing on the device: the next one has all of its memory.

const gpu = await gpuOfFile();
const small = { in_dims: 9, h_dims: [6, 4] };
afterEach(() => {
  vi.restoreAllMocks();
});

/** A host without memory. */
const noMemory = () => {
  throw new RangeError('Array buffer allocation failed');
};

test('a benchmark whose trainer is refused', async () => {
  const measuring = withLimits(gpu, { maxStorageBufferBindingSize: 20_000 }, () =>
    measureTraining(gpu, { in_dims: 8, h_dims: [8], batch_size: 1024 }),
  );
  await expect(measuring).rejects.toThrow(LimitError);
  await expect(measuring).rejects.toThrow('The order of 524,288 rows at a time needs');
  expect(gpu.allocatedBytes).toBe(0);
});

test('a model whose values the host has no memory for', async () => {
  vi.spyOn(Tensor.prototype, 'write').mockImplementation(noMemory);
  await expect(Model.create(gpu, small)).rejects.toThrow('Array buffer allocation failed');
  expect(gpu.allocatedBytes).toBe(0);
});

test('a trainer whose order the host has no memory for, new or resumed', async () => {
  const model = await Model.create(gpu, small);
  const rows = byteRows(23, 9, 1);
  const trainer = await Trainer.create(model, rows, { batch_size: 5 });
  for await (const _ of trainer.steps({ count: 2 }));
  const snapshot = await trainer.snapshot();
  trainer.close();
  const before = gpu.allocatedBytes;
  const state = vi.spyOn(Uint32Array, 'from').mockImplementation(noMemory);
  await expect(Trainer.create(model, rows, { batch_size: 5 })).rejects.toThrow(
    'Array buffer allocation failed',
  );
  state.mockRestore();
  vi.spyOn(RowOrder.prototype, 'state', 'get').mockImplementation(noMemory);
  vi.spyOn(RowOrder.prototype, 'runs').mockImplementation(noMemory);
  await expect(Trainer.resume(gpu, rows, snapshot)).rejects.toThrow('Array buffer allocation failed');
  expect(gpu.allocatedBytes).toBe(before);
  model.close();
  expect(gpu.allocatedBytes).toBe(0);
});
