import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { GemmTile } from '../../src/gpu/gemm/tiles.js';
import { optionsOf } from '../../src/sae/options.js';
import { type SparsityName, sparsityNames, sparsityOf } from '../../src/sae/sparsity/index.js';
import { gatherRows } from '../reference/gather.js';
import { ReferenceTrainer } from '../reference/trainer.js';
import { type ParityVector, parityVectors } from '../reference/vectors.js';
import '../support/compare.js';
import { digits, initialParameters, config as job } from '../support/default-job.js';
import { modelConfig, plain, rowOrders, toReference } from '../support/models.js';
import { deinterleaved } from '../support/moments.js';

/** The binary of the package for this system: its launcher, `.bin/deno`, would put a copy beside itself. */
function findDeno(): string | undefined {
  const require = createRequire(new URL('node_modules/deno/package.json', import.meta.url));
  try {
    for (const name of Object.keys(require('./package.json').optionalDependencies)) {
      try {
        const folder = join(require.resolve(`${name}/package.json`), '..');
        return join(folder, process.platform === 'win32' ? 'deno.exe' : 'deno');
      } catch {
        // For another system.
      }
    }
  } catch {
    // Not installed.
  }
  return undefined;
}

const deno = findDeno();
if (!deno) {
  console.log('The tests in Deno are skipped: there is none in test/runtimes/node_modules.');
}

/** What engine.deno.mjs gives back. */
interface Given {
  readonly adapter: string;
  readonly used: readonly string[];
  /** Of each vector. */
  readonly trained: readonly {
    readonly output: number[];
    readonly hidden: number[];
    readonly first: Record<string, number>;
    readonly moments: Record<string, { shape: number[]; values: number[]; together: number }>;
    readonly after: Record<string, Record<string, number[]>>;
  }[];
  readonly losses: readonly number[];
}

/** A tile of each family, as small as may be: a software adapter takes long to compile large ones. */
const tiles: { readonly [F in GemmTile['family']]: GemmTile & { family: F } } = {
  shared: {
    family: 'shared',
    tile_rows: 1,
    tile_columns: 1,
    threads_rows: 8,
    threads_columns: 8,
    slice_depth: 4,
  },
  split: { family: 'split', splits: 8, tile_rows: 2, tile_columns: 4 },
  register: { family: 'register', tile_rows: 1, tile_columns: 1, threads_rows: 4, threads_columns: 1 },
  subgroup: {
    family: 'subgroup',
    lanes: 8,
    lane_blocks: 1,
    shared_blocks: 2,
    turns: 2,
    lanes_along_rows: 0,
  },
  wide: { family: 'wide' },
};

/** Of a kind of sparsity, what changes its kernels. */
function options(sparsity: SparsityName): object[] {
  const l0Losses = [{ l0_loss: 'linear' }, { l0_loss: 'quadratic', l0_target: 2 }, { l0_loss: 'tanh' }];
  const { fixed } = sparsityOf(sparsity);
  const own = 'l0_loss' in fixed ? l0Losses : [{}];
  return own.map((some) => ({ sparsity, ...('k' in fixed && { k: 2 }), ...some }));
}

/** Every kind of sparsity, with each value of its flags, both activations where it has both, fused and stored gradients, a centred input, tied weights, each kind of loss, lists. */
function configurations(): object[] {
  // Matryoshka's codes are lists.
  const matrices = sparsityNames.filter((sparsity) => sparsity !== 'matryoshka');
  const kinds = matrices.flatMap((sparsity) => {
    const flags = optionsOf(sparsityOf(sparsity).fixed).filter(({ name, kind }) => {
      // Of one layer alone, and of lists.
      return kind === 'flag' && name !== 'rescale_acts_by_decoder_norm';
    });
    return flags.reduce<object[]>(
      (all, { name }) => all.flatMap((one) => [true, false].map((value) => ({ ...one, [name]: value }))),
      options(sparsity),
    );
  });
  const sizes = { in_dims: 8, h_dims: [6, 4], batch_size: 8, ...plain };
  const centred = { sparsity: 'none', activation: 'relu', pre_bias: true, decoder_norm: 'unit' };
  const all = kinds.flatMap((kind) =>
    (sparsityOf((kind as { sparsity: SparsityName }).sparsity).selection
      ? ['relu']
      : ['relu', 'sigmoid']
    ).flatMap((activation) =>
      [{}, { clip_norm: 1 }].map((clip) => ({ ...sizes, ...kind, activation, ...clip })),
    ),
  );
  const tied = { ...sizes, h_dims: [6], sparsity: 'none', activation: 'relu', tied: true };
  // Few of many latents are lists.
  const lists = { ...sizes, h_dims: [64], sparsity: 'topk', k: 4, activation: 'relu' };
  const others = [
    { clip_norm: 1 },
    { revive: 'auxk', auxk_loss: 'dictionary_learning' },
    { revive: 'auxk', auxk_loss: 'saelens' },
    { revive: 'auxk', auxk_loss: 'openai' },
    { rescale_acts_by_decoder_norm: true },
    { rescale_acts_by_decoder_norm: true, revive: 'auxk', auxk_loss: 'saelens' },
    { sparsity: 'batchtopk' },
    { sparsity: 'batchtopk', batch_size: 128 },
    { sparsity: 'batchtopk', rescale_acts_by_decoder_norm: true },
    { sparsity: 'matryoshka' },
    { reconstruction: 'fvu' },
  ];
  const asLists = [lists, { ...centred, ...lists }, ...others.map((own) => ({ ...lists, ...own }))];
  return [...all, { ...sizes, ...centred }, tied, ...asLists];
}

/** With what the model has besides the options of its training. */
function withSelection(vector: ParityVector): object {
  const { selection } = modelConfig(vector.config);
  return { ...vector, config: { ...plain, ...vector.config, ...(selection && { selection }) } };
}

const steps = 100;
// Matryoshka's decoder lies on the device in another order, which engine.deno.mjs does not know.
const vectors = parityVectors().filter(({ config }) => config.sparsity !== 'matryoshka');

describe.skipIf(!deno)('in Deno', () => {
  let given: Given;

  beforeAll(async () => {
    // It may read, and that is all.
    const allowed = ['--allow-read', '--no-prompt', '--no-lock'];
    const program = fileURLToPath(new URL('engine.deno.mjs', import.meta.url));
    const child = spawn(deno!, ['run', ...allowed, program], { stdio: ['pipe', 'pipe', 'pipe'] });
    const file = fileURLToPath(new URL('../../dist/data/mnist-10k.idx.gz', import.meta.url));
    child.stdin.on('error', () => {
      // It has ended; why is on its standard error.
    });
    child.stdin.end(
      JSON.stringify({
        tiles,
        configs: configurations(),
        vectors: vectors.map(withSelection),
        job: { config: job, file, steps },
      }),
    );
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    const [out, said, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    expect([status, said]).toEqual([0, '']);
    given = JSON.parse(out);
  }, 300_000);

  test('naga compiles every file in shaders/', () => {
    const files = readdirSync(new URL('../../shaders/', import.meta.url), {
      recursive: true,
      encoding: 'utf8',
    });
    const kernels = files.filter((file) => file.endsWith('.wgsl')).map((file) => file.replaceAll('\\', '/'));
    expect([...given.used].sort()).toEqual(kernels.sort());
    console.log(`Deno: ${kernels.length} files of WGSL, ${vectors.length} vectors on ${given.adapter}`);
  });

  test.each(vectors.map((vector, i) => ({ ...vector, i })))('$name', ({ i, ...vector }) => {
    const { output, hidden, first, moments, after } = given.trained[i];
    const close = (what: string, actual: ArrayLike<number>, expected: ArrayLike<number>) =>
      expect(actual, what).toBeCloseTensor(expected, 1e-5);
    // Once trained, batchtopk would keep what is above a threshold.
    if (vector.config.sparsity !== 'batchtopk') {
      close('output', output, vector.output);
    }
    close('hidden', hidden, vector.hidden);
    for (const [name, value] of Object.entries({ mse: vector.mse, loss: vector.loss, ...vector.terms })) {
      close(name, [first[name]], [value]);
    }
    expect(Object.keys(moments).sort()).toEqual(Object.keys(vector.grads).sort());
    for (const [name, { shape, values, together }] of Object.entries(moments)) {
      // After one step Adam's first moment is a tenth of the gradient.
      const gradient = deinterleaved(shape, Float32Array.from(values), together)[0].map(
        (moment) => moment * 10,
      );
      close(`the gradient of ${name}`, gradient, vector.grads[name]);
    }
    expect(Object.keys(after)).toEqual(Object.keys(vector.params_after));
    for (const [step, parameters] of Object.entries(vector.params_after)) {
      for (const [name, values] of Object.entries(parameters)) {
        close(`${name} after ${step} steps`, after[step][name], values);
      }
    }
  });

  test(`the first ${steps} losses of the default job are those of the reference`, async () => {
    const rows = await digits();
    const reference = new ReferenceTrainer(job, toReference(initialParameters(job, job.seed)));
    const order = rowOrders(rows.rows, job.seed).next().value!;
    const losses = Array.from({ length: steps }, (_, step) => {
      const batch = order.subarray(step * job.batch_size, (step + 1) * job.batch_size);
      return reference.step(gatherRows(rows.data, rows.in_dims, batch, rows.normalization)).losses.loss;
    });
    expect(given.losses).toHaveLength(steps);
    for (const [i, loss] of losses.entries()) {
      expect(Math.abs(given.losses[i] / loss - 1), `step ${i + 1}`).toBeLessThan(1e-4);
    }
  });
});
