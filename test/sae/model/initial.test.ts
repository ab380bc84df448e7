import { expect, test } from 'vitest';
import type { ModelOptions, TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, sameParameters } from '../../support/models.js';

const gpu = await gpuOfFile();
const sizes = { in_dims: 30, h_dims: [50, 17, 70] };

async function parametersOf(options: ModelOptions, training: number | TrainOptions) {
  const model = await Model.create(gpu, options, training);
  try {
    return await model.parameters();
  } finally {
    model.close();
  }
}

/** The norm of each column of a matrix. */
function columnNorms({ shape: [rows, columns], data }: { shape: readonly number[]; data: Float32Array }) {
  return Array.from({ length: columns }, (_, j) =>
    Math.hypot(...Array.from({ length: rows }, (_, i) => data[i * columns + j])),
  );
}

/** Whether the encoder's layers are the decoder's, mirrored and transposed. */
function expectTransposes(parameters: Parameters, layers: number): void {
  for (let layer = 0; layer < layers; layer++) {
    const encoder = parameters.get(`encoder.${2 * layer}.weight`)!;
    const decoder = parameters.get(`decoder.${2 * (layers - 1 - layer)}.weight`)!;
    const [outputs, inputs] = encoder.shape;
    expect(decoder.shape).toEqual([inputs, outputs]);
    encoder.data.forEach((value, i) => {
      expect(value).toBe(decoder.data[(i % inputs) * outputs + Math.floor(i / inputs)]);
    });
  }
}

test('a number is a seed, and means what the default kind of sparsity does', async () => {
  const [seed, options, other] = [
    await parametersOf(sizes, 5),
    await parametersOf(sizes, { seed: 5 }),
    await parametersOf(sizes, { seed: 6 }),
  ];
  expect(sameParameters(seed, options)).toBe(true);
  expect(sameParameters(seed, other)).toBe(false);
  expect(() => expectTransposes(seed, 3)).toThrow();
});

test('decoder_transpose: each encoder layer is the transpose of its mirror, which is as nn.Linear has it', async () => {
  const parameters = await parametersOf(sizes, { seed: 5, encoder_init: 'decoder_transpose' });
  expectTransposes(parameters, 3);
  for (const [name, { shape, data }] of parameters) {
    if (shape.length === 1) {
      expect(
        data.every((value) => value === 0),
        name,
      ).toBe(true);
    } else if (name.startsWith('decoder')) {
      const bound = shape[1] ** -0.5;
      expect(Math.max(...data.map(Math.abs)), name).toBeLessThanOrEqual(Math.fround(bound));
      // The variance of a uniform distribution. 850 values or more: within 10 % of it.
      const variance = data.reduce((sum, value) => sum + value ** 2, 0) / data.length;
      expect(Math.abs((variance * 3) / bound ** 2 - 1), name).toBeLessThan(0.1);
    }
  }
});

test.each([
  ['random', 12 ** -0.5],
  ['decoder_transpose', 70 ** -0.5],
] as const)('tied weights are drawn once: %s', async (encoder_init, bound) => {
  for (const decoder_norm of ['none', 'unit'] as const) {
    const start = { seed: 5, encoder_init, decoder_norm };
    const parameters = await parametersOf({ in_dims: 12, h_dims: [70], tied: true }, start);
    expectTransposes(parameters, 1);
    const { shape, data } = parameters.get('decoder.0.weight')!;
    if (decoder_norm === 'unit') {
      expect(columnNorms({ shape, data })).toBeCloseTensor(Array(70).fill(1), 1e-6);
    } else {
      const largest = Math.max(...data.map(Math.abs));
      expect(largest / bound).toBeGreaterThan(0.98);
      expect(largest / bound).toBeLessThanOrEqual(1 + 1e-7);
    }
  }
});

// dictionary_learning's AutoEncoderTopK: columns of norm 1, and the encoder a copy of that.
test('decoder_norm unit: the first decoder layer has columns of norm 1 from the start, and the encoder their transpose', async () => {
  const start = { seed: 5, decoder_norm: 'unit', encoder_init: 'decoder_transpose' } as const;
  for (const h_dims of [[70], [50, 17, 70]]) {
    const parameters = await parametersOf({ in_dims: 30, h_dims }, start);
    const norms = columnNorms(parameters.get('decoder.0.weight')!);
    expect(norms).toHaveLength(70);
    expect(norms).toBeCloseTensor(Array(70).fill(1), 1e-6);
    expectTransposes(parameters, h_dims.length);
  }
});

test('decoder_norm unit: a random encoder stays as it is', async () => {
  const plain = await parametersOf(sizes, { seed: 5 });
  const unit = await parametersOf(sizes, { seed: 5, decoder_norm: 'unit' });
  for (const [name, { shape, data }] of plain) {
    const { data: seen } = unit.get(name)!;
    const norms = columnNorms({ shape, data });
    const expected = name === 'decoder.0.weight' ? data.map((value, i) => value / norms[i % shape[1]]) : data;
    expect(seen, name).toBeCloseTensor(expected, 1e-6);
  }
});

test('with decoder_norm unit a training begins with the model that it goes on with', async () => {
  const options = { sparsity: 'topk', k: 3, decoder_norm: 'unit', lr: 1e-12, batch_size: 12 } as const;
  const model = await Model.create(gpu, { in_dims: 9, h_dims: [20] }, options);
  const before = await model.parameters();
  const trainer = await Trainer.create(model, byteRows(12, 9, 1), options);
  for await (const _ of trainer.steps({ count: 1 }));
  for (const [name, { data }] of await model.parameters()) {
    expect([...data, 1], name).toBeCloseTensor([...before.get(name)!.data, 1], 1e-6);
  }
  trainer.close();
  model.close();
});
