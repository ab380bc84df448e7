import { expect, test } from 'vitest';
import { gpuOfFile } from '../../support/device.js';
import { long } from '../../support/long.js';
import { firstGradient, floatRows } from '../../support/models.js';
import { compare, published, training, unit } from '../../support/published.js';

const gpu = await gpuOfFile();

const jumprelu = [
  'saelens_jumprelu_step',
  'saelens_jumprelu_tanh_preact',
  'saelens_jumprelu_negative_threshold',
];
const dl = ['dl_standard', 'dl_standard_april', 'dl_topk', 'dl_batchtopk', 'dl_matryoshka_batchtopk'];
// Its directions are scaled to norm 1 before each step, ours after it: those after a step are compared scaled.
const sparsify = ['sparsify_topk', 'sparsify_topk_auxk'];
const saelens = [
  'saelens_standard',
  'saelens_topk_norescale',
  'saelens_topk',
  'saelens_batchtopk',
  'saelens_matryoshka_batchtopk',
];
const openai = long ? ['openai_topk', 'openai_topk_auxk'] : ['openai_topk_auxk'];
/** What sparse/parity.test.ts has not, in short one of each kind of each library. */
const all = [...saelens, ...dl, ...jumprelu, ...sparsify];
const few = [
  'saelens_standard',
  'saelens_topk',
  'dl_batchtopk',
  'dl_standard',
  'saelens_jumprelu_tanh_preact',
  'sparsify_topk_auxk',
];
const whole = long ? all : few;

test.each([...whole, ...openai])(
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
    await training(gpu, given, bare, async (trainer) => {
      const rows = floatRows(batches[0], config.in_dims);
      const { hidden, output } = given.thresholded ?? given;
      expect(await trainer.model.encode(rows)).toBeCloseTensor(hidden, 2e-5);
      expect(await trainer.model.reconstruct(rows)).toBeCloseTensor(output, 2e-5);
      for await (const { steps } of trainer.steps({ count: 1 })) {
        if (config.k !== undefined && given.losses) {
          expect(steps[0].loss * scale).toBeCloseTo(given.losses[0], 4);
        }
      }
      if (!trainer.step.build.sparse) {
        expect(await trainer.step.build.code.read()).toBeCloseTensor(given.hidden, 2e-5);
      }
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
    const { config, grads, params_after, losses, lr, sparsity_scale, scale = 1 } = given;
    await training(gpu, given, {}, async (trainer) => {
      for (let step = 0; step < 5; step++) {
        if (lr && sparsity_scale) {
          // A rate of 0, with which only the moments change, is nearly that.
          const sparsity_lambda = config.sparsity_lambda! * sparsity_scale[step];
          trainer.change({ lr: lr[step] || 1e-30, sparsity_lambda });
        }
        for await (const { steps } of trainer.steps({ count: 1 })) {
          expect((steps[0].loss * scale) / losses![step], `loss of step ${step + 1}`).toBeCloseTo(1, 5);
        }
        const after = params_after![String(step + 1) as '1'];
        for (const [parameter, { data }] of after ? await trainer.model.parameters() : []) {
          // Their thresholds' means begin at other times.
          if (!(parameter in after)) continue;
          const most = step === 0 ? 2e-5 : 1e-4;
          const scaled = sparsify.includes(name) && parameter === 'decoder.0.weight';
          const expected = scaled ? unit(after[parameter], config.h_dims[0]) : after[parameter];
          compare(`${parameter} after ${step + 1}`, data, expected, grads[parameter], most);
        }
      }
    });
  },
);

// Its directions are scaled to norm 1 before a step, ours after it: those after the first are compared scaled.
test.each(openai)('%s: parameters after one step are those of the library', async (name) => {
  const given = published(name);
  const after = given.params_after!['1'];
  await training(gpu, given, { decoder_norm: 'unit' }, async (trainer) => {
    for await (const _ of trainer.steps({ count: 1 }));
    for (const [parameter, { data }] of await trainer.model.parameters()) {
      const expected = parameter === 'decoder.0.weight' ? unit(after[parameter], 40) : after[parameter];
      compare(parameter, data, expected, given.grads[parameter], 2e-5);
    }
  });
});
