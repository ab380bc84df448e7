import { expect, test, vi } from 'vitest';
import type { ModelConfig, TrainOptions } from '../../../../src/sae/config.js';
import { Model } from '../../../../src/sae/model/model.js';
import type { Parameters } from '../../../../src/sae/model/parameter.js';
import type { SparsityName } from '../../../../src/sae/sparsity/index.js';
import { evaluate } from '../../../../src/sae/training/evaluate.js';
import { Trainer } from '../../../../src/sae/training/trainer.js';
import { seededRandom } from '../../../reference/random.js';
import '../../../support/compare.js';
import { familiesOf, gpuOfFile, mainFamily, reals, useFamily, withLimits } from '../../../support/device.js';
import { few } from '../../../support/long.js';
import { floatRows, plain, sameParameters } from '../../../support/models.js';
import { pick } from '../../../support/shapes.js';

const gpu = await gpuOfFile();

// Every case here is one of lists.
vi.mock('../../../../src/sae/step/sparse/crossover.js', () => ({ leastLatents: 0 }));

const in_dims = 12;
const latents = 704;
const batch_size = 40;
/** The weights fit, and the pre-activations of twelve rows: blocks of 12, 12, 12 and 4 rows. */
const maxStorageBufferBindingSize = latents * in_dims * 4;
const blockOf = 12;

/** Rows of a few kinds, so that there are equal ones in all blocks, and some that no latent is above 0 for. */
function someRows(): Float32Array<ArrayBuffer> {
  const random = seededRandom(7);
  const kinds = [...Array(9)].map(() => reals(random, in_dims, -1, 1));
  const rows = Array.from({ length: Math.ceil(2.4 * batch_size) }, (_, row) =>
    row % 5 === 3 ? new Float32Array(in_dims) : pick(kinds, random),
  );
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

const differing = floatRows(someRows(), in_dims);
const equal = floatRows(new Float32Array(differing.data.length).fill(0.3), in_dims);

/** A model in which every other latent is as the one before. */
async function someModel(pre_bias: boolean, bias: number): Promise<Model> {
  const shape: ModelConfig = { in_dims, h_dims: [latents], activation: 'relu', pre_bias };
  const made = await Model.create(gpu, shape, 3);
  const parameters = await made.parameters();
  made.close();
  const [weights, biases] = ['weight', 'bias'].map((name) => parameters.get(`encoder.0.${name}`)!.data);
  for (let latent = 0; latent < latents; latent += 2) {
    weights.copyWithin((latent + 1) * in_dims, latent * in_dims, (latent + 1) * in_dims);
  }
  biases.fill(bias);
  return Model.from(gpu, shape, parameters);
}

interface Case extends Record<string, unknown> {
  readonly sparsity: SparsityName;
  readonly pre_bias?: boolean;
  /** Of all latents. */
  readonly bias?: number;
}

/** What a training of some steps leaves, and the rows of its blocks. */
async function trained({ pre_bias = false, bias = -0.01, ...options }: Case, rows = differing, steps = 7) {
  const model = await someModel(pre_bias, bias);
  const all = { lr: 3e-3, shuffle: false, epochs: 9, batch_size, ...plain, ...options };
  const trainer = await Trainer.create(model, rows, all as TrainOptions<SparsityName>);
  try {
    const figures: unknown[] = [];
    for await (const { steps: done } of trainer.steps({ count: steps })) {
      figures.push(...done);
    }
    const { pass, kept, moments } = await trainer.step.state();
    const state = [...pass, ...kept, ...moments].map(
      ([name, bytes]) => [name, Buffer.from(bytes).toString('base64')] as const,
    );
    const measured = await evaluate(model, rows, trainer.config);
    const parameters = await model.parameters();
    return { figures, state, parameters, measured, block: trainer.step.build.code.rows };
  } finally {
    trainer.close();
    model.close();
  }
}

/** Trains with all pre-activations in one buffer and in blocks, and expects the same bits; then measures, whose sums have another order. */
async function check(given: Case, rows = differing): Promise<void> {
  const whole = await trained(given, rows);
  const inBlocks = await withLimits(gpu, { maxStorageBufferBindingSize }, () => trained(given, rows));
  expect([whole.block, inBlocks.block]).toEqual([batch_size, blockOf]);
  expect(inBlocks.figures).toEqual(whole.figures);
  expect(inBlocks.state).toEqual(whole.state);
  expect(sameParameters(inBlocks.parameters, whole.parameters)).toBe(true);
  const { active, dead, dense, explained_variance, ...sums } = whole.measured;
  expect(inBlocks.measured).toMatchObject({ active, dead, dense });
  expect(inBlocks.measured.explained_variance).toBeCloseTo(explained_variance, 6);
  for (const [name, value] of Object.entries(sums)) {
    expect([inBlocks.measured[name as 'loss']], name).toBeCloseTensor([value], 1e-6);
  }
}

const auxk = { revive: 'auxk', dead_after: 39, auxk_alpha: 1, auxk_loss: 'dictionary_learning' };
const centred = { pre_bias: true, decoder_norm: 'unit' } as const;
const rescaled = { rescale_acts_by_decoder_norm: true };
const cases: Case[] = [
  { sparsity: 'topk', k: 3 },
  { sparsity: 'topk', k: 3, ...centred, clip_norm: 1, ...auxk },
  { sparsity: 'topk', k: 2, ...rescaled, ...auxk, auxk_loss: 'saelens' },
  { sparsity: 'topk', k: 2, pre_bias: true, ...auxk, auxk_loss: 'openai' },
  { sparsity: 'topk', k: 2, ...centred, ...auxk, auxk_loss: 'sparsify', reconstruction: 'fvu' },
  { sparsity: 'topk', k: 1, k_decay: 5, revive: 'resample', resample_every: 3, dead_after: 39 },
  { sparsity: 'batchtopk', k: 2.5 },
  { sparsity: 'batchtopk', k: 0.1, ...rescaled },
  { sparsity: 'batchtopk', k: 3, ...centred, ...rescaled, ...auxk, k_decay: 4, auxk_k: 2 },
  { sparsity: 'batchtopk', k: 2, ...auxk, auxk_loss: 'openai' },
  { sparsity: 'matryoshka', k: 2.5, ...centred, clip_norm: 1 },
  { sparsity: 'matryoshka', k: 1.3, matryoshka: [3, 40], ...rescaled, ...auxk, auxk_loss: 'saelens' },
  { sparsity: 'matryoshka', k: 2, pre_bias: true, ...auxk, auxk_loss: 'sparsify', reconstruction: 'fvu' },
];

test.each(few(cases, 4))('blocks of rows give the bits of the whole batch: %o', async (given) => {
  await check(given);
});

test('with products whose operands are copied to images, of which a matrix of the same shape may take the place', async () => {
  const families = familiesOf(gpu);
  useFamily(gpu, families.includes('wide') ? 'wide' : mainFamily(gpu));
  await check({ sparsity: 'topk', k: 3, ...centred, ...auxk });
  await check({ sparsity: 'batchtopk', k: 3, ...auxk, auxk_loss: 'saelens' });
  useFamily(gpu, mainFamily(gpu));
});

test.each(['topk', 'batchtopk', 'matryoshka'] as const)('%s: all rows equal', async (sparsity) => {
  await check({ sparsity, k: 2, ...auxk }, equal);
});

test.each(['topk', 'batchtopk'] as const)('%s: fewer latents are above 0 than may stay', async (sparsity) => {
  await check({ sparsity, k: 4, bias: -0.9, lr: 1e-4 });
  await check({ sparsity, k: 4, bias: -100, ...auxk });
});

test.each(['topk', 'batchtopk'] as const)(
  '%s: a snapshot goes on, whether blocks were needed or not',
  async (sparsity) => {
    const options = {
      sparsity,
      k: 2,
      lr: 3e-3,
      batch_size,
      epochs: 9,
      ...auxk,
    } as TrainOptions<SparsityName>;
    const few = { maxStorageBufferBindingSize };
    const results: Parameters[] = [];
    for (const limits of [
      [{}, {}],
      [few, {}],
      [{}, few],
    ]) {
      const model = await someModel(false, -0.01);
      const trainer = await withLimits(gpu, limits[0], () => Trainer.create(model, differing, options));
      for await (const _ of trainer.steps({ count: 4 }));
      const snapshot = await trainer.snapshot();
      const resumed = await withLimits(gpu, limits[1], () => Trainer.resume(gpu, differing, snapshot));
      for await (const _ of resumed.steps({ count: 4 }));
      results.push(await resumed.model.parameters());
      for (const made of [trainer, model, resumed, resumed.model]) {
        made.close();
      }
    }
    expect(results.map((parameters) => sameParameters(parameters, results[0]))).toEqual([true, true, true]);
  },
);

test('what does not fit even in blocks is said', async () => {
  const many = { sparsity: 'batchtopk', k: 20 } as const;
  const tried = withLimits(gpu, { maxStorageBufferBindingSize }, () => trained(many));
  await expect(tried).rejects.toThrow('A list of up to 3,200 latents of 40 rows in blocks of 12 needs');
});
