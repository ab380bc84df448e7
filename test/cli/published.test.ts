import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { safetensorsParts } from '../../src/sae/model/safetensors.js';
import { transposed } from '../../src/sae/model/transposed.js';
import '../support/compare.js';
import { few } from '../support/long.js';
import { compare, type Published, published, unit } from '../support/published.js';
import { npy, readSafetensors, succeeds, temporaryFolder } from './sae.js';

// Trainings of other libraries, from their own files, by the command line: five batches in the order of the rows.

const folder = temporaryFolder();

/** A folder as the library itself saves its model. */
function saved({ params }: Published, config: object, file: string, names: Record<string, string>): string {
  const path = folder.make();
  const tensors = Object.entries(names).map(([name, own]) => {
    const { shape, data } = params[name];
    // SAELens's matrices, and sparsify's decoder, lie the other way round.
    const turned = own.startsWith('W_');
    const values = Float32Array.from(data);
    return [
      own,
      turned ? { shape: shape.toReversed(), data: transposed(values, shape[0]) } : { shape, data: values },
    ] as const;
  });
  mkdirSync(join(path, 'model'));
  writeFileSync(join(path, 'model', 'cfg.json'), JSON.stringify(config));
  const parts = safetensorsParts({ tensors: new Map(tensors), metadata: new Map() });
  writeFileSync(join(path, 'model', file), Buffer.concat([...parts]));
  return path;
}

const saelens = (given: Published, kind: string) =>
  saved(
    given,
    {
      architecture: kind,
      d_in: 12,
      d_sae: 40,
      k: 4,
      rescale_acts_by_decoder_norm: true,
      apply_b_dec_to_input: true,
      normalize_activations: 'none',
      metadata: { sae_lens_version: '6.39.0' },
    },
    'sae_weights.safetensors',
    {
      'encoder.0.weight': 'W_enc',
      'encoder.0.bias': 'b_enc',
      'decoder.0.weight': 'W_dec',
      'decoder.0.bias': 'b_dec',
      ...(kind === 'batchtopk' && { 'encoder.0.threshold': 'topk_threshold' }),
    },
  );

const sparsify = (given: Published) =>
  saved(given, { d_in: 12, num_latents: 40, k: 4, activation: 'topk' }, 'sae.safetensors', {
    'encoder.0.weight': 'encoder.weight',
    'encoder.0.bias': 'encoder.bias',
    'decoder.0.weight': 'W_dec',
    'decoder.0.bias': 'b_dec',
  });

const auxk = ['--revive', 'auxk', '--auxk_alpha', '1', '--auxk_loss', 'saelens', '--dead_after', '16'];

describe.concurrent('five steps from the files of a library', () => {
  const libraries: [name: string, kind: string, options: string[]][] = [
    ['saelens_topk', 'topk', ['--rescale_acts_by_decoder_norm', '--clip_norm', '1', ...auxk]],
    ['saelens_batchtopk', 'batchtopk', ['--rescale_acts_by_decoder_norm', '--clip_norm', '1', ...auxk]],
    ['sparsify_topk', 'topk', ['--reconstruction', 'fvu', '--decoder_norm', 'unit']],
  ];
  it.each(few(libraries, 2))('%s', async (name, kind, options) => {
    const given = published(name);
    const cwd = name.startsWith('saelens') ? saelens(given, kind) : sparsify(given);
    writeFileSync(join(cwd, 'rows.npy'), npy([80, 12], Float32Array.from(given.batches.flat())));
    const run = ['--init', 'model', '--data', 'rows.npy', '--normalize', 'none', '--shuffle', 'False'];
    const training = ['--epochs', '1', '--batch_size', '16', '--lr', '1e-3', '--sparsity', kind, '--k', '4'];
    const quiet = ['--save-model', '--no-save-plots', '--json'];
    await succeeds([...run, ...training, ...options, ...quiet], { cwd });
    const { tensors } = readSafetensors(join(cwd, 'files', 'sae.safetensors'));
    const after = given.from_start?.params_after ?? given.params_after!['5'];
    for (const [parameter, gradient] of Object.entries(given.grads)) {
      const scaled = name.startsWith('sparsify') && parameter === 'decoder.0.weight';
      const expected = scaled ? unit(after[parameter], 40) : after[parameter];
      compare(parameter, Float32Array.from(tensors[parameter]), expected, gradient, 1e-4);
    }
  });
});
