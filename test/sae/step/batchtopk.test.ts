import { describe, expect, test } from 'vitest';
import { Model } from '../../../src/sae/model/model.js';
import { addBatchCut, batchCutFiles } from '../../../src/sae/step/batchtopk.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { seededRandom } from '../../reference/random.js';
import { batchTopk } from '../../reference/topk.js';
import { long } from '../../support/long.js';
import '../../support/compare.js';
import { type Bench, gpuOfFile, onBench, paddingOf, reals } from '../../support/device.js';
import { byteRows, sameParameters } from '../../support/models.js';
import { pick, shapes, someCode, upTo } from '../../support/shapes.js';

const gpu = await gpuOfFile();

interface Batch {
  readonly values: Float32Array<ArrayBuffer>;
  readonly columns: number;
  /** Rows of the batch; more may be in the code. */
  readonly rows: number;
  readonly count: number;
}

/** Selects on the device, and holds the result against the reference, bit by bit. Returns the thresholds after each batch. */
async function check(bench: Bench, batches: readonly Batch[]): Promise<number[]> {
  const [{ columns, values: first }] = batches;
  const code = bench.tensor('code', [first.length / columns, columns]);
  const thresholds = bench.tensor('threshold', [1]);
  const own = {
    state: bench.buffer(Uint32Array.of(0, 0), 8, GPUBufferUsage.UNIFORM),
    batch_cut: bench.buffer(Uint32Array.of(7, 7, 7, 7)),
    batch_bound: bench.buffer(Uint32Array.of(7)),
    digit_counts: bench.buffer(new Uint32Array(2048)),
    threshold_weight: bench.buffer(Uint32Array.of(0)),
  };
  const after: number[] = [];
  for (const { values, rows, count } of batches) {
    code.write(values);
    const program = bench.program();
    const step = bench.step({ rows, coefficients: [0, 0, 0, count] });
    addBatchCut({ program, code, bindings: { ...own, step } as never, model: { threshold: thresholds } });
    const selecting = { files: [...batchCutFiles, 'sparsity/batch_select.wgsl'] };
    program.add(selecting, { ...own, code }, [Math.ceil(code.buffer.size / 1024), 1]);
    await program.ready();
    program.submit();
    const batch = Float64Array.from(values.subarray(0, rows * columns));
    const selected = (await code.read()).subarray(0, rows * columns);
    expect([...selected]).toEqual([...batchTopk(batch, count)]);
    expect(await paddingOf(code, 'columns')).toBe(0);
    after.push((await thresholds.read())[0]);
  }
  return after;
}

describe('the largest latents of a batch', () => {
  test('of random codes, with many zeros and many equal values', async () => {
    await shapes(gpu, async (bench, { rows, columns, random }) => {
      const values = someCode(rows * columns, random);
      const short = upTo(rows, random);
      const count = pick([0, 1, short, short * columns, upTo(short * columns, random)], random);
      await check(bench, [{ values, columns, rows: short, count }]);
    });
  });

  test.runIf(long)('of 65,536 latents, and where all are equal', async () => {
    const columns = 65_536;
    const values = reals(seededRandom(4), 3 * columns, -1, 1).map((value) => Math.max(0, value));
    const equal = new Float32Array(values.length).fill(0.25);
    const batches = [1, 192, 100_000, 3 * columns].flatMap((count) =>
      [values, equal].map((of) => ({ values: of, columns, rows: 3, count })),
    );
    await onBench(gpu, (bench) => check(bench, batches));
  });

  test('the threshold is the mean of the smallest that stay, from the first batch on', async () => {
    const of = (...values: number[]) => ({ values: Float32Array.from(values), columns: 2, rows: 2 });
    const batches = [
      { ...of(3, 1, 2, 4), count: 2 },
      // Fewer are above 0 than may stay; none is.
      { ...of(0, 0, 5, 0), count: 2 },
      { ...of(0, 0, 0, 0), count: 2 },
      { ...of(9, 8, 7, 6), count: 3 },
    ];
    const after = await onBench(gpu, (bench) => check(bench, batches));
    // Means with weights 0.99^i, as Adam's corrected moments are.
    const mean = (...smallest: number[]) => {
      const weights = smallest.map((_, i) => 0.99 ** (smallest.length - 1 - i));
      const sum = smallest.reduce((total, value, i) => total + weights[i] * value, 0);
      return sum / weights.reduce((a, b) => a + b);
    };
    expect(after).toBeCloseTensor([3, mean(3, 5), mean(3, 5), mean(3, 5, 7)], 1e-6);
  });
});

describe('a model that is trained so', () => {
  const sizes = { in_dims: 9, h_dims: [11, 7] };
  const rows = byteRows(30, 9, 2);
  const options = { sparsity: 'batchtopk', k: 1.5, batch_size: 8, lr: 0.01, epochs: 4 } as const;

  test('goes on from a snapshot to the same bits, threshold included', async () => {
    const model = await Model.create(gpu, sizes, 3);
    const trainer = await Trainer.create<'batchtopk'>(model, rows, options);
    for await (const _ of trainer.steps({ count: 6 }));
    const snapshot = await trainer.snapshot();
    const resumed = await Trainer.resume<'batchtopk'>(gpu, rows, snapshot);
    for (const each of [trainer, resumed]) {
      for await (const { active, threshold } of each.epochs()) {
        expect(active).toBeLessThanOrEqual(1.5);
        expect(threshold).toBeGreaterThan(0);
      }
    }
    expect([...(await model.parameters()).keys()]).toContain('encoder.2.threshold');
    expect(sameParameters(await model.parameters(), await resumed.model.parameters())).toBe(true);
    resumed.close();
    resumed.model.close();
    trainer.close();
    model.close();
  });

  test('goes on from its threshold when it is trained on, and can keep the k largest instead', async () => {
    const model = await Model.create(gpu, sizes, 3);
    for (let i = 0; i < 2; i++) {
      const before = (await model.threshold?.read())?.[0];
      const trainer = await Trainer.create<'batchtopk'>(model, rows, options);
      for await (const { steps } of trainer.steps({ count: 1 })) {
        const code = await trainer.step.build.code.read();
        const smallest = Math.min(...code.filter((value) => value > 0));
        const expected = before === undefined ? smallest : before + 0.01 * (smallest - before);
        expect(steps[0].threshold / expected).toBeCloseTo(1, 6);
      }
      trainer.close();
    }
    model.select({ topk: 1 });
    const codes = await model.encode(rows);
    for (let row = 0; row < rows.rows; row++) {
      expect(codes.subarray(row * 7, row * 7 + 7).filter((value) => value > 0).length).toBeLessThanOrEqual(1);
    }
    model.close();
  });
});
