import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EngineError, OutOfMemoryError } from '../../src/gpu/errors.js';
import { gemmTiles } from '../../src/gpu/gemm/candidates.js';
import { multiply } from '../../src/gpu/gemm/gemm.js';
import { type GemmShape, type GemmTile, workgroupBlocks } from '../../src/gpu/gemm/tiles.js';
import { Tuner, type TuningOptions, type TuningStore } from '../../src/gpu/gemm/tuner.js';
import { Stopwatch } from '../../src/gpu/timing.js';
import { seededRandom } from '../reference/random.js';
import { familiesOf, gpuOfFile, onBench, reals, sameBits } from '../support/device.js';
import { long } from '../support/long.js';

const gpu = await gpuOfFile();

/** While it is called a GPU, a software adapter gets a GPU's tiles. */
function callItGpu(): void {
  Object.defineProperty(gpu, 'software', { value: false, configurable: true });
}

afterEach(() => {
  Reflect.deleteProperty(gpu, 'software');
  vi.restoreAllMocks();
});

const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 5000 }));
const shapes = fc.record({
  order: fc.constantFrom('nt', 'nn', 'tn'),
  rows: size,
  columns: size,
  depth: size,
}) satisfies fc.Arbitrary<GemmShape>;
const small: GemmShape = { order: 'nt', rows: 64, columns: 20, depth: 784 };

/** Keeps a text in memory and counts how often it was written. */
class Store implements TuningStore {
  writes = 0;
  constructor(public text?: string) {}
  async read() {
    return this.text;
  }
  async write(text: string) {
    this.text = text;
    this.writes += 1;
  }
}

const tuner = (options: TuningOptions) => new Tuner(gpu, options);
/** Stands out: no rule and no timing gives it where it is not stored. */
const last = (shape: GemmShape) => gemmTiles(gpu, shape).at(-1) as GemmTile;
const tilesIn = (store: Store): Record<string, GemmTile> => {
  const entries: { tiles: Record<string, GemmTile> }[] = Object.values(JSON.parse(store.text ?? '{}'));
  return Object.assign({}, ...entries.map(({ tiles }) => tiles));
};

describe('the tiles of a shape', () => {
  test('stay within what every adapter allows', () => {
    callItGpu();
    fc.assert(
      fc.property(shapes, (shape) => {
        const tiles = gemmTiles(gpu, shape);
        expect(tiles.length).toBeGreaterThan(0);
        for (const tile of tiles) {
          expect(['shared', 'split']).toContain(tile.family);
          const [rows, columns] = workgroupBlocks(tile);
          if (tile.family === 'split') {
            expect(rows * columns * tile.splits).toBeLessThanOrEqual(256);
            expect(rows * columns * tile.splits * 2 * 16).toBeLessThanOrEqual(16_384);
            expect(Math.log2(tile.splits) % 1).toBe(0);
          }
          if (tile.family === 'shared') {
            expect(tile.threads_rows * tile.threads_columns).toBeLessThanOrEqual(256);
            expect((rows + columns + 2) * tile.slice_depth * 4 * 16).toBeLessThanOrEqual(16_384);
          }
        }
      }),
    );
  });

  test('split its sums alike, so that timing has no say in it', () => {
    callItGpu();
    fc.assert(
      fc.property(shapes, (shape) => {
        const splits = gemmTiles(gpu, shape).map((tile) => (tile.family === 'split' ? tile.splits : 1));
        expect(new Set(splits).size).toBe(1);
      }),
    );
  });

  /** What the tiles of a shape make of the same operands. */
  async function productsOf(shape: GemmShape): Promise<Float32Array[]> {
    const { order, rows: m, columns: n, depth: k } = shape;
    const results: Float32Array[] = [];
    await onBench(gpu, async (bench) => {
      const random = seededRandom(7);
      const a = bench.tensor('a', order === 'tn' ? [k, m] : [m, k], reals(random, m * k, -1, 1));
      const b = bench.tensor('b', order === 'nt' ? [n, k] : [k, n], reals(random, k * n, -1, 1));
      for (const tile of gemmTiles(gpu, shape)) {
        const c = bench.unwritten('c', [m, n]);
        const program = bench.program();
        await multiply(program, order, a, b, c, tile);
        await program.ready();
        program.submit();
        results.push(await c.read());
      }
    });
    return results;
  }

  function expectSameBits(results: readonly Float32Array[]): void {
    expect(results.length).toBeGreaterThan(1);
    for (const result of results) {
      expect(sameBits(result, results[0])).toBe(true);
    }
  }

  const several = [
    small,
    { order: 'tn', rows: 784, columns: 24, depth: 64 },
    { order: 'nn', rows: 600, columns: 520, depth: 33 },
  ] as const;
  test.each(long ? several : several.slice(0, 1))(
    'give the same bits: $order $rows x $columns x $depth',
    async (shape) => {
      callItGpu();
      expectSameBits(await productsOf(shape));
    },
  );

  const hasWide = gpu.software && familiesOf(gpu).includes('wide');
  test.runIf(hasWide).each(long ? (['nt', 'nn', 'tn'] as const) : (['nt'] as const))(
    'give the same bits where one is wide: %s',
    async (order) => {
      const shape = { order, rows: 513, columns: 522, depth: 515 };
      expect(gemmTiles(gpu, shape)[0].family).toBe('wide');
      expectSameBits(await productsOf(shape));
    },
  );

  test.runIf(hasWide).each([
    ['a large product', 1024, 1024, 1024, true],
    ['a wide layer at a large batch', 256, 4096, 784, true],
    ['a wide layer at a small batch', 64, 1024, 784, true],
    ['a narrow layer', 64, 100, 784, false],
    ['a few rows, whatever the rest', 8, 100_000, 784, false],
    ['a long sum for few workgroups', 64, 64, 100_000, false],
  ])('wide is for %s: %i x %i x %i, %s', (_, rows, columns, depth, expected) => {
    const families = gemmTiles(gpu, { order: 'nt', rows, columns, depth }).map(({ family }) => family);
    expect(families[0] === 'wide').toBe(expected);
    expect(families.slice(1)).not.toContain('wide');
    // Compiled sooner, and in the race when tiles are timed.
    expect(families).toContain('subgroup');
  });
});

describe('tuning', () => {
  test('quick times tiles on a GPU once and then remembers', async () => {
    callItGpu();
    const store = new Store();
    const first = tuner({ store });
    const tile = await first.tile(small);
    expect(gemmTiles(gpu, small)).toContainEqual(tile);
    expect(store.writes).toBe(1);
    expect(tilesIn(store)).toEqual({ 'nt 64x20x784': tile });
    expect(first.tiles).toEqual({ 'nt 64x20x784': tile });
    expect(await first.tile(small)).toEqual(tile);

    const again = tuner({ store });
    expect(await again.stored()).toEqual({ 'nt 64x20x784': tile });
    expect(await again.tile(small)).toEqual(tile);
    expect(store.writes).toBe(1);
  });

  test('quick takes the stored tile, whichever it is', async () => {
    callItGpu();
    const store = new Store();
    await tuner({ store }).tile(small);
    const [key, entry] = Object.entries(JSON.parse(store.text ?? ''))[0] as [string, object];
    store.text = JSON.stringify({ [key]: { ...entry, tiles: { 'nt 64x20x784': last(small) } } });
    expect(await tuner({ store }).tile(small)).toEqual(last(small));
  });

  test('quick takes the likeliest on a software adapter, and writes nothing', async () => {
    const store = new Store();
    expect(await tuner({ store }).tile(small)).toEqual(gemmTiles(gpu, small)[0]);
    expect(store.writes).toBe(0);
  });

  test('full times the tiles on any adapter, whatever is stored', async () => {
    const shape: GemmShape = { order: 'nn', rows: 8, columns: 8, depth: 8 };
    const store = new Store();
    await tuner({ tune: 'full', store }).tile(shape);
    const tile = await tuner({ tune: 'full', store }).tile(shape);
    expect(gemmTiles(gpu, shape)).toContainEqual(tile);
    expect(store.writes).toBe(2);
    // What full has found, quick uses, on a software adapter too.
    expect(await tuner({ store }).tile(shape)).toEqual(tile);
  });

  test('off reads and writes nothing', async () => {
    callItGpu();
    const store: TuningStore = {
      read: () => Promise.reject(new Error('read')),
      write: () => Promise.reject(new Error('written')),
    };
    expect(await tuner({ tune: 'off', store }).tile(small)).toEqual(gemmTiles(gpu, small)[0]);
  });

  const foreign = { family: 'split', splits: 3, tile_rows: 1, tile_columns: 1 };
  test.each([
    ['no JSON', () => '{"mesa'],
    ['a list', () => '[1, 2]'],
    ['null', () => 'null'],
    ['entries of another kind', (key: string) => JSON.stringify({ [key]: 7 })],
    [
      'tiles for other kernels',
      (key: string) => JSON.stringify({ [key]: { shaders: '00', tiles: { 'nt 64x20x784': last(small) } } }),
    ],
    [
      'a tile of another kind',
      (key: string, shaders: string) =>
        JSON.stringify({ [key]: { shaders, tiles: { 'nt 64x20x784': foreign } } }),
    ],
  ])('a store that holds %s is ignored and written anew', async (_, damaged) => {
    callItGpu();
    const good = new Store();
    await tuner({ store: good }).tile(small);
    const [key, { shaders }] = Object.entries(JSON.parse(good.text ?? ''))[0] as [
      string,
      { shaders: string },
    ];
    const store = new Store(damaged(key, shaders));
    const tile = await tuner({ store }).tile(small);
    expect(gemmTiles(gpu, small)).toContainEqual(tile);
    expect(store.writes).toBe(1);
    expect(tilesIn(store)).toEqual({ 'nt 64x20x784': tile });
  });

  test('shapes that are asked for at once are timed one after the other, and all stored', async () => {
    callItGpu();
    const events: string[] = [];
    const store = new Store();
    const write = store.write.bind(store);
    store.write = (text) => {
      events.push('stored');
      return write(text);
    };
    const { allocate } = gpu;
    gpu.allocate = (what, make) => {
      events.push('begun');
      return allocate.call(gpu, what, make) as ReturnType<typeof allocate<ReturnType<typeof make>>>;
    };
    try {
      const asked = tuner({ store });
      const other = { ...small, rows: 32 };
      const [one, two] = await Promise.all([asked.tile(small), asked.tile(other), asked.tile(small)]);
      expect(events).toEqual(['begun', 'stored', 'begun', 'stored']);
      expect(tilesIn(store)).toEqual({ 'nt 64x20x784': one, 'nt 32x20x784': two });
    } finally {
      gpu.allocate = allocate;
    }
  });

  test('a tile that does not compile is left out', async () => {
    callItGpu();
    const { kernel } = gpu;
    const refused = JSON.stringify(gemmTiles(gpu, small)[0]);
    gpu.kernel = (source) =>
      JSON.stringify({ family: 'split', ...source.constants }) === refused
        ? Promise.reject(new EngineError('no such kernel'))
        : kernel.call(gpu, source);
    try {
      expect(await tuner({}).tile(small)).toEqual(gemmTiles(gpu, small)[1]);
    } finally {
      gpu.kernel = kernel;
    }
  });

  test('without memory to try tiles the likeliest is taken, and not stored', async () => {
    callItGpu();
    const store = new Store();
    const { allocate } = gpu;
    gpu.allocate = () => Promise.reject(new OutOfMemoryError('none left'));
    try {
      expect(await tuner({ store }).tile(small)).toEqual(gemmTiles(gpu, small)[0]);
      expect(store.writes).toBe(0);
    } finally {
      gpu.allocate = allocate;
    }
  });

  test('what is stored is bounded: the oldest shapes and adapters go', async () => {
    callItGpu();
    const good = new Store();
    await tuner({ store: good }).tile(small);
    const [key, { shaders }] = Object.entries(JSON.parse(good.text ?? ''))[0] as [
      string,
      { shaders: string },
    ];
    const names = Array.from({ length: 700 }, (_, i) => `nn ${i + 1}x7x7`);
    // The shape at hand has been there, as the oldest, for a tile that is none any more.
    const tiles = Object.fromEntries(['nt 64x20x784', ...names].map((name) => [name, foreign]));
    const others = Array.from({ length: 40 }, (_, i) => [`adapter ${i}`, { shaders: '00', tiles: {} }]);
    const store = new Store(JSON.stringify({ [key]: { shaders, tiles }, ...Object.fromEntries(others) }));
    const tile = await tuner({ store }).tile(small);
    const all = JSON.parse(store.text ?? '');
    expect(Object.keys(all)).toEqual([...others.slice(-15).map(([name]) => name), key]);
    expect(Object.keys(all[key].tiles)).toEqual([...names.slice(-499), 'nt 64x20x784']);
    expect(all[key].tiles['nt 64x20x784']).toEqual(tile);
  });

  test('takes the tile that was fastest', async () => {
    callItGpu();
    const shape: GemmShape = { order: 'nn', rows: 600, columns: 520, depth: 33 };
    const tiles = gemmTiles(gpu, shape);
    expect(tiles.length).toBeGreaterThan(2);
    for (const [fastest, expected] of tiles.entries()) {
      // Tiles are timed in their order.
      const seen: unknown[] = [];
      const place = (program: unknown) =>
        seen.includes(program) ? seen.indexOf(program) : seen.push(program) - 1;
      vi.spyOn(Stopwatch.prototype, 'calibrate').mockImplementation(async (program) => {
        place(program);
        return { times: 10, each: 1 };
      });
      // The fastest one is the slowest but once.
      let turn = 0;
      vi.spyOn(Stopwatch.prototype, 'time').mockImplementation(async (program) => {
        const own = place(program) === fastest;
        turn += own ? 1 : 0;
        return own ? (turn === 2 ? 5 : 50) : 20 + place(program);
      });
      expect(await tuner({}).tile(shape)).toEqual(expected);
      expect(turn).toBe(3);
    }
  });

  test('is another one with another driver, or another adapter of its vendor', async () => {
    callItGpu();
    const store = new Store();
    const tile = await tuner({ store }).tile(small);
    const { adapter } = gpu;
    const { info } = adapter;
    try {
      for (const other of [
        { description: 'another driver' },
        { device: 'another device' },
        { architecture: 'another architecture' },
        { vendor: 'another vendor' },
      ]) {
        const names = ['vendor', 'architecture', 'device', 'description'] as const;
        const told = Object.fromEntries(names.map((name) => [name, info[name]]));
        Object.defineProperty(gpu, 'adapter', { value: { info: { ...told, ...other } }, configurable: true });
        expect(await tuner({ store }).stored()).toEqual({});
      }
    } finally {
      Object.defineProperty(gpu, 'adapter', { value: adapter, configurable: true });
    }
    expect(await tuner({ store }).stored()).toEqual({ 'nt 64x20x784': tile });
  });

  test('what is stored of other adapters stays', async () => {
    callItGpu();
    const other = { shaders: '00', tiles: { 'nn 1x1x1': foreign } };
    const store = new Store(JSON.stringify({ 'another adapter': other }));
    await tuner({ store }).tile(small);
    expect(JSON.parse(store.text ?? '')['another adapter']).toEqual(other);
  });

  test('given tiles are used, and refused where they are none of this adapter', async () => {
    callItGpu();
    const given = tuner({ tune: 'off', tiles: { 'nt 64x20x784': last(small) } });
    expect(await given.tile(small)).toEqual(last(small));
    const wrong = tuner({ tune: 'off', tiles: { 'nt 64x20x784': foreign as GemmTile } });
    await expect(wrong.tile(small)).rejects.toThrow(
      /^The tile given for nt 64x20x784 is not one that this adapter \(.*\) can use/,
    );
  });
});
