import { describe, expect, test } from 'vitest';
import { padded } from '../../../src/gpu/tensor.js';
import { ConfigError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import { decodeModel, encodeModel, savedModel } from '../../../src/sae/model/saved-model.js';
import { addSelection } from '../../../src/sae/model/selection.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { forward } from '../../reference/autoencoder.js';
import { seededRandom } from '../../reference/random.js';
import { topk } from '../../reference/topk.js';
import { long } from '../../support/long.js';
import '../../support/compare.js';
import { type Bench, gpuOfFile, onBench, paddingOf, reals } from '../../support/device.js';
import { byteRows, floatRows, sameParameters, toReference } from '../../support/models.js';
import { pick, shapes, someCode, upTo } from '../../support/shapes.js';

const gpu = await gpuOfFile();

/** Selects on the device, and holds the result against the reference: latents are kept as they are, to the bit. */
async function check(
  bench: Bench,
  values: Float32Array<ArrayBuffer>,
  rows: number,
  k: number,
): Promise<void> {
  const code = bench.tensor('code', [rows, values.length / rows], values);
  const program = bench.program();
  addSelection(program, { selection: { topk: k } }, code);
  await program.ready();
  program.submit();
  expect([...(await code.read())]).toEqual([...topk(Float64Array.from(values), rows, k)]);
  expect(await paddingOf(code)).toBe(0);
}

describe('the k largest latents of each row', () => {
  test('of random codes, with many zeros and many equal values', async () => {
    await shapes(gpu, async (bench, { rows, columns, random }) => {
      const values = someCode(rows * columns, random);
      await check(bench, values, rows, pick([1, 2, columns, upTo(columns, random)], random));
    });
  });

  test('whatever the digits of their bits: denormal, next to each other, infinite', async () => {
    const bits = [0x7f800000, 0x7f7fffff, 0x3f800001, 0x3f800000, 0x3f7fffff, 0x00800000, 0x007fffff];
    const more = [0x00010000, 0x00000100, 2, 1, 0];
    const all = new Float32Array(Uint32Array.from([...bits, ...more, ...bits, ...more]).buffer);
    const rows = 7;
    const random = seededRandom(3);
    const values = Float32Array.from({ length: rows * all.length }, () => pick([...all], random));
    for (let k = 1; k <= all.length; k += 3) {
      await onBench(gpu, (bench) => check(bench, values, rows, k));
    }
  });

  test.runIf(long)('of 65,536 latents, and where all of a row are equal', async () => {
    const columns = 65_536;
    const values = reals(seededRandom(4), 3 * columns, -1, 1).map((value) => Math.max(0, value));
    values.fill(0.25, columns, 2 * columns);
    for (const k of [1, 64, 40_000, columns]) {
      await onBench(gpu, (bench) => check(bench, values, 3, k));
    }
  });

  test('is not a number where a latent is not', async () => {
    await onBench(gpu, async (bench) => {
      const code = bench.tensor('code', [2, 5], Float32Array.of(1, Number.NaN, 3, 2, 0, 4, 1, 2, 3, 5));
      const program = bench.program();
      addSelection(program, { selection: { topk: 2 } }, code);
      await program.ready();
      program.submit();
      expect([...(await code.read())]).toEqual([0, Number.NaN, 3, 0, 0, 4, 0, 0, 0, 5]);
    });
  });
});

describe('a model that selects', () => {
  const sizes = { in_dims: 9, h_dims: [11, 7] };
  const rows = byteRows(30, 9, 2);
  const x = Float64Array.from(rows.data, (value) => (Math.fround(value / 255) - 0.1307) / 0.3081);

  test('does so from the beginning of its training on, in a file, and after it', async () => {
    const model = await Model.create(gpu, sizes, 3);
    const dense = await model.encode(rows);
    expect(dense.some((_, i) => i % 7 === 0 && dense.slice(i, i + 7).filter((v) => v > 0).length > 2)).toBe(
      true,
    );
    const trainer = await Trainer.create(model, rows, { sparsity: 'topk', k: 2, lr: 0.01, epochs: 3 });
    expect(model.config.selection).toEqual({ topk: 2 });
    for await (const { active } of trainer.epochs()) {
      expect(active).toBeLessThanOrEqual(2);
    }
    trainer.close();
    const config = { ...sizes, activation: 'relu', sparsity: 'topk', k: 2 } as const;
    const expected = forward(config, toReference(await model.parameters()), x);
    expect(await model.encode(rows)).toBeCloseTensor(expected.hidden, 1e-5);
    expect(await model.reconstruct(rows)).toBeCloseTensor(expected.output, 1e-5);

    const saved = decodeModel(encodeModel(await savedModel(model, rows)), 'sae.safetensors');
    expect(saved.config.selection).toEqual({ topk: 2 });
    const again = await Model.from(gpu, saved.config, saved.parameters);
    expect(await again.encode(rows)).toEqual(await model.encode(rows));
    // Measured as it is, whatever the loss consists of.
    const { mse, active } = await evaluate(again, rows);
    expect(mse).toBeCloseTo(
      expected.output.reduce((sum, value, i) => sum + (value - x[i]) ** 2, 0) / x.length,
      5,
    );
    expect(active).toBeLessThanOrEqual(2);
    again.close();

    // Trained on with another kind, it is a model of that kind.
    const other = await Trainer.create(model, rows, { sparsity: 'none' });
    expect(model.config).not.toHaveProperty('selection');
    other.close();
    model.close();
  });

  test('goes on from a snapshot to the same bits', async () => {
    const options = { sparsity: 'topk', k: 3, batch_size: 8, lr: 0.01, epochs: 4 } as const;
    const model = await Model.create(gpu, sizes, 3);
    const trainer = await Trainer.create<'topk'>(model, rows, options);
    for await (const _ of trainer.steps({ count: 6 })) {
      // Nothing to do.
    }
    const snapshot = await trainer.snapshot();
    const resumed = await Trainer.resume<'topk'>(gpu, rows, snapshot);
    expect(resumed.model.config.selection).toEqual({ topk: 3 });
    for (const each of [trainer, resumed]) {
      for await (const _ of each.epochs()) {
        // Nothing to do.
      }
    }
    expect(sameParameters(await model.parameters(), await resumed.model.parameters())).toBe(true);
    resumed.close();
    resumed.model.close();
    trainer.close();
    model.close();
  });

  test('has as many latents as it selects, and ReLU', async () => {
    await expect(Model.create(gpu, { ...sizes, selection: { topk: 8 } })).rejects.toThrow(
      new ConfigError('k must be at most 7, the number of latents, and is 8.'),
    );
    const model = await Model.create(gpu, { ...sizes, activation: 'sigmoid' });
    await expect(Trainer.create(model, rows, { sparsity: 'topk', k: 2 })).rejects.toThrow(
      'Only the latents of a ReLU can be selected: with sigmoid, none is ever 0. Use activation relu.',
    );
    expect(model.config).toEqual({ ...sizes, activation: 'sigmoid' });
    model.close();
  });

  test('trains in parts of a batch that is short, without its padding', async () => {
    // 5 rows: the padding of the batch is a row of its own in a block of four.
    const model = await Model.create(gpu, { in_dims: 6, h_dims: [padded(5)] }, 1);
    const few = floatRows(reals(seededRandom(5), 5 * 6, -1, 1), 6);
    const trainer = await Trainer.create(model, few, { sparsity: 'topk', k: 2, batch_size: 3, epochs: 1 });
    for await (const { active } of trainer.epochs()) {
      expect(active).toBeLessThanOrEqual(2);
    }
    trainer.close();
    model.close();
  });
});
