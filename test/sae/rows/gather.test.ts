import { describe, expect, test } from 'vitest';
import { padded } from '../../../src/gpu/tensor.js';
import type { Dataset } from '../../../src/sae/rows/dataset.js';
import { rowSource } from '../../../src/sae/rows/source.js';
import { Windows } from '../../../src/sae/rows/window.js';
import { gatherRows } from '../../reference/gather.js';
import { seededRandom } from '../../reference/random.js';
import '../../support/compare.js';
import { type Bench, gpuOfFile, paddingOf, reals, withLimits } from '../../support/device.js';
import { type Shape, shapes, upTo } from '../../support/shapes.js';

const gpu = await gpuOfFile();
const tolerance = 1e-5;
const normalization = { mean: 0.1307, std: 0.3081 };

function dataset({ columns, random }: Shape, rows: number, bits: 'u8' | 'f32'): Dataset {
  const values = reals(random, rows * columns, -2, 2);
  const data = bits === 'u8' ? Uint8Array.from(values, (value) => (value + 2) * 63.9) : values;
  return { name: 'test rows', rows, in_dims: columns, data, normalization };
}

/** Gathers a batch from the middle of an order with repeated rows, the last of them possibly missing. */
async function check(bench: Bench, shape: Shape, bits: 'u8' | 'f32', partRows?: number) {
  const { rows, columns, random } = shape;
  const order = { first: upTo(5, random) - 1, present: upTo(rows, random) };
  // The order of a window has as many rows as the window.
  const stored = dataset(shape, Math.max(upTo(40, random), order.first + rows), bits);
  const taken = Uint32Array.from({ length: stored.rows }, () => upTo(stored.rows, random) - 1);
  const rowBytes = padded(columns) * stored.data.BYTES_PER_ELEMENT;
  // The order itself must fit into a binding.
  const parts = partRows === undefined ? 0 : Math.max(partRows, Math.ceil((4 * stored.rows) / rowBytes));
  const limits = parts === 0 ? {} : { maxStorageBufferBindingSize: parts * rowBytes };
  const windows = await withLimits(gpu, limits, () => Windows.create(gpu, rowSource(stored)));
  try {
    if (parts > 0) {
      expect(windows.parts.length).toBe(Math.ceil(stored.rows / parts));
    }
    const batch = bench.unwritten('batch', [rows, columns]);
    const program = bench.program();
    const step = bench.step({ first_row: order.first, rows: order.present });
    windows.open(0, taken);
    windows.addGather(program, step, batch);
    await program.ready();
    program.submit();
    const expected = new Float64Array(rows * columns);
    const indices = taken.subarray(order.first, order.first + order.present);
    expected.set(gatherRows(stored.data, columns, indices, normalization));
    expect(await batch.read()).toBeCloseTensor(expected, tolerance);
    expect(await paddingOf(batch)).toBe(0);
  } finally {
    windows.destroy();
  }
}

describe('rows of more pieces, of 1 MiB, than are on their way to the device at once,', () => {
  test.each([
    ['in one part', undefined],
    ['in several', 5 * 2 ** 20],
  ])('lie on the device as they are, with zeros after each: %s', async (_, part) => {
    const [rows, columns] = [17_900, 997];
    const data = new Uint8Array(rows * columns);
    const random = seededRandom(3);
    const words = new Uint32Array(data.buffer, 0, Math.floor(data.length / 4));
    words.forEach((_word, i) => {
      words[i] = random() * 2 ** 32;
    });
    expect(data.length).toBeGreaterThan(17 * 2 ** 20);
    const source = rowSource({ name: 'test rows', rows, in_dims: columns, data, normalization });
    const reads: number[] = [];
    const counted = {
      ...source,
      read: (first: number, end: number) => {
        reads.push(end - first);
        return source.read(first, end);
      },
    };
    const limits = part ? { maxStorageBufferBindingSize: part } : {};
    const windows = await withLimits(gpu, limits, () => Windows.create(gpu, counted));
    try {
      expect(Math.max(...reads)).toBe(1048);
      expect(reads.reduce((sum, count) => sum + count)).toBe(rows);
      expect(windows.parts).toHaveLength(part ? 4 : 1);
      // What they went through is not needed any more.
      expect(gpu.allocatedBytes).toBe(rows * 1000 + rows * 4);
      let row = 0;
      for (const { buffer, first } of windows.parts) {
        expect(first).toBe(row);
        const bytes = Buffer.from(await gpu.read(buffer));
        for (let at = 0; at < bytes.length; at += 1000, row++) {
          const own = data.subarray(row * columns, (row + 1) * columns);
          if (!bytes.subarray(at, at + columns).equals(own) || bytes.readUIntBE(at + columns, 3) !== 0) {
            expect.fail(`row ${row} is another one`);
          }
        }
      }
      expect(row).toBe(rows);
    } finally {
      windows.destroy();
    }
  });
});

describe('a batch of gathered rows', () => {
  test.each(['u8', 'f32'] as const)('%s', async (bits) => {
    await shapes(gpu, (bench, shape) => check(bench, shape, bits));
  });

  test.each(['u8', 'f32'] as const)('%s in several parts', async (bits) => {
    await shapes(gpu, (bench, shape) => check(bench, shape, bits, upTo(9, shape.random)));
  });
});
