import type { Device } from '../../gpu/device.js';
import { gemmTiles } from '../../gpu/gemm/candidates.js';
import { multiply } from '../../gpu/gemm/gemm.js';
import { type GemmOrder, type GemmTile, operandShapes, type Tiles } from '../../gpu/gemm/tiles.js';
import { type Check, cancellingBound, compared, type Finding, sumBound, values } from './check.js';

const orders = ['nt', 'nn', 'tn'] as const;
/** Shapes for which an adapter takes different families and tiles: few outputs, many, and many sums. */
const chosenFor = [
  { rows: 61, columns: 21, depth: 131 },
  { rows: 253, columns: 250, depth: 133 },
  { rows: 640, columns: 517, depth: 67 },
] as const;
/** What is computed with each tile: no side is a multiple of a block, nor of a tile. */
const shape = { rows: 133, columns: 141, depth: 67 } as const;
/** Terms of a long sum. */
const longDepth = 100_003;

/** The products of every tile that an adapter may choose, in every order of operands. */
export function productChecks(gpu: Device): Check[] {
  return byFamily(
    orders.flatMap((order) =>
      chosenFor.flatMap((sizes) => gemmTiles(gpu, { order, ...sizes }).map((tile) => [order, tile] as const)),
    ),
  );
}

/** The products of tiles that were chosen for shapes. */
export function chosenProductChecks(tiles: Tiles): Check[] {
  return byFamily(Object.entries(tiles).map(([name, tile]) => [name.slice(0, 2) as GemmOrder, tile]));
}

/** A check for each family and order, of different tiles. */
function byFamily(tiles: readonly (readonly [order: GemmOrder, tile: GemmTile])[]): Check[] {
  const checks = new Map<string, { readonly order: GemmOrder; readonly tiles: Map<string, GemmTile> }>();
  for (const [order, tile] of tiles) {
    const name = `product ${order} ${tile.family}`;
    const check = checks.get(name) ?? { order, tiles: new Map() };
    check.tiles.set(tileName(tile), tile);
    checks.set(name, check);
  }
  return [...checks].map(([name, check]) => productCheck(name, check.order, check.tiles));
}

function tileName({ family, ...constants }: GemmTile): string {
  const named = Object.entries(constants).map(([name, value]) => `${name} ${value}`);
  return named.length > 0 ? named.join(', ') : 'the tile';
}

function productCheck(name: string, order: GemmOrder, tiles: ReadonlyMap<string, GemmTile>): Check {
  const { rows, columns, depth } = shape;
  return {
    name,
    size: `${rows}x${columns}x${depth}`,
    async run(bench) {
      const [a, b] = [values(1, rows * depth), values(2, columns * depth)];
      const answer = known(order, shape, a, b);
      return Promise.all(
        Array.from(tiles, async ([what, tile]) => {
          const c = await product(bench, { order, ...shape }, [a, b], tile);
          return comparedProduct(what, c, answer);
        }),
      );
    },
  };
}

/** A product whose sums are long and cancel: of the terms' magnitudes, less than a hundredth is left. */
export function longSumCheck(): Check {
  const sizes = { rows: 5, columns: 7, depth: longDepth } as const;
  return {
    name: 'sum of 100,003 products',
    size: `nt ${sizes.rows}x${sizes.columns}x${sizes.depth}`,
    async run(bench) {
      const a = values(3, sizes.rows * longDepth);
      const b = values(4, sizes.columns * longDepth);
      const [tile] = gemmTiles(bench.gpu, { order: 'nt', ...sizes });
      const c = await product(bench, { order: 'nt', ...sizes }, [a, b], tile);
      return [comparedProduct(`${tile.family}, ${tileName(tile)}`, c, known('nt', sizes, a, b))];
    },
  };
}

/** The sums over the rows of a matrix of 100,003. */
export function rowSumsCheck(): Check {
  const columns = 5;
  return {
    name: 'sums over 100,003 rows',
    size: `${longDepth}x${columns}`,
    async run(bench) {
      const a = values(5, longDepth * columns);
      const gradients = bench.tensor('gradients', [longDepth, columns], a);
      const output_bias_gradients = bench.tensor('sums', [columns]);
      const bindings = { gradients, output_bias_gradients, output: new Uint32Array([2, 0]) };
      const update = bench.step(longDepth);
      const files = ['metrics/step.wgsl', 'sparse/output_bias.wgsl'];
      await bench.dispatch({ files, constants: { adding: 0 } }, { ...bindings, update }, [2, 1]);
      const [sums, squares] = [new Float64Array(columns), new Float64Array(columns)];
      a.forEach((value, i) => {
        sums[i % columns] += value;
        squares[i % columns] += value ** 2;
      });
      const actual = await output_bias_gradients.read();
      return [compared('sums', actual, sums, (i) => cancellingBound(longDepth, squares[i]))];
    },
  };
}

type Sizes = Readonly<Record<'rows' | 'columns' | 'depth', number>>;

async function product(
  bench: Parameters<Check['run']>[0],
  { order, ...sizes }: { readonly order: GemmOrder } & Sizes,
  [left, right]: readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>],
  tile: GemmTile,
): Promise<Float32Array> {
  const shapes = operandShapes({ order, ...sizes });
  const a = bench.tensor('a', shapes.a, left);
  const b = bench.tensor('b', shapes.b, right);
  const c = bench.tensor('c', [sizes.rows, sizes.columns]);
  await bench.run((program) => multiply(program, order, a, b, c, tile));
  return c.read();
}

/** A product in double, and the bounds of its values' errors. */
interface Answer {
  readonly values: Float64Array;
  readonly bounds: Float64Array;
}

function known(order: GemmOrder, { rows, columns, depth }: Sizes, a: Float32Array, b: Float32Array): Answer {
  const values = new Float64Array(rows * columns);
  const bounds = new Float64Array(rows * columns);
  const [aRow, aStep] = order === 'tn' ? [1, rows] : [depth, 1];
  const [bColumn, bStep] = order === 'nt' ? [depth, 1] : [1, columns];
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      let squares = 0;
      let magnitude = 0;
      for (let k = 0, l = i * aRow, r = j * bColumn; k < depth; k++, l += aStep, r += bStep) {
        const term = a[l] * b[r];
        sum += term;
        squares += term ** 2;
        magnitude += Math.abs(term);
      }
      values[i * columns + j] = sum;
      bounds[i * columns + j] = Math.min(sumBound(depth) * magnitude, cancellingBound(depth, squares));
    }
  }
  return { values, bounds };
}

function comparedProduct(what: string, actual: Float32Array, { values, bounds }: Answer): Finding {
  return compared(what, actual, values, (i) => bounds[i]);
}
