import { describe, expect, test } from 'vitest';
import { importSae } from '../../../../src/sae/model/formats/index.js';
import { decode, encode, l0 } from '../../../reference/imported-sae.js';
import '../../../support/compare.js';
import {
  type FormatFixture,
  f32Values,
  fixtureBytes,
  formatFixture,
  importBytes,
  jsonFile,
  type SafetensorsValue,
  safetensorsFile,
  tensorBytes,
  withFields,
} from '../../../support/imported.js';
import { f32Bytes, type TorchValue, torchFile, torchPickle } from '../../../support/torch-file.js';
import { bytesOf, zip64Source, zipFile } from '../../../support/zip-file.js';

// Weights, codes and reconstructions are those that the programs computed with; their files are put together here.

/** What is folded in is rounded to f32. */
const folded = 1e-6;
const exact = 1e-10;

async function expectFigures(
  fixture: FormatFixture,
  files: Readonly<Record<string, Uint8Array>>,
  tolerance: number,
) {
  const sae = await importBytes(files, 'folder');
  const code = encode(sae, fixture.x);
  expect(code).toBeCloseTensor(fixture.expected.encode.data, tolerance);
  expect(decode(sae, code)).toBeCloseTensor(fixture.expected.decode.data, tolerance);
  expect(l0(code, 16)).toBe(l0(fixture.expected.encode.data, 16));
  return sae;
}

/** A threshold in the middle of what was kept and what was not. */
function threshold({ expected: { encode: code, pre } }: FormatFixture): number {
  const kept = code.data.filter((value) => value > 0);
  const others = pre.data.filter((_, i) => code.data[i] === 0);
  return (Math.min(...kept) + Math.max(...others)) / 2;
}

describe('checkpoints of SAELens', () => {
  test.each(['saelens_topk', 'saelens_topk_norescale', 'saelens_jumprelu_negative_threshold'])(
    '%s',
    async (name) => {
      const fixture = formatFixture(`weights/${name}`);
      const files = {
        'cfg.json': fixture.files['cfg.json'],
        'sae_weights.safetensors': fixture.files['weights.safetensors'],
      };
      const sae = await expectFigures(fixture, files, exact);
      expect(sae.rescaled).toBe(name === 'saelens_topk' ? true : undefined);
      expect(sae.pre_bias).toBe(name !== 'saelens_topk_norescale');
      if (sae.activation.kind === 'jumprelu') expect(Math.min(...sae.activation.threshold)).toBe(0);
    },
  );

  test.each(['saelens_batchtopk', 'saelens_matryoshka_batchtopk'])(
    '%s keeps what is above the threshold of its rescaled latents',
    async (name) => {
      const fixture = formatFixture(`weights/${name}`);
      const tensors = fixtureBytes(fixture);
      const T = threshold(fixture);
      const files = {
        'cfg.json': fixture.files['cfg.json'],
        'sae_weights.safetensors': safetensorsFile({
          topk_threshold: { shape: [], dtype: 'F64', bytes: new Uint8Array(Float64Array.of(T).buffer) },
          ...tensors,
        }),
      };
      const sae = await expectFigures(fixture, files, exact);
      expect(sae).toMatchObject({ rescaled: true, notes: [] });
      expect(sae.activation).toEqual({ kind: 'batchtopk', k: 4, threshold: Math.fround(T) });
    },
  );

  test('the factor of its inputs is folded in', async () => {
    const fixture = formatFixture('weights/saelens_topk');
    const sae = await importBytes({
      'cfg.json': withFields(fixture.files['cfg.json'], {
        normalize_activations: 'expected_average_only_in',
      }),
      'activation_scaler.json': jsonFile({ scaling_factor: 0.25 }),
      'sae_weights.safetensors': fixture.files['weights.safetensors'],
    });
    const code = encode(
      sae,
      fixture.x.map((value) => value / 0.25),
    );
    expect(code).toBeCloseTensor(fixture.expected.encode.data, folded);
    const output = decode(sae, code).map((value) => value * 0.25);
    expect(output).toBeCloseTensor(fixture.expected.decode.data, folded);
    expect(sae.notes.join(' ')).toContain('0.25');
    expect(sae.rescaled).toBeUndefined();
  });

  test('a decoder direction of zeros stays one', async () => {
    const fixture = formatFixture('weights/saelens_topk');
    const { W_dec, ...others } = fixtureBytes(fixture);
    const values = f32Values(W_dec.bytes).fill(0, 12, 24);
    const sae = await importBytes({
      'cfg.json': fixture.files['cfg.json'],
      'sae_weights.safetensors': safetensorsFile({ ...others, W_dec: { ...W_dec, bytes: f32Bytes(values) } }),
    });
    expect([...sae.W_dec.subarray(12, 24)]).toEqual(Array(12).fill(0));
    expect(
      encode(sae, fixture.x)
        .filter((_, i) => i % 40 === 1)
        .every((value) => value < 1e-6),
    ).toBe(true);
  });

  test('factors of finetuning, before version 6, multiply the decoder', async () => {
    const fixture = formatFixture('saelens_v5_standard_topk');
    const factors = Array.from({ length: 40 }, (_, i) => 1 + (i % 4) / 4);
    const files = {
      ...fixture.files,
      'cfg.json': withFields(fixture.files['cfg.json'], { finetuning_scaling_factor: true }),
      'sae_weights.safetensors': withScalingFactor(fixture.files['sae_weights.safetensors'], factors),
    };
    const sae = await importBytes(files);
    const plain = await importBytes(fixture.files);
    const code = encode(sae, fixture.x);
    expect(code).toBeCloseTensor(fixture.expected.encode.data, exact);
    const scaled = code.map((value, i) => value * factors[i % 40]);
    expect(decode(sae, code)).toBeCloseTensor(decode(plain, scaled), folded);
  });
});

function withScalingFactor(file: Uint8Array, factors: readonly number[]): Uint8Array {
  return safetensorsFile({ ...tensorBytes(file), scaling_factor: { shape: [40], bytes: f32Bytes(factors) } });
}

describe('files of torch.save', () => {
  const line = (cfg: unknown, schema: unknown = 5) => bytesOf(jsonFile({ schema, cfg, lib: '0.1' }), [0x0a]);

  test.each(['saev_relu', 'saev_topk', 'saev_batchtopk'])('%s', async (name) => {
    const fixture = formatFixture(`weights/${name}`);
    const { 'activation.threshold': _, ...tensors } = fixtureBytes(fixture);
    const T = name === 'saev_batchtopk' ? threshold(fixture) : undefined;
    const state = {
      ...tensors,
      ...(T !== undefined && { 'activation.threshold': { shape: [], bytes: f32Bytes([T]) } }),
    };
    const cfg = JSON.parse(new TextDecoder().decode(fixture.files['cfg.json']));
    const sae = await expectFigures(fixture, { 'sae.pt': bytesOf(line(cfg), torchFile(state)) }, exact);
    expect(sae).toMatchObject({ tool: 'saev', tool_version: '0.1', pre_bias: false });
    await expect(importBytes({ 'sae.pt': bytesOf(line(cfg, 2), torchFile(state)) })).rejects.toThrow(
      'its first line is of schema 2, and 5 was expected',
    );
  });

  test('overcomplete_jump', async () => {
    const fixture = formatFixture('weights/overcomplete_jump');
    const { 'encoder.weight': weight, 'encoder.bias': bias, thresholds, ...others } = fixtureBytes(fixture);
    const rest = {
      'encoder.final_block.0.weight': weight,
      'encoder.final_block.0.bias': bias,
      'dictionary._weights': others['dictionary._weights'],
      'dictionary.multiplier': others['dictionary.multiplier'],
    };
    const state = { ...rest, thresholds };
    const sae = await expectFigures(fixture, { 'jump.pth': torchFile(state) }, folded);
    expect(sae.tool).toBe('overcomplete');
    // Atoms of another length are the same atoms, and all of them are multiplied by exp(multiplier).
    const atoms = rest['dictionary._weights'];
    const longer = await importBytes({
      'jump.pth': torchFile({
        ...state,
        'dictionary._weights': {
          ...atoms,
          bytes: f32Bytes(f32Values(atoms.bytes).map((value) => 3 * value)),
        },
        'dictionary.multiplier': { shape: [], bytes: f32Bytes([Math.log(2)]) },
      }),
    });
    expect(longer.W_dec).toBeCloseTensor(
      sae.W_dec.map((value) => 2 * value),
      folded,
    );
    await expect(importBytes({ 'topk.pth': torchFile(rest) })).rejects.toThrow(
      'topk.pth cannot be imported: its state_dict',
    );
  });

  test('dictionary_learning: MatryoshkaBatchTopKSAE, whose W_enc is a transposed view', async () => {
    const fixture = formatFixture('weights/dl_matryoshka_batchtopk');
    const { W_enc, W_dec, b_enc, b_dec } = fixtureBytes(fixture);
    const pre = await importBytes({ 'ae.pt': torchFile({ ...fixtureBytes(fixture), ...longs }) });
    const T = Math.min(...fixture.expected.encode.data.filter((value) => value > 0)) * (1 - 1e-6);
    const state = {
      W_enc: { shape: [12, 40], strides: [1, 12], bytes: transposedBytes(W_enc) },
      W_dec: { ...W_dec, parameter: true },
      b_enc,
      b_dec,
      ...longs,
      threshold: { shape: [], bytes: f32Bytes([T]) },
    };
    const sae = await expectFigures(fixture, { 'ae.pt': torchFile(state) }, exact);
    expect(sae.W_enc).toEqual(pre.W_enc);
    expect(sae).toMatchObject({
      tool: 'dictionary_learning',
      pre_bias: true,
      activation: { kind: 'batchtopk', k: 4 },
    });
  });

  test('dictionary_learning: a threshold that was never set keeps every positive latent, and is told', async () => {
    const fixture = formatFixture('weights/dl_matryoshka_batchtopk');
    const unset = { threshold: { shape: [], bytes: f32Bytes([-1]) } };
    const sae = await importBytes({ 'ae.pt': torchFile({ ...fixtureBytes(fixture), ...longs, ...unset }) });
    expect(sae.activation).toEqual({ kind: 'batchtopk', k: 4, threshold: 0 });
    expect(sae.notes).toEqual(['Its threshold is -1, so it was never set: every positive latent is kept.']);
  });

  test('dictionary_learning: the scale of the rows, in the backup of a training, is folded in', async () => {
    const fixture = formatFixture('weights/dl_matryoshka_batchtopk');
    const ae = { ...fixtureBytes(fixture), ...longs };
    const backup = { step: 12, ae, optimizer: { state: {}, lr: 0.5 }, norm_factor: 4.0001 };
    const sae = await importBytes({ 'ae.pt': torchFile(backup) });
    const asTensor = { shape: [], bytes: f32Bytes([4.0001]) };
    const same = await importBytes({ 'ae.pt': torchFile({ ...backup, norm_factor: asTensor }) });
    expect(same.b_dec).toBeCloseTensor(sae.b_dec, folded);
    const plain = await importBytes({ 'ae.pt': torchFile(ae) });
    const code = encode(
      sae,
      fixture.x.map((value) => value * 4.0001),
    );
    const expected = encode(plain, fixture.x);
    expect(code).toBeCloseTensor(
      expected.map((value) => value * 4.0001),
      folded,
    );
    expect(decode(sae, code)).toBeCloseTensor(
      decode(plain, expected).map((value) => value * 4.0001),
      folded,
    );
  });
});

const longs: Record<string, TorchValue> = {
  k: { storage: 'IntStorage', shape: [], bytes: new Uint8Array(Int32Array.of(4).buffer) },
  group_sizes: {
    storage: 'LongStorage',
    shape: [3],
    bytes: new Uint8Array(BigInt64Array.of(10n, 10n, 20n).buffer),
  },
};

/** The same matrix with its first index running fastest. */
function transposedBytes({ shape: [rows, columns], bytes }: SafetensorsValue): Uint8Array {
  const values = f32Values(bytes);
  return f32Bytes(values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]));
}

test('arrays of numpy.savez_compressed, in C and in Fortran order', async () => {
  const fixture = formatFixture('gemma_scope_npz');
  const names = ['W_enc', 'b_enc', 'W_dec', 'b_dec', 'threshold'];
  const plain = await importBytes(fixture.files);
  const { W_enc, b_enc, W_dec, b_dec, activation } = plain;
  const threshold = activation.kind === 'jumprelu' ? activation.threshold : b_enc;
  const array = (shape: string, fortran: string, values: Float32Array) => {
    const header = `{'descr': '<f4', 'fortran_order': ${fortran}, 'shape': ${shape}, }`.padEnd(117);
    return bytesOf([0x93], new TextEncoder().encode(`NUMPY\x01\x00\x76\x00${header}\n`), f32Bytes(values));
  };
  const arrays = [
    // As [12, 40] in Fortran's order it is as [40, 12] in C's.
    array('(12, 40)', 'True', W_enc),
    array('(40,)', 'False', b_enc),
    array('(40, 12)', 'False', W_dec),
    array('(12,)', 'True', b_dec),
    array('(40,)', 'False', threshold),
  ];
  const files = Object.fromEntries(names.map((name, i) => [`${name}.npy`, arrays[i]]));
  await expectFigures(fixture, { 'params.npz': zipFile(files, Object.keys(files)) }, exact);
});

test('a file of which the parts lie beyond 4 GiB', async () => {
  const dictionary = fixtureBytes(formatFixture('weights/dl_matryoshka_batchtopk'));
  const storages: Uint8Array[] = [];
  const pickle = torchPickle({ ...dictionary, ...longs }, storages);
  const parts = Object.fromEntries(storages.map((bytes, key) => [`ae/data/${key}`, bytes]));
  const source = zip64Source({ 'ae/data.pkl': pickle, ...parts }, 5 * 2 ** 30);
  // A zip archive begins with its first file, which is in the hole here.
  const start = new TextEncoder().encode('PK\x03\x04');
  const read = async (begin: number, into: Uint8Array<ArrayBuffer>) => {
    await source.read(begin, into);
    if (begin === 0) into.set(start);
  };
  const sae = await importSae(new Map([['ae.pt', { length: source.length, read }]]), 'ae.pt');
  expect(sae).toEqual(await importBytes({ 'ae.pt': torchFile({ ...dictionary, ...longs }) }));
});

test.each([
  ['a pickle', 0x280],
  ['JSON', 0x27b],
])('a safetensors file that begins as %s does', async (_, length) => {
  const { files } = formatFixture('sparsify_topk');
  const weights = files['sae.safetensors'];
  const before = Number(new DataView(weights.buffer, weights.byteOffset).getBigUint64(0, true));
  const start = new Uint8Array(new BigUint64Array([BigInt(length)]).buffer);
  const header = weights.subarray(8, 8 + before);
  const spaces = new Uint8Array(length - before).fill(0x20);
  const padded = bytesOf(start, header, spaces, weights.subarray(8 + before));
  expect(await importBytes({ ...files, 'sae.safetensors': padded })).toEqual(await importBytes(files));
});

describe('types of values', () => {
  // OpenAI's layout: a bias in a file tells how its values were read.
  const state = (latent_bias: TorchValue, others: Record<string, TorchValue> = {}) => ({
    pre_bias: { shape: [2], bytes: f32Bytes([0, 0]) },
    latent_bias,
    'encoder.weight': { shape: [3, 2], bytes: f32Bytes([1, 2, 3, 4, 5, 6]) },
    'decoder.weight': { shape: [2, 3], bytes: f32Bytes([1, 2, 3, 4, 5, 6]) },
    activation: 'ReLU',
    ...others,
  });
  const bias = async (value: TorchValue) =>
    Array.from((await importBytes({ 'x.pt': torchFile(state(value)) })).b_enc);
  const u16s = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);

  test.each<[string, Uint8Array, number[]]>([
    ['DoubleStorage', new Uint8Array(Float64Array.of(0.1, -2, 1e-300).buffer), [Math.fround(0.1), -2, 0]],
    // IEEE 754-2019, table 3.5, and Wikipedia's «Half-precision floating-point format», «Half precision examples».
    ['HalfStorage', u16s(0x3555, 0xc000, 0x0001), [Math.fround(0.333251953125), -2, 2 ** -24]],
    ['HalfStorage', u16s(0x7bff, 0x0400, 0x03ff), [65504, 2 ** -14, 1023 * 2 ** -24]],
    // Upper halves of f32: 1.0, -2.0, and pi cut after eight bits.
    ['BFloat16Storage', u16s(0x3f80, 0xc000, 0x4049), [1, -2, 3.140625]],
    ['LongStorage', new Uint8Array(BigInt64Array.of(1n, -2n, 3n).buffer), [1, -2, 3]],
    ['IntStorage', new Uint8Array(Int32Array.of(1, -2, 3).buffer), [1, -2, 3]],
  ])('%s', async (storage, bytes, expected) => {
    expect(await bias({ storage, shape: [3], bytes })).toEqual(expected);
  });

  test('tensors that share a storage, at an offset and with strides', async () => {
    const bytes = f32Bytes([9, 1, 2, 3, 4, 5, 6]);
    const shared = {
      'encoder.weight': { shape: [3, 2], offset: 1, bytes },
      'decoder.weight': { shape: [2, 3], strides: [1, 2], offset: 1, bytes },
    };
    const latent_bias = { shape: [3], strides: [2], offset: 1, bytes };
    const sae = await importBytes({ 'x.pt': torchFile(state(latent_bias, shared)) });
    expect([...sae.W_enc]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...sae.W_dec]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...sae.b_enc]).toEqual([1, 3, 5]);
  });

  test('what is beyond the range of f32, or not finite, is refused', async () => {
    const double = (value: number) => ({
      storage: 'DoubleStorage',
      shape: [3],
      bytes: new Uint8Array(Float64Array.of(1, value, 3).buffer),
    });
    await expect(bias(double(1e300))).rejects.toThrow(
      /1e\+300 at index 1, and finite values in the range of f32/,
    );
    await expect(bias(double(Number.NaN))).rejects.toThrow(
      /tensor latent_bias, cannot be imported: it has NaN at index 1/,
    );
    await expect(bias({ storage: 'HalfStorage', shape: [3], bytes: u16s(0, 0x7c00, 0) })).rejects.toThrow(
      'Infinity at index 1',
    );
  });
});
