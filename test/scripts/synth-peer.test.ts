import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Contestant } from '../../scripts/peers/contestant.mjs';
import { findSynthPeer } from '../../scripts/peers/contestants.mjs';
import { synthTable } from '../../scripts/peers/report.mjs';
import {
  type ModelConfig,
  parseTrainConfig,
  readModelFile,
  type SparsityName,
  type TrainOptions,
  trainedConfig,
  writeModelFile,
  writeNpy,
} from '../../src/node/index.js';
import { randomParameters, toParameterSet } from '../reference/autoencoder.js';
import { seededRandom, uniform } from '../reference/random.js';
import { ReferenceTrainer, type ReferenceTraining } from '../reference/trainer.js';
import '../support/compare.js';

it('the table of known features has means and ranges over seeds, and leaves out ranges that are none', () => {
  const scores = { uniqueness: 0.5, l0: 2, dead: 0, r2: 0.9, seconds: 10 };
  const ours = { sparsity: 'l1', who: 'ours', ...scores };
  const table = synthTable([
    { ...ours, seed: 1, mcc: 0.8, f1: 0.7 },
    { ...ours, seed: 1, who: 'A', mcc: 0.75, f1: 0.7 },
    { ...ours, seed: 2, mcc: 0.9, f1: 0.7001, dead: 3 },
    { ...ours, seed: 1, sparsity: 'topk', mcc: 0.5, f1: 0.4 },
  ]);
  expect(table.split('\n').slice(2)).toEqual([
    '| `l1` | ours | 0.850 (0.800–0.900) | 0.700 | 0.500 | 2.00 | 1.5 (0.0–3.0) | 0.900 | 10.0 |',
    '|  | A | 0.750 | 0.700 | 0.500 | 2.00 | 0.0 | 0.900 | 10.0 |',
    '| `topk` | ours | 0.500 | 0.400 | 0.500 | 2.00 | 0.0 | 0.900 | 10.0 |',
  ]);
});

const peer = findSynthPeer();

describe.skipIf(peer.missing)("PyTorch's trainings on known features", () => {
  const folder = mkdtempSync(join(tmpdir(), 'webgpu-sae-synth-'));
  const torch = new Contestant(peer, Number.POSITIVE_INFINITY);
  const [in_dims, latents, batch_size, steps] = [12, 40, 16, 20];
  const sizes: ModelConfig = { in_dims, h_dims: [latents], activation: 'relu' };
  const rows = Float32Array.from(uniform(seededRandom(1), steps * batch_size * in_dims, -0.4, 2.6));
  const file = (name: string) => join(folder, name);

  beforeAll(async () => {
    await writeNpy(file('rows.npy'), [steps * batch_size, in_dims], [rows]);
    await torch.start({});
  }, 60_000);
  afterAll(() => {
    torch.stop();
    rmSync(folder, { recursive: true });
  });

  /** What it is told to do, and its parameters after that. */
  async function train(
    model: ModelConfig,
    options: object,
    { start, steps: count = steps }: { start?: string; steps?: number } = {},
  ) {
    const training = parseTrainConfig<SparsityName>({
      batch_size,
      lr: 3e-3,
      shuffle: false,
      dead_after: 10_000,
      // The reference has none.
      ...('sparsity' in options && options.sparsity === 'l1' && { sparsity_warmup: 0 }),
      ...options,
    } as TrainOptions<SparsityName>);
    const config = trainedConfig(model, training);
    const save = file('sae.safetensors');
    await torch.ask({
      rows: file('rows.npy'),
      model: config,
      training: { ...training, steps: count },
      start_rows: 50,
      save,
      start,
    });
    const { parameters } = await readModelFile(save);
    return { training, parameters };
  }

  const unit = { decoder_norm: 'unit' };
  // Two whole batches, so that it tells whether after them or after more a latent is dead.
  const auxk = { revive: 'auxk', auxk_loss: 'saelens', auxk_alpha: 0.7, dead_after: 32 };
  it.each([
    ['l1', {}, {}],
    ['l1', { pre_bias: true }, { ...unit, reconstruction: 'mean' }],
    ['l1', { pre_bias: true }, { l1_weighted: false }],
    ['topk', { pre_bias: true }, { ...unit, ...auxk, k: 3 }],
    ['topk', {}, { ...auxk, k: 3, auxk_k: 30, reconstruction: 'mean', clip_norm: 0.5 }],
    ['batchtopk', { pre_bias: true }, { ...unit, ...auxk, k: 2.5 }],
    ['matryoshka', { pre_bias: true }, { ...unit, ...auxk, k: 3 }],
    ['matryoshka', {}, { k: 3, matryoshka: [7, 20], adam_betas: [0, 0.99], adam_eps: 1e-6 }],
    ['jumprelu', { pre_bias: true }, { ...unit, sparsity_lambda: 0.2 }],
    // Without unit: dead directions would then have no gradient but what rounding leaves, which Adam makes large.
    ['jumprelu', {}, { sparsity_lambda: 0.2, pre_act_lambda: 0.01, dead_after: 32 }],
    ['jumprelu', {}, { l0_loss: 'linear', bandwidth: 0.5 }],
    ['jumprelu', {}, { l0_loss: 'quadratic', l0_target: 5, bandwidth: 0.5, threshold_init: 0.3 }],
  ] as const)('%s is as in the reference: %j, %j', async (sparsity, more, options) => {
    const reference = randomParameters({ ...sizes, sparsity }, seededRandom(2));
    const decoder = reference['decoder.0.weight'].data;
    if ('decoder_norm' in options) {
      for (let j = 0; j < latents; j++) {
        const norm = Math.hypot(...decoder.filter((_, i) => i % latents === j));
        for (let i = j; i < decoder.length; i += latents) decoder[i] = Math.fround(decoder[i] / norm);
      }
    }
    // So that some latents are dead for a while, but for what revives them.
    reference['encoder.0.bias'].data.forEach((_, j, bias) => {
      if (j % 3 === 0) bias[j] = -1.5;
    });
    if (sparsity === 'jumprelu') {
      reference['encoder.0.threshold'].data.fill('threshold_init' in options ? 0.3 : 0.1);
    }
    const parameters = new Map(
      Object.entries(reference).map(([name, { shape, data }]) => [
        name,
        { shape, data: Float32Array.from(data) },
      ]),
    );
    const model = { ...sizes, ...more };
    const training = parseTrainConfig<SparsityName>({ sparsity, ...options } as TrainOptions<SparsityName>);
    await writeModelFile(file('start.safetensors'), { config: trainedConfig(model, training), parameters });
    const done = await train(model, { sparsity, ...options }, { start: file('start.safetensors') });
    const trainer = new ReferenceTrainer({ ...model, ...done.training } as ReferenceTraining, reference);
    for (let step = 0; step < steps; step++) {
      const size = batch_size * in_dims;
      trainer.step(Float64Array.from(rows.subarray(step * size, (step + 1) * size)));
    }
    const actual = toParameterSet(Object.fromEntries(done.parameters));
    expect(Object.keys(actual).sort()).toEqual(Object.keys(reference).sort());
    for (const [name, { data }] of Object.entries(reference)) {
      expect(actual[name].data, name).toBeCloseTensor(data, 1e-4);
    }
  });

  it.each([
    ['a transposed decoder of norm 1', { ...unit, encoder_init: 'decoder_transpose' }],
    ['layers as nn.Linear has them', { encoder_init: 'random' }],
  ] as const)('begin with %s, and with the mean of the first rows', async (_, options) => {
    const { parameters } = await train(
      { ...sizes, pre_bias: true },
      { sparsity: 'jumprelu', threshold_init: 0.25, ...options },
      { steps: 0 },
    );
    const [encoder, encoderBias, decoder, bias, threshold] = [
      'encoder.0.weight',
      'encoder.0.bias',
      'decoder.0.weight',
      'decoder.0.bias',
      'encoder.0.threshold',
    ].map((name) => parameters.get(name)!.data);
    const first = rows.subarray(0, 50 * in_dims);
    const means = bias.map((_, o) => first.filter((_, i) => i % in_dims === o).reduce((a, b) => a + b) / 50);
    expect(bias).toBeCloseTensor(means, 1e-6);
    expect(threshold).toEqual(new Float32Array(latents).fill(0.25));
    const sd = (values: Float32Array) => Math.sqrt(values.reduce((a, b) => a + b * b, 0) / values.length);
    if (options.encoder_init === 'random') {
      // Uniform in +-1/sqrt(inputs).
      expect(sd(encoder)).toBeCloseTo(1 / Math.sqrt(3 * in_dims), 2);
      expect(sd(encoderBias)).toBeCloseTo(1 / Math.sqrt(3 * in_dims), 1);
      expect(sd(decoder)).toBeCloseTo(1 / Math.sqrt(3 * latents), 2);
    } else {
      expect(encoder).toEqual(
        encoder.map((_, i) => decoder[(i % in_dims) * latents + Math.floor(i / in_dims)]),
      );
      expect(encoderBias).toEqual(new Float32Array(latents));
      for (let j = 0; j < latents; j++) {
        expect(Math.hypot(...decoder.filter((_, i) => i % latents === j))).toBeCloseTo(1, 6);
      }
    }
  });

  it.each([
    [{ sparsity: 'kl' }, 'does not know sparsity "kl"; it knows l1, topk'],
    [{ sparsity: 'l1', lr_warmup: 5 }, 'does not know lr_warmup 5; it knows 0'],
    [{ sparsity: 'topk', auxk_loss: 'openai' }, 'does not know auxk_loss "openai"; it knows saelens'],
    [{ sparsity: 'l1', revive: 'resample' }, 'does not know revive "resample"; it knows none, auxk'],
  ])('refuse %j', async (options, message) => {
    await expect(train(sizes, options)).rejects.toThrow(message);
  });
});
