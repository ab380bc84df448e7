import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { TrainOptions } from '../../../src/sae/config.js';
import { Model } from '../../../src/sae/model/model.js';
import type { SparsityName } from '../../../src/sae/sparsity/index.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import type { ReferenceConfig } from '../../reference/autoencoder.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { firstGradient, floatRows, modelConfig, toParameters } from '../../support/models.js';

const gpu = await gpuOfFile();

/** What a library's own code computed in float64; see the README beside these files. */
interface Published {
  readonly config: ReferenceConfig & { readonly lr: number };
  readonly params: Record<string, { shape: number[]; data: number[] }>;
  /** Five batches of 16 rows. */
  readonly batches: number[][];
  /** Of the first batch, with the initial parameters. */
  readonly hidden: number[];
  readonly output: number[];
  /** Of the first batch, with the whole weight of the penalty, neither projected nor clipped. */
  readonly grads: Record<string, number[]>;
  readonly losses?: number[];
  readonly params_after?: Readonly<Record<'1' | '5', Record<string, number[]>>>;
  /** Where the library's schedule is not one of ours: of each step. */
  readonly lr?: number[];
  readonly sparsity_scale?: number[];
  /** By how much its loss is larger than ours. */
  readonly scale?: number;
  /** Rows since each latent was active, before the first batch. */
  readonly silent_rows?: number[];
  /** Where codes after training are not those of training: `hidden` and `output` of the first batch with the threshold. */
  readonly thresholded?: { readonly hidden: number[]; readonly output: number[] };
}

function published(name: string): Published {
  return JSON.parse(readFileSync(new URL(`../../fixtures/published/${name}.json`, import.meta.url), 'utf8'));
}

/** The options of training in a configuration: one batch a step, in the order of the file. */
function trainOptions(config: Published['config'], own: object): TrainOptions<SparsityName> {
  const { in_dims: _, h_dims: _h, activation: _a, pre_bias: _p, ...training } = config;
  const options = { ...training, batch_size: 16, epochs: 1, shuffle: false, ...own };
  return options as unknown as TrainOptions<SparsityName>;
}

/** Lends a training of the five batches. */
async function training(
  { config, params, batches, silent_rows }: Published,
  own: object,
  use: (trainer: Trainer<SparsityName>) => Promise<void>,
): Promise<void> {
  const model = await Model.from(gpu, modelConfig(config), toParameters(params));
  const rows = floatRows(batches.flat(), config.in_dims);
  const trainer = await Trainer.create<SparsityName>(model, rows, trainOptions(config, own));
  if (silent_rows) {
    gpu.write(trainer.step.build.buffer('silent_rows'), Uint32Array.from(silent_rows));
  }
  try {
    await use(trainer);
  } finally {
    trainer.close();
    model.close();
  }
}

/** Largest distance over the largest value, without entries whose gradient is nearly 0: the sign of Adam's first step is rounding there. */
function compare(what: string, actual: Float32Array, expected: number[], gradient: number[], most: number) {
  const largest = Math.max(...gradient.map(Math.abs));
  const counted = (_: number, i: number) => gradient[i] === 0 || Math.abs(gradient[i]) > 1e-6 * largest;
  expect([...actual].filter(counted), what).toBeCloseTensor(expected.filter(counted), most);
}

const jumprelu = [
  'saelens_jumprelu_step',
  'saelens_jumprelu_tanh_preact',
  'saelens_jumprelu_negative_threshold',
];
const whole = ['saelens_standard', 'dl_standard', 'dl_standard_april', ...jumprelu];

test.each([...whole, 'dl_topk', 'dl_batchtopk', 'openai_topk'])(
  '%s: codes, reconstructions and gradients are those of the library',
  async (name) => {
    const given = published(name);
    const { config, batches, grads, scale = 1 } = given;
    const bare = {
      clip_norm: undefined,
      decoder_norm: 'none',
      lr_warmup: 0,
      ...('sparsity_lambda' in config && { sparsity_warmup: 0 }),
    };
    await training(given, bare, async (trainer) => {
      const rows = floatRows(batches[0], config.in_dims);
      const { hidden, output } = given.thresholded ?? given;
      expect(await trainer.model.encode(rows)).toBeCloseTensor(hidden, 2e-5);
      expect(await trainer.model.reconstruct(rows)).toBeCloseTensor(output, 2e-5);
      for await (const { steps } of trainer.steps({ count: 1 })) {
        if (config.k !== undefined && given.losses) {
          expect(steps[0].loss).toBeCloseTo(given.losses[0], 4);
        }
      }
      expect(await trainer.step.build.code.read()).toBeCloseTensor(given.hidden, 2e-5);
      for (const [parameter, expected] of Object.entries(grads)) {
        const gradient = (await firstGradient(trainer, parameter)).map((value) => value * scale);
        expect(gradient, parameter).toBeCloseTensor(expected, 1e-4);
      }
    });
  },
);

test.each(whole)(
  '%s: losses, and parameters after one step and after five, are those of the library',
  async (name) => {
    const given = published(name);
    const { config, grads, params_after, losses, lr, sparsity_scale } = given;
    await training(given, {}, async (trainer) => {
      for (let step = 0; step < 5; step++) {
        if (lr && sparsity_scale) {
          // A rate of 0, with which only the moments change, is nearly that.
          const sparsity_lambda = config.sparsity_lambda! * sparsity_scale[step];
          trainer.change({ lr: lr[step] || 1e-30, sparsity_lambda });
        }
        for await (const { steps } of trainer.steps({ count: 1 })) {
          expect(steps[0].loss / losses![step], `loss of step ${step + 1}`).toBeCloseTo(1, 5);
        }
        const after = params_after![String(step + 1) as '1'];
        for (const [parameter, { data }] of after ? await trainer.model.parameters() : []) {
          const most = step === 0 ? 2e-5 : 1e-4;
          compare(`${parameter} after ${step + 1}`, data, after[parameter], grads[parameter], most);
        }
      }
    });
  },
);

// Its directions are scaled to norm 1 before a step, ours after it: those after the first are compared scaled.
test('openai_topk: parameters after one step are those of the library', async () => {
  const given = published('openai_topk');
  const after = given.params_after!['1'];
  await training(given, { decoder_norm: 'unit' }, async (trainer) => {
    for await (const _ of trainer.steps({ count: 1 }));
    for (const [parameter, { data }] of await trainer.model.parameters()) {
      const expected = parameter === 'decoder.0.weight' ? unit(after[parameter], 40) : after[parameter];
      compare(parameter, data, expected, given.grads[parameter], 2e-5);
    }
  });
});

/** Columns scaled to norm 1. */
function unit(values: number[], columns: number): number[] {
  const squares = new Float64Array(columns);
  values.forEach((value, i) => {
    squares[i % columns] += value ** 2;
  });
  return values.map((value, i) => value / Math.sqrt(squares[i % columns]));
}
