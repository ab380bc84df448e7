import { describe, expect, test } from 'vitest';
import { DataError } from '../../../src/sae/errors.js';
import { intervened, Probe, strongestLatents } from '../../../src/sae/insight/probe.js';
import { Model } from '../../../src/sae/model/model.js';
import { pickRows } from '../../../src/sae/rows/dataset.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { forward } from '../../reference/autoencoder.js';
import { gatherRows } from '../../reference/gather.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, toReference } from '../../support/models.js';

const gpu = await gpuOfFile();
const penalty = { sparsity_lambda: 0.2, sparsity_target: 0.05 };

describe.each([
  ['one layer', { in_dims: 9, h_dims: [5], activation: 'relu' as const }],
  ['two layers', { in_dims: 9, h_dims: [6, 3], activation: 'sigmoid' as const }],
])('a probe of %s', (_, config) => {
  const rows = byteRows(7, 9, 3);

  async function reference(model: Model, indices: number[], codes?: Float32Array) {
    const parameters = toReference(await model.parameters());
    const x = gatherRows(rows.data, 9, indices, rows.normalization);
    const { hidden, output } = forward({ ...config, ...penalty }, parameters, x);
    if (!codes) {
      return { hidden, output };
    }
    // The decoder by itself: an autoencoder whose encoder is the identity.
    let values = Float64Array.from(codes);
    for (const { name, activation } of model.decoder) {
      const weight = parameters[`${name}.weight`];
      const bias = parameters[`${name}.bias`].data;
      const [outputs, inputs] = weight.shape;
      values = Float64Array.from(bias, (start, o) => {
        const sum = values.reduce((total, value, i) => total + value * weight.data[o * inputs + i], start);
        return activation === 'sigmoid'
          ? 1 / (1 + Math.exp(-sum))
          : activation === 'relu'
            ? Math.max(0, sum)
            : sum;
      });
      expect(values).toHaveLength(outputs);
    }
    return { hidden, output: values };
  }

  test('is the reference\u2019s forward pass, for as many rows as it has or fewer, asked in any order', async () => {
    const model = await Model.create(gpu, config, 4);
    const probe = await Probe.create(model, 3);
    const before = gpu.allocatedBytes;
    for (const indices of [[0, 1, 2], [5], [3, 6]]) {
      const { hidden, output } = await reference(model, indices);
      const some = pickRows(rows, indices);
      const [codes, both] = await Promise.all([probe.encode(some), probe.reconstruct(some)]);
      expect(codes).toBeCloseTensor(hidden, 1e-5);
      expect(both.codes).toEqual(codes);
      expect(both.reconstructions).toBeCloseTensor(output, 1e-5);
      expect(await probe.decode(codes)).toEqual(both.reconstructions);
    }
    const edited = (await probe.encode(pickRows(rows, [2]))).fill(0.75, 1, 2).fill(0, 2, 3);
    expect(await probe.decode(edited)).toBeCloseTensor((await reference(model, [2], edited)).output, 1e-5);
    // Nothing was made on the device meanwhile.
    expect(gpu.allocatedBytes).toBe(before);
    probe.close();
    model.close();
    expect(gpu.allocatedBytes).toBe(0);
  });

  test('sees the weights of the moment while they are trained', async () => {
    const model = await Model.create(gpu, config, 4);
    const probe = await Probe.create(model);
    const one = pickRows(rows, [4]);
    const untrained = await probe.reconstruct(one);
    const trainer = await Trainer.create(model, rows, { lr: 0.05, batch_size: 3 });
    for await (const _ of trainer.steps({ count: 30, submitMilliseconds: 1 })) {
      const { codes, reconstructions } = await probe.reconstruct(one);
      expect([...codes, ...reconstructions].every(Number.isFinite)).toBe(true);
    }
    const { hidden, output } = await reference(model, [4]);
    const { codes, reconstructions } = await probe.reconstruct(one);
    expect(codes).toBeCloseTensor(hidden, 1e-5);
    expect(reconstructions).toBeCloseTensor(output, 1e-5);
    expect(reconstructions).not.toEqual(untrained.reconstructions);
    trainer.close();
    probe.close();
    model.close();
  });

  test('refuses rows of another width, and more rows than it has', async () => {
    const model = await Model.create(gpu, config);
    const probe = await Probe.create(model, 2);
    const wide = byteRows(1, 10, 1);
    await expect(probe.encode(wide)).rejects.toThrow(DataError);
    await expect(probe.reconstruct(wide)).rejects.toThrow('have 10 values, and the model takes 9');
    await expect(probe.encode(rows)).rejects.toThrow('a probe of 2 rows cannot take 7');
    await expect(probe.decode(new Float32Array(1))).rejects.toThrow(RangeError);
    probe.close();
    model.close();
  });
});

describe('codes', () => {
  const codes = Float32Array.from([0.5, 0, 2, 0.5, 1]);

  test('have their strongest latents in order, and the wanted one among them', () => {
    expect(strongestLatents(codes, 3, 2)).toEqual([2, 4, 0]);
    expect(strongestLatents(codes, 3, 1)).toEqual([2, 4, 1]);
    expect(strongestLatents(codes, 5, 1)).toEqual([2, 4, 0, 3, 1]);
  });

  test('are changed where latents are given or off, which counts more', () => {
    const changed = intervened(
      codes,
      new Map([
        [1, 3],
        [4, 9],
      ]),
      new Set([2, 4]),
    );
    expect([...changed]).toEqual([0.5, 3, 0, 0.5, 0]);
    expect([...codes]).toEqual([0.5, 0, 2, 0.5, 1]);
  });
});
