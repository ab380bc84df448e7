import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { create, globals } from 'webgpu';
import { OutOfMemoryError } from '../../../src/gpu/errors.js';
import type { GemmTile, Tiles } from '../../../src/gpu/gemm/tiles.js';
import { Gpu } from '../../../src/gpu/gpu.js';
import { loadShader } from '../../../src/node/shaders.js';
import { type CheckResult, checkDevice, checkNames } from '../../../src/sae/check/index.js';
import { long } from '../../support/long.js';

Object.assign(globalThis, globals);
/** Kept as long as the process lives: see adapters.ts. */
const provider = create([]);
const software = (await provider.requestAdapter())?.info;
const lanes = software?.subgroupMinSize === software?.subgroupMaxSize ? software?.subgroupMinSize : undefined;

/** A device whose kernels are read so. */
async function onDevice<T>(
  load: (file: string) => Promise<string>,
  use: (gpu: Gpu) => Promise<T>,
): Promise<T> {
  const gpu = await Gpu.open(provider, load, { tune: 'off' });
  try {
    return await use(gpu);
  } finally {
    gpu.close();
  }
}

async function all(checks: AsyncIterable<CheckResult>): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for await (const result of checks) results.push(result);
  return results;
}

/** Tiles of each family, also of those that this adapter does not choose. */
const shared: GemmTile = {
  family: 'shared',
  tile_rows: 2,
  tile_columns: 1,
  threads_rows: 4,
  threads_columns: 4,
  slice_depth: 2,
};
const split: GemmTile = { family: 'split', splits: 4, tile_rows: 2, tile_columns: 2 };
const register: GemmTile = {
  family: 'register',
  tile_rows: 2,
  tile_columns: 2,
  threads_rows: 4,
  threads_columns: 1,
};
const tiles: Tiles = Object.fromEntries(
  (['nt', 'nn', 'tn'] as const).flatMap((order) =>
    [shared, split, register].map((tile, i) => [`${order} ${i}x1x1`, tile]),
  ),
);

/** Files that only other options, other tiles or other adapters read. */
const unread = [
  /^bench\//,
  /^gemm\/(shared|split|register)\.wgsl$/,
  // Lines of a workgroup on a GPU, and what is read there in the place of images and maxima.
  /^sparse\/(lanes_workgroup|buffer_\w+|kept|kept_counts|kept_lists)\.wgsl$/,
  // What measures by the first latents alone, or takes a batch in blocks of rows.
  /^sparsity\/first_latents\.wgsl$/,
  /^(metrics\/block|sparse\/(survivors|kept_survivors))\.wgsl$/,
  /^sparsity\/(l0_linear|l0_quadratic|quadratic_sums)\.wgsl$/,
  // What a wide tile of a whole batch reads.
  /^rows\/batch\.wgsl$/,
];

test('this adapter passes, and nearly every kernel is among those that are checked', async () => {
  const read = new Set<string>();
  const load = (file: string) => {
    read.add(file);
    return loadShader(file);
  };
  const { results, names } = await onDevice(load, async (gpu) => ({
    results: await all(checkDevice(gpu)),
    names: checkNames(gpu),
  }));
  expect(results.filter(({ ok }) => !ok)).toEqual([]);
  expect(results.map(({ name }) => name)).toEqual(names);
  for (const { what, error, bound } of results) {
    expect(what).not.toBe('');
    expect(error).toBeLessThanOrEqual(bound);
  }
  const files = readdirSync('shaders', { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.wgsl'));
  const missing = files.filter((file) => !read.has(file));
  if (lanes === 8)
    expect(missing.filter((file) => !unread.some((pattern) => pattern.test(file)))).toEqual([]);
});

/** A kernel that is wrong: its file, a text there and what is in its place; and the check that must notice it, with what that names. */
const wrong: [file: string, text: string, instead: string, check: string, what?: RegExp][] = [
  [
    'gemm/shared.wgsl',
    'c10 = add_outer(c10, a1, b0);',
    'c10 = add_outer(c10, a0, b0);',
    'product nt shared',
    /tile_rows 2/,
  ],
  ['gemm/split.wgsl', 'k < gemm.depth_blocks', 'k < gemm.depth_blocks - 1', 'product nn split', /splits 4/],
  ['gemm/register.wgsl', 'c11 += b1 * a1;', 'c11 += b1 * a0;', 'product tn register', /tile_columns 2/],
  [
    'gemm/subgroup.wgsl',
    'subgroupShuffle(value.w, lane)',
    'subgroupShuffle(value.w, 0)',
    'product nn subgroup',
    /lanes 8/,
  ],
  [
    'gemm/wide.wgsl',
    'c7 = add_product(c7, a, 7, b);',
    'c7 = add_product(c7, a, 6, b);',
    'product nt wide',
    /the tile/,
  ],
  ['gemm/image.wgsl', 'vec3u((row', 'vec3u(1 - (row', 'product tn wide'],
  ['gemm/b.wgsl', 'let depth = depth_block * 4;', 'let depth = max(depth_block, 1) * 4;', 'product nn split'],
  // As of TF32's 11 bits.
  [
    'gemm/subgroup.wgsl',
    'store_block(first_shared + i, first_block + j, block);',
    'store_block(first_shared + i, first_block + j, block * (1 + 0x1p-11));',
    'sum of 100,003 products',
  ],
  ['sparse/output_bias.wgsl', 'row < update.rows', 'row + 1 < update.rows', 'sums over 100,003 rows'],
  [
    'sparsity/topk.wgsl',
    '*equal >= limit.staying',
    '*equal > limit.staying',
    'selection of each row',
    /1 largest/,
  ],
  ['sparsity/threshold.wgsl', '>', '>=', 'selection by thresholds'],
  [
    'sparsity/batch_histogram.wgsl',
    'atomicAdd(&digit_counts[i], here);',
    'atomicStore(&digit_counts[i], here);',
    'selection of a batch',
  ],
  ['layers/relu.wgsl', 'vec4f(0), x <= vec4f(0)', 'vec4f(0), x <= vec4f(1e-9)', 'activation relu'],
  ['layers/sigmoid.wgsl', 'exp(-x)', 'exp(clamp(-x, vec4f(-14), vec4f(14)))', 'activation sigmoid'],
  [
    'optimizer/adam.wgsl',
    'sqrt(v) * record.rates.y',
    'sqrt(v * record.rates.y)',
    'update by Adam',
    /parameters/,
  ],
  [
    'rows/u8.wgsl',
    'unpack4x8unorm(stored_rows[index])',
    'unpack4x8snorm(stored_rows[index])',
    'rows of bytes',
  ],
  [
    'rows/f32.wgsl',
    'return stored_rows[index];',
    'return vec4f(unpack2x16float(pack2x16float(stored_rows[index].xy)), stored_rows[index].zw);',
    'rows of bf16',
  ],
  [
    'rows/gather.wgsl',
    'encoder_input(row, column);',
    'select(encoder_input(row, column), vec4f(0), row == 17);',
    'rows of f16',
  ],
  [
    'sparse/select_lanes.wgsl',
    'bitcast<f32>(key)',
    'bitcast<f32>(key + 1)',
    'lists of topk',
    /^lists by row: values/,
  ],
  ['sparse/kept_lanes.wgsl', 'found++', 'found += 1 + u32(row == 3)', 'lists of batchtopk', /^lists by row/],
  [
    'sparse/decode.wgsl',
    'entries[n + 2].gradient = totals.z;',
    'entries[n + 2].gradient = totals.w;',
    'lists of topk',
    /^decoding: gradients of values/,
  ],
  [
    'sparse/decode.wgsl',
    'sums += entry.value * weights;',
    'sums += 1.0001 * entry.value * weights;',
    'lists of topk',
    /^decoding: gradients of recon/,
  ],
  ['sparse/fill.wgsl', 'countOneBits(bitmaps[first_word + i])', '0u', 'lists of topk', /^lists by latent/],
  [
    'sparse/update.wgsl',
    'for (var n = first; n < end; n++) {\n        let',
    'for (var n = first; n + 1 < end; n++) {\n        let',
    'lists of batchtopk',
    /^update of decoder.0.weight/,
  ],
  ['layers/loss.wgsl', 'scale * difference;', '1.001 * scale * difference;', 'training kl'],
  ['sparsity/kl.wgsl', '(1 - q) - r / q', '(1 - q) - 1.001 * r / q', 'training kl'],
  [
    'sparsity/jumprelu_threshold.wgsl',
    'threshold * sum.through_code',
    '1.01 * threshold * sum.through_code',
    'training jumprelu',
  ],
  ['sparse/decode_nested.wgsl', 'all += gradients[at];', 'all = gradients[at];', 'training matryoshka'],
  ['sparse/decode_residuals.wgsl', '2 * step.coefficients.x', '2.01 * step.coefficients.x', 'training topk'],
  ['optimizer/clip.wgsl', 'min(1, clip_norm', 'min(1, 1.001 * clip_norm', 'training none'],
  ['optimizer/normalize.wgsl', '1 / sqrt(squares)', '1.0001 / sqrt(squares)', 'training none'],
  ['sparsity/l1_weighted.wgsl', '* norm, exists', '* 1.001 * norm, exists', 'training l1'],
];

/**
 * The first of each check but those of trainings, and of products but the one with the tiles that this adapter chooses, which take
 * longest; and all of them in `npm run test:long`.
 */
const slow = /training (?!topk)|product .*(shared|split|register|subgroup)/;
const tried = wrong.filter(
  ([, , , name], i) => long || (wrong.findIndex((other) => other[3] === name) === i && !slow.test(name)),
);

test.each(tried)(
  'a kernel that is wrong is noticed and named: %s, %s -> %s',
  async (file, text, instead, name, what) => {
    let changed = false;
    const load = async (each: string) => {
      const code = await loadShader(each);
      if (each !== file) return code;
      changed = code.includes(text);
      return code.replaceAll(text, instead);
    };
    await onDevice(load, async (gpu) => {
      const of = name.startsWith('product') && /shared|split|register/.test(name) ? { tiles } : undefined;
      const others = checkNames(gpu, { ...(of && { of }) }).filter((other) => other !== name);
      const results = await all(checkDevice(gpu, { ...(of && { of }), passed: new Set(others) }));
      // Other adapters have neither family.
      if (results.length === 0) return expect(name).toMatch(/subgroup|wide/);
      expect(changed).toBe(true);
      expect(results.map(({ name, ok }) => [name, ok])).toEqual([[name, false]]);
      if (what) expect(results[0].what).toMatch(what);
    });
  },
);

test('a kernel that does not compile is named with its check', async () => {
  const load = async (file: string) => (file === 'rows/u8.wgsl' ? 'fn stored(' : loadShader(file));
  await onDevice(load, async (gpu) => {
    const others = new Set(checkNames(gpu).filter((name) => name !== 'rows of bytes'));
    const [result] = await all(checkDevice(gpu, { passed: others }));
    expect(result).toMatchObject({ name: 'rows of bytes', ok: false, failure: /does not compile/ });
  });
});

test('memory that there is not says nothing about answers', async () => {
  await onDevice(loadShader, async (gpu) => {
    gpu.allocate = () => Promise.reject(new OutOfMemoryError('none left'));
    const others = new Set(checkNames(gpu).filter((name) => name !== 'training topk'));
    await expect(all(checkDevice(gpu, { passed: others }))).rejects.toThrow('none left');
  });
});
