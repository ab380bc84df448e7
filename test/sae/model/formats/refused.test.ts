import { describe, expect, test } from 'vitest';
import {
  fixtureBytes,
  formatFixture,
  importBytes,
  jsonFile,
  safetensorsFile,
  tensorBytes,
  withFields,
} from '../../../support/imported.js';
import { f32Bytes, torchFile } from '../../../support/torch-file.js';

describe('what an ImportedSae cannot express is refused with a sentence', () => {
  const { files: lens } = formatFixture('saelens_topk_inference');
  const { files: old } = formatFixture('saelens_v5_standard_topk');

  test.each<[string, object, RegExp]>([
    [
      'gated',
      { architecture: 'gated' },
      /gated: one path decides which latents are active and another how much/,
    ],
    [
      'transcoder',
      { architecture: 'transcoder' },
      /its architecture is transcoder; standard, topk, jumprelu,/,
    ],
    ['matching_pursuit', { architecture: 'matching_pursuit' }, /its architecture is matching_pursuit;/],
    ['constant_norm_rescale', { normalize_activations: 'constant_norm_rescale' }, /each input row by itself/],
    [
      'whitening',
      { normalize_activations: 'covariance_whitening' },
      /its normalize_activations is covariance/,
    ],
    [
      'a scale that is not there',
      { normalize_activations: 'expected_average_only_in' },
      /the factor is not there: activation_scaler\.json with its scaling_factor was expected/,
    ],
    ['k of 0', { k: 0 }, /its k is 0, and a whole number from 1 to 40 latents was expected/],
    ['k beyond the latents', { k: 41 }, /its k is 41/],
    ['a fraction', { k: 4.5 }, /its k is 4\.5/],
    [
      'sizes that are not the tensors',
      { d_sae: 39 },
      /its tensor W_enc is \[12, 40\], and \[12, 39\] was expected/,
    ],
    ['no number', { d_in: '12' }, /its field d_in is invalid/],
  ])('SAELens: %s', async (_, fields, sentence) => {
    await expect(
      importBytes({ ...lens, 'cfg.json': withFields(lens['cfg.json'], fields) }, 'folder'),
    ).rejects.toThrow(sentence);
  });

  test('SAELens: the layer norm of a file that it saved', async () => {
    await expect(
      importBytes(formatFixture('saelens_topk_layer_norm_inference').files, 'folder'),
    ).rejects.toThrow(
      'folder, cfg.json, cannot be imported: it normalises each input row by itself (normalize_activations layer_norm), which ' +
        'cannot be folded into weights.',
    );
  });

  test.each<[string, object, RegExp]>([
    [
      'tanh-relu',
      { activation_fn_str: 'tanh-relu' },
      /its activation is tanh-relu, and relu or topk was expected/,
    ],
    ['a scale', { normalize_activations: true }, /the factor is not there/],
    ['gated', { architecture: 'gated', activation_fn_str: 'relu' }, /gated/],
    ['jumprelu with topk', { architecture: 'jumprelu' }, /its architecture jumprelu has the activation topk/],
    ['no k', { activation_fn_kwargs: {} }, /its configuration has no k/],
  ])('SAELens before 6: %s', async (_, fields, sentence) => {
    await expect(
      importBytes({ ...old, 'cfg.json': withFields(old['cfg.json'], fields) }, 'folder'),
    ).rejects.toThrow(sentence);
  });

  test('SAELens: factors, scales and whitening that its configuration does not name', async () => {
    const scaler = (value: unknown) => importBytes({ ...lens, 'activation_scaler.json': jsonFile(value) });
    await expect(scaler({ scaling_factor: 2 })).rejects.toThrow(/has the factor 2, and cfg\.json says/);
    await expect(scaler({ scaling_factor: null, has_whitening: true })).rejects.toThrow(
      'it whitens its inputs',
    );
    await expect(scaler({ scaling_factor: 0 })).rejects.toThrow('its field scaling_factor is invalid');
    expect(await scaler({ scaling_factor: null })).toMatchObject({ tool: 'SAELens' });
    const bytes = f32Bytes(Array(40).fill(2));
    const weights = {
      ...tensorBytes(old['sae_weights.safetensors']),
      scaling_factor: { shape: [40], bytes },
    };
    await expect(
      importBytes({ ...old, 'sae_weights.safetensors': safetensorsFile(weights) }),
    ).rejects.toThrow('scaling_factor is not all 1, and cfg.json has no finetuning_scaling_factor');
  });

  test('SAELens: weights without their configuration', async () => {
    const { 'cfg.json': _, ...alone } = lens;
    await expect(importBytes(alone, 'sae_weights.safetensors')).rejects.toThrow(
      'sae_weights.safetensors cannot be imported: it has no file cfg.json.',
    );
  });

  test.each<[string, object, RegExp]>([
    ['groupmax', { activation: 'groupmax' }, /its activation is groupmax, and topk was expected/],
    ['magnitudes of either sign', { signed: true }, /largest magnitudes of either sign/],
    ['transcoder', { transcode: true }, /it is a transcoder/],
    ['skip connection', { skip_connection: true }, /skip connection/],
  ])('sparsify: %s', async (_, fields, sentence) => {
    const { files } = formatFixture('sparsify_topk');
    await expect(
      importBytes({ ...files, 'cfg.json': withFields(files['cfg.json'], fields) }, 'folder'),
    ).rejects.toThrow(sentence);
  });

  test('dictionary_learning: gated, unknown classes, and classes that cannot be told apart', async () => {
    const { files } = formatFixture('dl_topk');
    const config = (dict_class: string) => ({
      ...files,
      'config.json': jsonFile({ trainer: { dict_class } }),
    });
    await expect(importBytes(config('GatedAutoEncoder'))).rejects.toThrow('it is gated');
    await expect(importBytes(config('IdentityDict'))).rejects.toThrow(
      /its class is IdentityDict; AutoEncoder, AutoEncoderNew, AutoEncoderTopK/,
    );
    await expect(importBytes({ 'ae.pt': files['ae.pt'] })).rejects.toThrow(
      /its tensors do not tell its class, and config\.json is not beside it/,
    );
    const factor = torchFile({ ae: {}, norm_factor: -1 });
    await expect(importBytes({ 'ae.pt': factor })).rejects.toThrow('its norm_factor is not a number above 0');
  });

  test('OpenAI: TopK, whose input is normalised, and no activation', async () => {
    await expect(importBytes(formatFixture('openai_topk_normalized').files)).rejects.toThrow(
      'autoencoder.pt cannot be imported: its activation is TopK, before which it subtracts its mean',
    );
    const bytes = f32Bytes([1]);
    const identity = torchFile({
      pre_bias: { shape: [1], bytes },
      latent_bias: { shape: [1], bytes },
      activation: 'Identity',
    });
    await expect(importBytes({ 'x.pt': identity })).rejects.toThrow('its activation is Identity, and ReLU');
  });

  test('Gemma Scope: a tensor that only transcoders have', async () => {
    const tensors = fixtureBytes(formatFixture('weights/saelens_jumprelu_negative_threshold'));
    const { W_enc, W_dec, ...others } = tensors;
    const second = { w_enc: W_enc, w_dec: W_dec, ...others };
    expect(await importBytes({ 'params.safetensors': safetensorsFile(second) })).toMatchObject({
      tool: 'Gemma Scope',
      pre_bias: false,
      latents: 40,
    });
    const skip = { ...second, affine_skip_connection: { shape: [1], bytes: f32Bytes([0]) } };
    await expect(importBytes({ 'params.safetensors': safetensorsFile(skip) })).rejects.toThrow(
      'it has the tensor affine_skip_connection, as transcoders have',
    );
  });

  test('files of no known program', async () => {
    const unknown = safetensorsFile({ weight: { shape: [1], bytes: f32Bytes([0]) } });
    await expect(importBytes({ 'x.safetensors': unknown })).rejects.toThrow(
      /x\.safetensors cannot be imported: it is of no program that is known: its tensors are weight\. Expected were files of SAELens/,
    );
    await expect(importBytes({ 'a.txt': jsonFile({}), 'b.txt': jsonFile({}) }, 'folder')).rejects.toThrow(
      'it has no file of weights',
    );
    await expect(importBytes({ 'a.pt': unknown, 'b.pt': unknown }, 'folder')).rejects.toThrow(
      'folder cannot be imported: it has several files of weights: a.pt, b.pt. Give the one that is meant.',
    );
  });
});
