import { describe, expect, test } from 'vitest';
import type { ImportedSae } from '../../../../src/sae/model/formats/index.js';
import { decode, encode, l0 } from '../../../reference/imported-sae.js';
import '../../../support/compare.js';
import { type FormatFixture, formatFixture, importBytes } from '../../../support/imported.js';

/** Figures of the fixtures have 12 digits; their values are those of the files, which are f32 and exact. */
const exact = 1e-10;

function expectFigures(sae: ImportedSae, { x, expected }: FormatFixture, tolerance: number): void {
  const code = encode(sae, x);
  expect(code).toBeCloseTensor(expected.encode.data, tolerance);
  expect(decode(sae, code)).toBeCloseTensor(expected.decode.data, tolerance);
  expect(l0(code, 16)).toBe(l0(expected.encode.data, 16));
}

describe('models that other programs saved give their codes and reconstructions', () => {
  test.each([
    ['dl_standard_april', { tool: 'dictionary_learning', kind: 'relu', pre_bias: true }],
    ['dl_topk', { tool: 'dictionary_learning', kind: 'topk', pre_bias: true }],
    ['dl_batchtopk', { tool: 'dictionary_learning', kind: 'batchtopk', pre_bias: true }],
    ['dl_jumprelu', { tool: 'dictionary_learning', kind: 'jumprelu', pre_bias: false }],
    ['gemma_scope_npz', { tool: 'Gemma Scope', kind: 'jumprelu', pre_bias: false }],
    ['openai_relu_tied', { tool: 'sparse_autoencoder (OpenAI)', kind: 'relu', pre_bias: true }],
    ['saelens_standard_inference', { tool: 'SAELens', version: '6.39.0', kind: 'relu', pre_bias: true }],
    ['saelens_batchtopk_inference', { tool: 'SAELens', version: '6.39.0', kind: 'jumprelu', pre_bias: true }],
    [
      'saelens_jumprelu_v649_inference',
      { tool: 'SAELens', version: '6.49.2', kind: 'jumprelu', pre_bias: true },
    ],
    ['saelens_v5_standard_topk', { tool: 'SAELens', version: '5.9.1', kind: 'topk', pre_bias: true }],
    ['sparsify_topk', { tool: 'sparsify', kind: 'topk', pre_bias: true }],
    ['sparsify_topk_expansion', { tool: 'sparsify', kind: 'topk', pre_bias: true }],
  ])('%s', async (name, { kind, version, ...expected }: Record<string, unknown>) => {
    const fixture = formatFixture(name);
    const sae = await importBytes(fixture.files, name);
    expect(sae).toMatchObject({ ...expected, activation: { kind } });
    expect(sae.tool_version).toBe(version);
    expectFigures(sae, fixture, exact);
  });

  test('saelens_topk_inference, whose latents are multiplied by norms that are nearly 1', async () => {
    const fixture = formatFixture('saelens_topk_inference');
    const sae = await importBytes(fixture.files, 'folder');
    expect(sae).toMatchObject({ activation: { kind: 'topk', k: 4 }, rescaled: true, notes: [] });
    expectFigures(sae, fixture, 1e-6);
  });

  test('matrices are read by their strides', async () => {
    const { files, expected } = formatFixture('dl_batchtopk');
    const sae = await importBytes(files, 'folder');
    expect(sae.W_enc).toBeCloseTensor(valuesOf(expected, 'encoder.weight'), exact);
    expect(sae.activation).toEqual({ kind: 'batchtopk', k: 4, threshold: Math.fround(0.31249126792) });
  });

  test('what says nothing about codes is listed', async () => {
    const topk = await importBytes(formatFixture('dl_topk').files, 'folder');
    expect(topk.ignored).toContain('threshold');
    expect(topk.ignored).toContain('lm_name');
    const lens = await importBytes(formatFixture('saelens_standard_inference').files, 'folder');
    expect(lens.ignored).toEqual(['dtype', 'reshape_activations', 'device']);
  });
});

function valuesOf(expected: FormatFixture['expected'], name: string): readonly number[] {
  return (expected.values as unknown as FormatFixture['expected'])[name].data;
}
