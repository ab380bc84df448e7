import { padded } from '../../gpu/tensor.js';
import { addLayer } from '../model/forward.js';
import { addSelection } from '../model/selection.js';
import { adam } from '../optimizer/adam.js';
import type { Dataset } from '../rows/dataset.js';
import { elements } from '../rows/formats/array.js';
import { rowSource } from '../rows/source.js';
import { Windows } from '../rows/window.js';
import { addBatchCut, batchCutFiles } from '../step/batchtopk.js';
import { type Check, type CheckBench, compared, different, rounding, values } from './check.js';

/** Latents of which half are 0, and of the others every third is one of four values, so that many are equal. */
function someCode(rows: number, columns: number): Float32Array<ArrayBuffer> {
  const few = [0.125, 0.5, 0.75, 1.5];
  return values(11, rows * columns).map((value, i) =>
    value <= 0 ? 0 : i % 3 === 0 ? few[(i / 3) % 4] : value,
  );
}

/** The places of the `count` largest values above 0 of a part of an array, of equal ones the first, in ascending order. */
export function largestPlaces(code: ArrayLike<number>, begin: number, end: number, count: number): number[] {
  const places: number[] = [];
  for (let i = begin; i < end; i++) if (code[i] > 0) places.push(i);
  places.sort((i, j) => code[j] - code[i] || i - j);
  return places.slice(0, count).sort((i, j) => i - j);
}

function selected(code: Float32Array, places: readonly number[]): Float32Array {
  const kept = new Float32Array(code.length);
  for (const i of places) kept[i] = code[i];
  return kept;
}

const codeSize = { rows: 37, columns: 203 } as const;

const rowSelection: Check = {
  name: 'selection of each row',
  size: `${codeSize.rows}x${codeSize.columns}`,
  async run(bench) {
    const { rows, columns } = codeSize;
    const code = someCode(rows, columns);
    const findings = [];
    for (const topk of [1, 13, 150]) {
      const tensor = bench.tensor('code', [rows, columns], code);
      await bench.run((program) =>
        addSelection(program, { selection: { topk }, threshold: undefined }, tensor),
      );
      const places = Array.from({ length: rows }, (_, row) =>
        largestPlaces(code, row * columns, (row + 1) * columns, topk),
      );
      findings.push(different(`the ${topk} largest`, await tensor.read(), selected(code, places.flat())));
    }
    return findings;
  },
};

const thresholdSelection: Check = {
  name: 'selection by thresholds',
  size: `${codeSize.rows}x${codeSize.columns}`,
  async run(bench) {
    const { rows, columns } = codeSize;
    const code = someCode(rows, columns);
    // Each fifth is a latent's own value.
    const limits = values(12, columns, 0, 1).map((limit, i) => (i % 5 === 0 ? code[i] : limit));
    const tensor = bench.tensor('code', [rows, columns], code);
    const threshold = bench.tensor('thresholds', [columns], limits);
    await bench.run((program) =>
      addSelection(program, { selection: { threshold: 'each' }, threshold }, tensor),
    );
    const expected = code.map((value, i) => (value > limits[i % columns] ? value : 0));
    return [different('latents above them', await tensor.read(), expected)];
  },
};

/** So many that several workgroups count them. */
const batchSize = { rows: 137, columns: 403 } as const;

const batchSelection: Check = {
  name: 'selection of a batch',
  size: `${batchSize.rows}x${batchSize.columns}`,
  async run(bench) {
    const { rows, columns } = batchSize;
    const code = someCode(rows, columns);
    const findings = [];
    for (const count of [1, 7000, rows * columns]) {
      const tensor = bench.tensor('code', [rows, columns], code);
      const words = (length: number) => bench.buffer('Counts', new Uint32Array(length));
      const own = {
        state: bench.buffer('The counters', new Uint32Array(2), GPUBufferUsage.UNIFORM),
        batch_cut: words(4),
        batch_bound: words(1),
        digit_counts: words(2048),
        threshold_weight: words(1),
        step: bench.step(rows, { coefficients: [0, 0, 0, count] }),
      };
      const threshold = bench.tensor('threshold', [1], new Float32Array(1));
      await bench.run((program) => {
        addBatchCut({ program, code: tensor, bindings: own, model: { threshold } });
        const selecting = { files: [...batchCutFiles, 'sparsity/batch_select.wgsl'] };
        program.add(selecting, { ...own, code: tensor }, [Math.ceil((rows * padded(columns)) / 256), 1]);
      });
      const expected = selected(code, largestPlaces(code, 0, code.length, count));
      findings.push(different(`the ${count} largest`, await tensor.read(), expected));
    }
    return findings;
  },
};

/** Activations, exp's extremes among them. */
function activationCheck(activation: 'relu' | 'sigmoid'): Check {
  const extremes = [
    0, -0, 1e-30, -1e-30, 15, -15, 87, -87, 88.7, -88.7, 89, -89, 104, -104, 1e4, -1e4, 3e38, -3e38,
  ];
  const inputs = Float32Array.from([...extremes, ...values(13, 982, -20, 20)]);
  return {
    name: `activation ${activation}`,
    size: `${inputs.length} values`,
    async run(bench) {
      const weight = bench.tensor('weight', [1, 1], Float32Array.of(1));
      const bias = bench.tensor('bias', [1], Float32Array.of(0));
      const layer = {
        name: 'encoder.0',
        part: 'encoder',
        inputs: 1,
        outputs: 1,
        activation,
        weight,
        bias,
      } as const;
      const output = bench.tensor('output', [inputs.length, 1]);
      const input = bench.tensor('input', [inputs.length, 1], inputs);
      await bench.run((program) => addLayer(program, layer, input, output));
      const expected = Array.from(inputs, (x) =>
        activation === 'relu' ? Math.max(0, x) : 1 / (1 + Math.exp(-x)),
      );
      // WGSL: exp has 3 + 2 |x| units in the last place, a division 2.5.
      const allowed = (i: number) =>
        activation === 'relu'
          ? 0
          : 2 * rounding * expected[i] * (6 + (1 - expected[i]) * (3 + 2 * Math.abs(inputs[i]))) + 2 ** -126;
      return [compared('values', await output.read(), expected, allowed)];
    },
  };
}

/** Adam by itself, with gradients of all sizes. */
const adamCheck: Check = {
  name: 'update by Adam',
  size: '1,003 values',
  async run(bench) {
    const length = 1003;
    const options = { adam_betas: [0.9, 0.999] as [number, number], adam_eps: 1e-8 };
    const [lr, t] = [0.01, 3];
    const weights = values(14, length);
    const gradient = values(15, length).map((value, i) => (i % 7 === 0 ? 0 : value * 10 ** ((i % 11) - 7)));
    const before = values(16, length, -0.1, 0.1);
    const squares = values(17, length, 0, 0.1);
    const parameters = bench.tensor('parameters', [length], weights);
    const gradients = bench.tensor('gradients', [length], gradient);
    const first_moments = bench.tensor('first moments', [length], before);
    const second_moments = bench.tensor('second moments', [length], squares);
    const rates = [...adam.rates(lr, t, options)];
    const bindings = {
      parameters,
      gradients,
      first_moments,
      second_moments,
      gradient_scale: bench.buffer('A scale', new Uint32Array(Float32Array.of(0.5).buffer)),
      state: bench.buffer('The counters', new Uint32Array(2), GPUBufferUsage.UNIFORM),
      update: bench.step(1, { rates }),
    };
    const files = ['metrics/step.wgsl', ...adam.files, 'optimizer/two_moments.wgsl', 'optimizer/update.wgsl'];
    await bench.dispatch({ files, constants: adam.constants(options) }, bindings, [2, 1]);
    const [b1, b2] = options.adam_betas;
    const scaled = gradient.map((value) => 0.5 * value);
    const m = Array.from(scaled, (g, i) => b1 * before[i] + (1 - b1) * g);
    const v = Array.from(scaled, (g, i) => b2 * squares[i] + (1 - b2) * g * g);
    const step = (i: number) =>
      ((lr / (1 - b1 ** t)) * m[i]) / (Math.sqrt(v[i] / (1 - b2 ** t)) + options.adam_eps);
    const magnitude = (i: number) => Math.abs(b1 * before[i]) + Math.abs((1 - b1) * scaled[i]);
    const relative = (i: number) => magnitude(i) / Math.max(Math.abs(m[i]), 1e-30);
    return [
      compared(
        'first moments',
        await first_moments.read(),
        m,
        (i) => 4 * rounding * magnitude(i) + 2 ** -126,
      ),
      compared('second moments', await second_moments.read(), v, (i) => 6 * rounding * v[i] + 2 ** -126),
      compared(
        'parameters',
        await parameters.read(),
        Array.from(weights, (weight, i) => weight - step(i)),
        (i) => 2 * rounding * (Math.abs(weights[i]) + (16 + 4 * relative(i)) * Math.abs(step(i))),
      ),
    ];
  },
};

/** Rows as they are on the device, taken by index, in an order that is not theirs. */
async function gatheredRows(bench: CheckBench, dataset: Dataset): Promise<Float32Array> {
  const { rows, in_dims } = dataset;
  const { gpu, scope } = bench;
  const windows = scope.use(await Windows.create(gpu, rowSource(dataset)));
  windows.open(
    0,
    Uint32Array.from({ length: rows }, (_, row) => rows - 1 - row),
  );
  const batch = bench.tensor('batch', [rows, in_dims]);
  await bench.run((program) => windows.addGather(program, bench.step(rows), batch));
  return batch.read();
}

/** The values in the order in which `gatheredRows` gives their rows. */
function turned(data: ArrayLike<number>, columns: number): number[] {
  const rows = data.length / columns;
  return Array.from(
    { length: data.length },
    (_, i) => data[(rows - 1 - Math.floor(i / columns)) * columns + (i % columns)],
  );
}

const byteRowsCheck: Check = {
  name: 'rows of bytes',
  size: '256 values',
  async run(bench) {
    const data = Uint8Array.from({ length: 258 }, (_, i) => i % 256);
    const normalization = { mean: 0.1307, std: 0.3081 };
    const dataset = { name: 'bytes', rows: 43, in_dims: 6, data, normalization };
    const expected = turned(data, 6).map((byte) => (byte / 255 - normalization.mean) / normalization.std);
    const actual = await gatheredRows(bench, dataset);
    return [compared('values', actual, expected, (i) => 16 * rounding * (Math.abs(expected[i]) + 1))];
  },
};

/** All values of half floats, as they are when they are on the device: as f32, the same ones. */
function halfRowsCheck(type: 'f16' | 'bf16'): Check {
  return {
    name: `rows of ${type}`,
    size: '65,536 values',
    async run(bench) {
      const view = new DataView(new ArrayBuffer(2));
      const data = Float32Array.from({ length: 2 ** 16 }, (_, bits) => {
        view.setUint16(0, bits, true);
        const value = elements[type].read(view, 0, true);
        // Values that are not finite are refused, and of those below what is normal a device may make 0.
        return Number.isFinite(value) && Math.abs(value) >= 2 ** -126 ? value : 0;
      });
      const dataset = { name: type, rows: 256, in_dims: 256, data, normalization: { mean: 0, std: 1 } };
      return [different('values', await gatheredRows(bench, dataset), turned(data, 256))];
    },
  };
}

/** Checks of kernels by themselves. */
export const kernelChecks: readonly Check[] = [
  rowSelection,
  thresholdSelection,
  batchSelection,
  activationCheck('relu'),
  activationCheck('sigmoid'),
  adamCheck,
  byteRowsCheck,
  halfRowsCheck('f16'),
  halfRowsCheck('bf16'),
];
