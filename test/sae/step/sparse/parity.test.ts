import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { TrainOptions } from '../../../../src/sae/config.js';
import { Model } from '../../../../src/sae/model/model.js';
import type { SparsityName } from '../../../../src/sae/sparsity/index.js';
import { momentsOf } from '../../../../src/sae/step/update.js';
import { evaluate } from '../../../../src/sae/training/evaluate.js';
import { Trainer } from '../../../../src/sae/training/trainer.js';
import { seededRandom } from '../../../reference/random.js';
import { ReferenceTrainer } from '../../../reference/trainer.js';
import { parityVectors } from '../../../reference/vectors.js';
import { long } from '../../../support/long.js';
import '../../../support/compare.js';
import { gpuOfFile, reals, sameBits } from '../../../support/device.js';
import {
  byteRows,
  firstGradient,
  floatRows,
  modelConfig,
  plain,
  sameParameters,
  toParameters,
  toReference,
} from '../../../support/models.js';
import { compare, published, training, unit } from '../../../support/published.js';

const gpu = await gpuOfFile();

/** Where lists begin: by default at any width, which makes every case here one of lists. */
const crossover = vi.hoisted(() => ({ leastLatents: 0 }));
vi.mock('../../../../src/sae/step/sparse/crossover.js', () => crossover);

const { subgroupSize } = gpu;
const lanes = subgroupSize === undefined ? ['a workgroup'] : ['a subgroup', 'a workgroup'];

/** What a step makes of its values together, it makes of a subgroup or of a workgroup. */
function useLanes(name: string): void {
  const value = name === 'a subgroup' ? subgroupSize : undefined;
  Object.defineProperty(gpu, 'subgroupSize', { value, configurable: true });
}

beforeEach(() => {
  crossover.leastLatents = 0;
  useLanes(lanes[0]);
});

const vectors = parityVectors().filter(
  ({ config }) => config.sparsity === 'topk' && config.h_dims.length === 1 && !config.tied,
);

describe.each(long ? lanes : lanes.slice(0, 1))('with the lanes of %s', (name) => {
  test.each(vectors)('$name', async ({ config, params, x, ...vector }) => {
    const { in_dims, rows, h_dims: _h, activation: _a, pre_bias: _p, ...options } = config;
    const model = await Model.from(gpu, modelConfig(config), toParameters(params));
    useLanes(name);
    const trainer = await Trainer.create<SparsityName>(model, floatRows(x, in_dims), {
      ...plain,
      ...(options as object),
      batch_size: rows,
      epochs: 10,
      shuffle: false,
    });
    expect(trainer.step.build.sparse).toBe(true);
    for await (const metrics of trainer.epochs()) {
      if (metrics.epoch === 1) {
        expect([metrics.mse, metrics.loss]).toBeCloseTensor([vector.mse, vector.loss], 1e-5);
        for (const [parameter, gradient] of Object.entries(vector.grads)) {
          expect(await firstGradient(trainer, parameter), parameter).toBeCloseTensor(gradient, 1e-5);
        }
      }
      const expected = vector.params_after[metrics.epoch] ?? {};
      const parameters = await model.parameters();
      for (const [parameter, values] of Object.entries(expected)) {
        expect(parameters.get(parameter)!.data, parameter).toBeCloseTensor(values, 1e-5);
      }
    }
    trainer.close();
    model.close();
  });
});

const selecting = [
  'dl_topk',
  'saelens_topk',
  'saelens_batchtopk',
  'saelens_matryoshka_batchtopk',
  'saelens_topk_norescale',
  'sparsify_topk',
  'sparsify_topk_auxk',
  'openai_topk',
  'openai_topk_auxk',
];

/** One of each kind and of each library. */
const few = ['saelens_batchtopk', 'saelens_matryoshka_batchtopk', 'sparsify_topk_auxk', 'openai_topk'];

test.each(long ? selecting : few)('%s: gradients and loss are those of the library', async (name) => {
  const given = published(name);
  const bare = { clip_norm: undefined, decoder_norm: 'none', lr_warmup: 0 };
  await training(gpu, given, bare, async (trainer) => {
    expect(trainer.step.build.sparse).toBe(true);
    for await (const { steps } of trainer.steps({ count: 1 })) {
      if (given.losses) {
        expect(steps[0].loss * (given.scale ?? 1)).toBeCloseTo(given.losses[0], 4);
      }
    }
    for (const [parameter, expected] of Object.entries(given.grads)) {
      const gradient = (await firstGradient(trainer, parameter)).map((value) => value * (given.scale ?? 1));
      expect(gradient, parameter).toBeCloseTensor(expected, 1e-4);
    }
  });
});

// As in published.test.ts.
test('openai_topk: parameters after one step are those of the library', async () => {
  const given = published('openai_topk');
  const after = given.params_after!['1'];
  await training(gpu, given, { decoder_norm: 'unit' }, async (trainer) => {
    expect(trainer.step.build.sparse).toBe(true);
    for await (const _ of trainer.steps({ count: 1 }));
    for (const [parameter, { data }] of await trainer.model.parameters()) {
      const expected = parameter === 'decoder.0.weight' ? unit(after[parameter], 40) : after[parameter];
      compare(parameter, data, expected, given.grads[parameter], 2e-5);
    }
  });
});

interface Sizes {
  readonly in_dims: number;
  readonly latents: number;
  readonly batch_size: number;
  readonly k: number;
  readonly pre_bias?: boolean;
  readonly decoder_norm?: 'none' | 'unit';
  readonly reconstruction?: 'mean' | 'sum' | 'fvu';
  readonly sparsity?: 'batchtopk' | 'matryoshka';
  readonly clip_norm?: number;
  readonly revive?: 'auxk';
  readonly auxk_alpha?: number;
  readonly auxk_k?: number;
  readonly auxk_loss?: 'openai' | 'saelens' | 'sparsify';
  readonly dead_after?: number;
  readonly matryoshka?: number[];
  readonly rescale_acts_by_decoder_norm?: boolean;
}

/** Lends a trainer of a new model on 8-bit rows: two whole batches and a short one an epoch. */
async function lend<T>(
  { in_dims, latents, pre_bias = false, ...options }: Sizes,
  own: object,
  use: (trainer: Trainer<'topk'>) => Promise<T>,
): Promise<T> {
  const model = await Model.create(gpu, { in_dims, h_dims: [latents], pre_bias }, 3);
  const rows = byteRows(Math.ceil(2.4 * options.batch_size), in_dims, 5);
  // What the reference has where nothing is said.
  const auxk = options.revive === 'auxk' && { auxk_loss: 'dictionary_learning', auxk_alpha: 1 / 32 };
  const basis = { sparsity: 'topk', lr: 1e-3, shuffle: false, epochs: 3, ...plain, ...auxk };
  const all = { ...basis, ...options, ...own };
  const trainer = await Trainer.create<'topk'>(model, rows, all as TrainOptions<'topk'>);
  try {
    return await use(trainer);
  } finally {
    trainer.close();
    model.close();
  }
}

const cases: Sizes[] = [
  { in_dims: 30, latents: 70, batch_size: 40, k: 5 },
  { in_dims: 30, latents: 70, batch_size: 40, k: 5, reconstruction: 'mean', decoder_norm: 'unit' },
  { in_dims: 301, latents: 130, batch_size: 33, k: 3, pre_bias: true, decoder_norm: 'unit' },
  { in_dims: 1, latents: 1, batch_size: 1, k: 1 },
  { in_dims: 9, latents: 257, batch_size: 70, k: 257, pre_bias: true },
  { in_dims: 30, latents: 70, batch_size: 40, k: 5, clip_norm: 0.1, decoder_norm: 'unit', pre_bias: true },
  // Dead after the first batch, so that there are many.
  { in_dims: 30, latents: 70, batch_size: 40, k: 2, revive: 'auxk', dead_after: 41, auxk_alpha: 20 },
  {
    ...{
      in_dims: 21,
      latents: 130,
      batch_size: 33,
      k: 1,
      pre_bias: true,
      decoder_norm: 'unit',
      clip_norm: 50,
    },
    ...{ revive: 'auxk', dead_after: 1, auxk_k: 3, auxk_alpha: 5, reconstruction: 'mean' },
  },
  { in_dims: 30, latents: 70, batch_size: 40, k: 2.5, sparsity: 'batchtopk' },
  { in_dims: 30, latents: 70, batch_size: 37, k: 0.7, sparsity: 'batchtopk', revive: 'auxk', dead_after: 30 },
  { in_dims: 30, latents: 70, batch_size: 40, k: 5, sparsity: 'matryoshka' },
  {
    ...{ in_dims: 30, latents: 70, batch_size: 37, k: 1.3, sparsity: 'matryoshka', matryoshka: [3, 40] },
    ...{ revive: 'auxk', dead_after: 30, auxk_alpha: 3, pre_bias: true, decoder_norm: 'unit', clip_norm: 40 },
  },
  { in_dims: 30, latents: 70, batch_size: 40, k: 5, rescale_acts_by_decoder_norm: true },
  {
    ...{ in_dims: 301, latents: 130, batch_size: 33, k: 2.5, pre_bias: true, clip_norm: 20 },
    ...{ sparsity: 'batchtopk', rescale_acts_by_decoder_norm: true, revive: 'auxk', dead_after: 30 },
  },
  {
    ...{ in_dims: 30, latents: 70, batch_size: 37, k: 1.3, sparsity: 'matryoshka', matryoshka: [3, 40] },
    ...{ revive: 'auxk', auxk_loss: 'saelens', dead_after: 30, rescale_acts_by_decoder_norm: true },
  },
  // As other libraries have AuxK.
  {
    ...{ in_dims: 30, latents: 300, batch_size: 40, k: 2, clip_norm: 30, pre_bias: true },
    ...{ revive: 'auxk', auxk_loss: 'saelens', dead_after: 39, auxk_alpha: 1, auxk_k: 40 },
  },
  {
    ...{ in_dims: 30, latents: 70, batch_size: 37, k: 1.3, sparsity: 'matryoshka', matryoshka: [3, 40] },
    ...{ revive: 'auxk', auxk_loss: 'saelens', dead_after: 30, auxk_alpha: 2, auxk_k: 65 },
  },
  {
    ...{ in_dims: 30, latents: 70, batch_size: 40, k: 2, pre_bias: true, decoder_norm: 'unit', clip_norm: 1 },
    ...{ revive: 'auxk', auxk_loss: 'sparsify', dead_after: 39, auxk_alpha: 1, reconstruction: 'fvu' },
  },
  {
    ...{ in_dims: 30, latents: 70, batch_size: 40, k: 2, pre_bias: true },
    ...{ revive: 'auxk', auxk_loss: 'openai', dead_after: 39, auxk_alpha: 2 },
  },
];

/** Of those with options of their own, each option once. */
const shortly = cases.filter(({ latents, in_dims }) => latents === 70 && in_dims === 30).slice(1);

describe.each(long ? cases : shortly)('%o', (sizes) => {
  test('three epochs are the reference’s', async () => {
    await lend(sizes, {}, async (trainer) => {
      const { in_dims, latents, batch_size, pre_bias, ...options } = sizes;
      const { model, step } = trainer;
      const config = {
        in_dims,
        h_dims: [latents],
        activation: 'relu',
        ...(pre_bias && { pre_bias }),
      } as const;
      const parameters = toReference(await model.parameters());
      const training = { ...config, sparsity: 'topk', lr: 1e-3, reconstruction: 'sum', ...options } as const;
      expect(step.build.sparse).toBe(true);
      const reference = new ReferenceTrainer(training, parameters);
      const dataset = byteRows(step.source.rows, in_dims, 5);
      const order = [...Array(dataset.rows).keys()];
      for await (const epoch of trainer.epochs()) {
        const expected = reference.epoch(dataset, order, batch_size);
        for (const name of ['loss', 'mse', 'auxk', 'threshold', 'inner']) {
          const [own, its] = [epoch, expected].map((metrics) => metrics[name as 'mse']);
          expect([own ?? 0], name).toBeCloseTensor([its ?? 0], 1e-5);
        }
        expect([epoch.active, epoch.dead]).toEqual([expect.closeTo(expected.active, 5), expected.dead]);
      }
      for (const [name, { data }] of await model.parameters()) {
        expect(data, name).toBeCloseTensor(parameters[name].data, 1e-4);
      }
    });
  });
});

const [, , some] = cases;

test('the same training twice gives the same bits, and so does one that a snapshot interrupts', async () => {
  const whole = () =>
    lend(some, {}, async (trainer) => {
      for await (const _ of trainer.steps({ count: 9 }));
      return trainer.model.parameters();
    });
  const parameters = await whole();
  expect(sameParameters(await whole(), parameters)).toBe(true);
  await lend(some, {}, async (trainer) => {
    for await (const _ of trainer.steps({ count: 4 }));
    const rows = byteRows(trainer.step.source.rows, some.in_dims, 5);
    const resumed = await Trainer.resume(gpu, rows, await trainer.snapshot());
    for await (const _ of resumed.steps({ count: 5 }));
    expect(sameParameters(await resumed.model.parameters(), parameters)).toBe(true);
    resumed.close();
    resumed.model.close();
  });
});

test('rows that come in windows', async () => {
  const inWindows = { window_rows: 2 * some.batch_size };
  const { in_dims, latents, pre_bias, ...options } = some;
  const dataset = byteRows(6 * some.batch_size, in_dims, 5);
  const results = [];
  for (const placement of [{}, inWindows]) {
    const model = await Model.create(gpu, { in_dims, h_dims: [latents], pre_bias }, 3);
    const all = { sparsity: 'topk', lr: 1e-3, shuffle: false, epochs: 1, ...plain, ...options };
    const trainer = await Trainer.create<'topk'>(model, dataset, all as TrainOptions<'topk'>, placement);
    for await (const _ of trainer.epochs());
    results.push(await model.parameters());
    trainer.close();
    model.close();
  }
  expect(sameParameters(results[0], results[1])).toBe(true);
});

// What nothing was selected of has the gradient 0 in both, and moments that decay.
test('a latent without entries is updated as by matrices, bit for bit', async () => {
  const { in_dims, latents, batch_size, k } = cases[0];
  const rows = byteRows(batch_size, in_dims, 5);
  const results = [];
  for (const leastLatents of [0, 1000]) {
    crossover.leastLatents = leastLatents;
    const created = await Model.create(gpu, { in_dims, h_dims: [latents] }, 3);
    const parameters = await created.parameters();
    created.close();
    parameters.get('encoder.0.bias')!.data.fill(-1000);
    const model = await Model.from(gpu, { in_dims, h_dims: [latents], activation: 'relu' }, parameters);
    const trainer = await Trainer.create<'topk'>(model, rows, {
      ...plain,
      sparsity: 'topk',
      k,
      batch_size,
      lr: 1e-3,
    });
    const { build } = trainer.step;
    expect(build.sparse).toBe(leastLatents === 0);
    for (const { weight, byLatents } of model.layers) {
      momentsOf(build, weight).forEach((name, i) => {
        const random = seededRandom(17 + i);
        const moments = reals(random, in_dims * latents, i === 0 ? -1 : 0, 1);
        const { rows, columns } = weight;
        const asStored = byLatents
          ? Float32Array.from(moments, (_, at) => moments[(at % columns) * rows + Math.floor(at / columns)])
          : moments;
        const padded = new Float32Array(build.buffer(name).size / 4);
        const stride = Math.ceil(columns / 4) * 4;
        asStored.forEach((value, at) => {
          padded[Math.floor(at / columns) * stride + (at % columns)] = value;
        });
        gpu.write(build.buffer(name), padded);
      });
    }
    for await (const { steps } of trainer.steps({ count: 1 })) {
      expect(steps[0].active).toBe(0);
    }
    const after = await model.parameters();
    for (const name of ['encoder.0.weight', 'decoder.0.weight']) {
      expect(sameBits(after.get(name)!.data, parameters.get(name)!.data), name).toBe(false);
    }
    results.push(after);
    trainer.close();
    model.close();
  }
  for (const name of ['encoder.0.weight', 'encoder.0.bias', 'decoder.0.weight']) {
    expect(sameBits(results[0].get(name)!.data, results[1].get(name)!.data), name).toBe(true);
  }
});

test.each([
  ['dictionary_learning', true],
  ['openai', false],
] as const)('a latent at 0.0005 counts as active for AuxK of %s: %s', async (auxk_loss, expected) => {
  const model = await Model.create(gpu, { in_dims: 30, h_dims: [70] }, 3);
  // Without biases, latents are as small as the rows.
  const parameters = await model.parameters();
  model.close();
  parameters.get('encoder.0.bias')!.data.fill(0);
  const own = await Model.from(gpu, { in_dims: 30, h_dims: [70], activation: 'relu' }, parameters);
  const rows = floatRows(reals(seededRandom(3), 8 * 30, -5e-4, 5e-4), 30);
  const training = { sparsity: 'topk', k: 3, batch_size: 8, revive: 'auxk', auxk_loss } as const;
  const trainer = await Trainer.create<'topk'>(own, rows, training);
  for await (const { steps } of trainer.steps({ count: 1 })) {
    expect(steps[0].active).toBe(3);
  }
  const silent = new Uint32Array(await gpu.read(trainer.step.build.buffer('silent_rows')));
  expect(silent.slice(0, 70).includes(0)).toBe(expected);
  trainer.close();
  own.close();
});

test('a loss that is not finite halts the updates', async () => {
  await lend({ in_dims: 5, latents: 8, batch_size: 4, k: 2 }, { lr: 1e30 }, async (trainer) => {
    for await (const _ of trainer.steps({ count: 1 }));
    const before = await trainer.model.parameters();
    await expect(trainer.steps({ count: 3 }).next()).rejects.toThrow('stopped being finite');
    expect(sameParameters(await trainer.model.parameters(), before)).toBe(true);
  });
});

test.runIf(long)('the model is the same whichever way its decoder lies', async () => {
  await lend(some, {}, async (trainer) => {
    for await (const _ of trainer.steps({ count: 2 }));
    const { model } = trainer;
    const rows = byteRows(10, some.in_dims, 8);
    const options = { sparsity: 'topk', k: some.k } as const;
    const looks = async () => [
      await model.reconstruct(rows),
      await model.decode(await model.encode(rows)),
      Float32Array.from(Object.values(await evaluate(model, rows, options))),
      // Weighted by the decoder's norms.
      Float32Array.from(Object.values(await evaluate(model, rows, { sparsity: 'l1' }))),
    ];
    const parameters = await model.parameters();
    const before = await looks();
    expect(model.decoder[0].byLatents).toBe(true);
    trainer.close();
    await model.storeDecoder('by outputs');
    expect(model.decoder[0].byLatents).toBeUndefined();
    expect(sameParameters(await model.parameters(), parameters)).toBe(true);
    const again = await looks();
    for (const [i, values] of before.entries()) {
      expect(again[i]).toBeCloseTensor(values, 1e-6);
    }
    // Matrices of it are trained as those of any model.
    const kl = await Trainer.create(model, rows, { sparsity_lambda: 0 });
    expect(kl.step.build.sparse).toBe(false);
    for await (const _ of kl.steps({ count: 1 }));
    kl.close();
  });
});
