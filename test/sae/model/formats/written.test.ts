import { describe, expect, test } from 'vitest';
import { folded } from '../../../../src/sae/model/formats/fold.js';
import { type ImportedSae, saelensFiles, sparsifyFiles } from '../../../../src/sae/model/formats/index.js';
import { formatFixture, importBytes, tensorBytes } from '../../../support/imported.js';
import { bytesOf } from '../../../support/zip-file.js';

type Written = ReturnType<typeof saelensFiles>;

function inMemory(files: Written): Record<string, Uint8Array> {
  return Object.fromEntries([...files].map(([name, parts]) => [name, bytesOf(...parts)]));
}

/** What makes codes and reconstructions. */
function meaning({
  in_dims,
  latents,
  W_enc,
  b_enc,
  W_dec,
  b_dec,
  pre_bias,
  activation,
  rescaled,
}: ImportedSae) {
  return { in_dims, latents, W_enc, b_enc, W_dec, b_dec, pre_bias, activation, rescaled };
}

/** Names, types and shapes of a file's tensors. */
function layout(file: Uint8Array) {
  const tensors = Object.entries(tensorBytes(file));
  return Object.fromEntries(tensors.map(([name, { dtype, shape }]) => [name, { dtype, shape }]));
}

function fields(file: Uint8Array): Record<string, unknown> {
  return JSON.parse(new TextDecoder().decode(file));
}

describe('SAELens', () => {
  test.each([
    'saelens_standard_inference',
    'saelens_topk_inference',
    'saelens_jumprelu_v649_inference',
    'saelens_batchtopk_inference',
  ])('%s is written with the fields and tensors that its own program writes', async (name) => {
    const { files } = formatFixture(name);
    const sae = await importBytes(files, name);
    const written = inMemory(saelensFiles(sae));
    expect(Object.keys(written).sort()).toEqual(Object.keys(files).sort());
    expect(layout(written['sae_weights.safetensors'])).toEqual(layout(files['sae_weights.safetensors']));
    const { metadata: before, ...expected } = fields(files['cfg.json']);
    const { metadata, ...config } = fields(written['cfg.json']);
    // Norms have been folded in.
    const rescaled = 'k' in expected && { rescale_acts_by_decoder_norm: false };
    expect(config).toEqual({ ...expected, ...rescaled });
    expect(before).toMatchObject({ sae_lens_version: expect.any(String) });
    expect(metadata).toEqual({ sae_lens_version: '6.39.0' });
    expect(meaning(await importBytes(written))).toEqual(meaning(folded(sae)));
  });

  test.each(['dl_standard_april', 'dl_topk', 'dl_jumprelu', 'gemma_scope_npz', 'sparsify_topk_expansion'])(
    '%s is read again as it was',
    async (name) => {
      const sae = await importBytes(formatFixture(name).files, name);
      expect(meaning(await importBytes(inMemory(saelensFiles(sae))))).toEqual(meaning(sae));
    },
  );

  test('batchtopk becomes jumprelu with one threshold', async () => {
    const sae = await importBytes(formatFixture('dl_batchtopk').files, 'folder');
    const again = await importBytes(inMemory(saelensFiles(sae)));
    const threshold = new Float32Array(40).fill(Math.fround(0.31249126792));
    expect(meaning(again)).toEqual({ ...meaning(sae), activation: { kind: 'jumprelu', threshold } });
  });
});

describe('sparsify', () => {
  test('sparsify_topk is written with the fields and tensors that its own program writes', async () => {
    const { files } = formatFixture('sparsify_topk');
    const sae = await importBytes(files, 'folder');
    const written = inMemory(sparsifyFiles(sae));
    expect(layout(written['sae.safetensors'])).toEqual(layout(files['sae.safetensors']));
    const own = { expansion_factor: 0, normalize_decoder: false };
    expect(fields(written['cfg.json'])).toEqual({ ...fields(files['cfg.json']), ...own });
    expect(meaning(await importBytes(written))).toEqual(meaning(sae));
  });

  test('dl_topk and saelens_topk_inference are read again as they were', async () => {
    for (const name of ['dl_topk', 'saelens_topk_inference']) {
      const sae = await importBytes(formatFixture(name).files, name);
      expect(meaning(await importBytes(inMemory(sparsifyFiles(sae))))).toEqual(meaning(folded(sae)));
    }
  });

  test('what it has not is refused', async () => {
    const sae = await importBytes(formatFixture('dl_topk').files, 'folder');
    expect(() => sparsifyFiles({ ...sae, activation: { kind: 'relu' } })).toThrow(
      'The model is of the kind relu, and sparsify has topk alone.',
    );
    expect(() => sparsifyFiles({ ...sae, pre_bias: false })).toThrow(
      'does not subtract b_dec from its input',
    );
  });
});
