import { describe, expect, test } from 'vitest';
import { Scope } from '../../../../src/gpu/scope.js';
import { parseTrainConfig } from '../../../../src/sae/config.js';
import { Model } from '../../../../src/sae/model/model.js';
import { StepBuild } from '../../../../src/sae/step/build.js';
import {
  addClear,
  addLatentLists,
  addRowLists,
  allocateLists,
  endRowLists,
} from '../../../../src/sae/step/sparse/lists.js';
import {
  allocateMaxima,
  type Maxima,
  maximaOf,
  takesMaxima,
} from '../../../../src/sae/step/sparse/maxima.js';
import { type MaximaLayout, maximaOfCode } from '../../../reference/maxima.js';
import { seededRandom } from '../../../reference/random.js';
import { topk } from '../../../reference/topk.js';
import { gpuOfFile, reals } from '../../../support/device.js';
import { long } from '../../../support/long.js';
import { plain } from '../../../support/models.js';
import { pick, shapes, someCode, upTo } from '../../../support/shapes.js';

const gpu = await gpuOfFile();
const { subgroupSize } = gpu;

/** The adapter with its subgroups, if it has usable ones, and without. */
const lanes = subgroupSize === undefined ? ['a workgroup'] : ['a subgroup', 'a workgroup'];
const byMaxima = 'an invocation, by maxima,';

let takingMaxima = false;

function useLanes(name: string): void {
  takingMaxima = name === byMaxima;
  const value = name !== 'a workgroup' ? subgroupSize : undefined;
  Object.defineProperty(gpu, 'subgroupSize', { value, configurable: true });
}

interface Case {
  readonly values: Float32Array<ArrayBuffer>;
  /** Of a batch, and those that count. */
  readonly rows: number;
  readonly counted: number;
  /** Of the step, and the most that there is room for. */
  readonly k: number;
  readonly most: number;
  /** Whether k is of the whole batch. */
  readonly batch?: boolean;
}

/** An entry as it is in either kind of list: what it belongs to, and its value's bits. */
type Listed = readonly [of: number, bits: number];

/** Selects and lists on the device: the entries by rows, and by latents. */
async function lists({ values, rows, counted, k, most, batch }: Case): Promise<[Listed[][], Listed[][]]> {
  return Scope.during(async (scope) => {
    const latents = values.length / rows;
    const sparsity = batch ? 'batchtopk' : 'topk';
    const config = parseTrainConfig<'topk' | 'batchtopk'>({
      sparsity,
      k: most,
      batch_size: rows,
      ...plain,
    });
    const model = scope.use(await Model.create(gpu, { in_dims: 1, h_dims: [latents] }));
    model.selectFor(config);
    const build = new StepBuild(scope, model, config, rows, true, true, 1e4);
    build.makeBuffer('state', 'state', 8, GPUBufferUsage.UNIFORM);
    build.makeBuffer('step', 'step', 32, GPUBufferUsage.UNIFORM);
    build.makePassBuffer('rows_active', 'active', latents * 4);
    build.makeTensor('encoder.0.output', [rows, latents]);
    allocateLists(build);
    const record = new Uint32Array([0, counted, 0, 0, 0, 0, 0, 0]);
    new Float32Array(record.buffer).set([k], 7);
    gpu.write(build.buffer('step'), record);
    // What lies past the counted rows is not zeros.
    build.code.write(values);
    // Of a step before.
    gpu.write(build.buffer('bitmaps'), new Uint8Array(build.buffer('bitmaps').size).fill(255));
    const maxima = takingMaxima && takesMaxima(build) ? notedMaxima(build, values) : undefined;
    addClear(build);
    addRowLists(build, { first: 0, rows, step: build.buffer('step') }, maxima);
    endRowLists(build);
    addLatentLists(build);
    await build.program.ready();
    build.program.submit();
    const words = async (name: string) => new Uint32Array(await gpu.read(build.buffer(name)));
    const listed = (entries: Uint32Array, first: number, end: number) =>
      Array.from({ length: end - first }, (_, i): Listed => {
        const at = 4 * (first + i);
        return [entries[at], entries[at + 1]];
      });
    const inTensor = async (name: string) => new Uint32Array(await gpu.read(build.tensor(name).buffer));
    const [row_lists, entries] = [await words('row_lists'), await inTensor('entries')];
    const [offsets, latent_entries] = [await words('latent_offsets'), await inTensor('latent_entries')];
    const active = await words('rows_active');
    const byRow = Array.from({ length: rows }, (_, row) =>
      listed(entries, row_lists[2 * row], row_lists[2 * row + 1]),
    );
    const byLatent = Array.from({ length: latents }, (_, i) =>
      listed(latent_entries, offsets[i], offsets[i + 1]),
    );
    expect(byLatent.map(({ length }) => length)).toEqual([...active]);
    return [byRow, byLatent];
  });
}

/** What the encoder's product would have noted of a code. */
function notedMaxima(build: StepBuild, values: Float32Array): Maxima {
  allocateMaxima(build);
  const maxima = maximaOf(build);
  const layout = [...(maxima.maxima as Uint32Array)] as unknown as MaximaLayout;
  gpu.write(build.buffer('code_maxima'), maximaOfCode(values, build.rows, layout));
  return maxima;
}

/** Of pre-activations, some of which may be below 0, or -0. */
async function check(given: Case): Promise<void> {
  const { values, rows, counted, k, batch } = given;
  const latents = values.length / rows;
  const activated = Float64Array.from(values.subarray(0, counted * latents), (value) => Math.max(0, value));
  const selected = topk(activated, batch ? 1 : counted, k);
  const bits = new Uint32Array(Float32Array.from(selected).buffer);
  const byRow = Array.from({ length: rows }, (): Listed[] => []);
  const byLatent = Array.from({ length: latents }, (): Listed[] => []);
  bits.forEach((value, i) => {
    const [row, latent] = [Math.floor(i / latents), i % latents];
    if (value !== 0) {
      byRow[row].push([latent, value]);
      byLatent[latent].push([row, value]);
    }
  });
  expect(await lists(given)).toEqual([byRow, byLatent]);
}

/** With some of the signs changed; in half of the cases none is. */
function someSigns(values: Float32Array<ArrayBuffer>, random: () => number) {
  const share = pick([0, 0, 0.3, 1], random);
  return values.map((value) => (random() < share ? -value : value));
}

describe.each([...lanes, byMaxima])('%s a row, k of a batch', (name) => {
  test('lists random codes, with many zeros, equal and negative values, of short batches too', async () => {
    useLanes(name);
    await shapes(gpu, async (_, { rows, columns, random }) => {
      const values = someSigns(someCode(rows * columns, random), random);
      const counted = pick([rows, upTo(rows, random)], random);
      const k = pick([1, upTo(counted * columns, random), counted * columns], random);
      await check({ values, rows, counted, k, most: columns, batch: true });
    });
  });
});

describe.each([...lanes, byMaxima])('%s a row', (name) => {
  test('lists random codes, with many zeros, equal and negative values, of short batches too', async () => {
    useLanes(name);
    await shapes(gpu, async (_, { rows, columns, random }) => {
      const values = someSigns(someCode(rows * columns, random), random);
      const most = pick([1, Math.min(2, columns), columns, upTo(columns, random)], random);
      const counted = pick([rows, upTo(rows, random)], random);
      await check({ values, rows, counted, k: pick([most, upTo(most, random)], random), most });
    });
  });

  test('whatever the digits of their bits: denormal, next to each other, infinite', async () => {
    useLanes(name);
    const some = [0x7f800000, 0x7f7fffff, 0x3f800001, 0x3f800000, 0x3f7fffff, 0x00800000, 0x007fffff];
    const more = [0x00010000, 0x00000100, 2, 1, 0];
    const all = new Float32Array(Uint32Array.from([...some, ...more, ...some, ...more]).buffer);
    const random = seededRandom(3);
    const values = Float32Array.from({ length: 7 * all.length }, () => pick([...all], random));
    for (const k of [1, 4, 24]) {
      await check({ values, rows: 7, counted: 7, k, most: 24 });
    }
  });

  test.runIf(long || name === lanes[0])(
    '65,536 latents, all of a row equal, more candidates than are held',
    async () => {
      useLanes(name);
      const latents = 65_536;
      const random = seededRandom(5);
      const values = reals(random, 4 * latents, 0, 1);
      values.fill(0.25, latents, 2 * latents);
      values.fill(0, 2 * latents, 3 * latents);
      for (const [k, most] of [
        [1, 1],
        [64, 700],
        [200, 700],
        [700, 700],
      ]) {
        await check({ values, rows: 4, counted: 4, k, most });
      }
    },
  );
});
