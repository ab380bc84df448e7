import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ModelFileError } from '../../../../src/sae/errors.js';
import { bytesInMemory, importSae } from '../../../../src/sae/model/formats/index.js';
import { formatFixture, importBytes, safetensorsFile } from '../../../support/imported.js';
import { f32Bytes, global, torchFile, torchPickle, torchZip, unicode } from '../../../support/torch-file.js';
import { bytesOf, u32, zipFile } from '../../../support/zip-file.js';

const text = (value: string) => new TextEncoder().encode(value);

describe('pickles that want to run something', () => {
  const call = (module: string, name: string) =>
    bytesOf([0x80, 2], global(module, name), [0x28], unicode('echo'), [0x74, 0x52, 0x2e]);

  test.each([
    ['posix', 'system'],
    ['os', 'system'],
    ['builtins', 'eval'],
    ['__builtin__', 'eval'],
    ['builtins', 'getattr'],
    ['torch', 'load'],
    ['torch._utils', '_rebuild_device_tensor_from_numpy'],
    ['collections', 'defaultdict'],
    ['__main__', 'AutoEncoder'],
    // Names of JavaScript that a lookup in an object would find.
    ['constructor', 'constructor'],
    ['', '__proto__'],
  ])('%s.%s', async (module, name) => {
    await expect(importBytes({ 'x.pt': torchZip(call(module, name)) })).rejects.toThrow(
      `x.pt cannot be imported: its pickle names "${module}.${name}", which no dictionary of tensors needs. Nothing of it was executed.`,
    );
  });

  test.each<[string, string, Uint8Array]>([
    ['INST', '0x69', bytesOf([0x80, 2, 0x28, 0x69], text('os\nsystem\n'))],
    ['OBJ', '0x6f', bytesOf([0x80, 2, 0x28], global('collections', 'OrderedDict'), [0x6f])],
    ['NEWOBJ', '0x81', bytesOf([0x80, 2], global('collections', 'OrderedDict'), [0x29, 0x81])],
    ['EXT1', '0x82', bytesOf([0x80, 2, 0x82, 1])],
    ['DUP', '0x32', bytesOf([0x80, 2, 0x7d, 0x32])],
    ['STACK_GLOBAL', '0x93', bytesOf([0x80, 2], unicode('os'), unicode('system'), [0x93])],
    ['an opcode that Python has not', '0xff', bytesOf([0x80, 2, 0xff])],
  ])('the opcode %s', async (_, code, pickle) => {
    await expect(importBytes({ 'x.pt': torchZip(pickle) })).rejects.toThrow(
      new RegExp(`its pickle has the opcode ${code} at byte \\d+, which no dictionary of tensors needs`),
    );
  });

  test.each<[string, RegExp, Uint8Array]>([
    ['of another protocol', /is of protocol 4/, bytesOf([0x80, 4])],
    [
      'that call a class',
      /calls what is not a function/,
      bytesOf([0x80, 2], global('torch', 'FloatStorage'), [0x29, 0x52]),
    ],
    ['that call text', /calls what is not a function/, bytesOf([0x80, 2], unicode('eval'), [0x29, 0x52])],
    [
      'that set attributes of text',
      /sets attributes of what/,
      bytesOf([0x80, 2], unicode('x'), [0x7d, 0x62]),
    ],
    [
      'that set items of a list',
      /sets items of what is not/,
      bytesOf([0x80, 2, 0x5d, 0x4b, 1, 0x4b, 1, 0x73]),
    ],
    ['with a key that is a list', /a key that is neither/, bytesOf([0x80, 2, 0x7d, 0x5d, 0x4b, 1, 0x73])],
    ['that pop from nothing', /lacks a value at byte 3/, bytesOf([0x80, 2, 0x2e])],
    ['without a mark', /lacks a mark/, bytesOf([0x80, 2, 0x74])],
    [
      'that recall what was not kept',
      /recalls what it has not kept/,
      bytesOf([0x80, 2, 0x6a, 255, 255, 255, 255]),
    ],
    ['that hold no dictionary', /does not hold a dictionary of tensors/, bytesOf([0x80, 2, 0x4e, 0x2e])],
    ['without an end', /is truncated or damaged before byte/, bytesOf([0x80, 2, 0x7d])],
    [
      'with a text of 4 GiB',
      /is truncated or damaged before byte/,
      bytesOf([0x80, 2, 0x58], u32(0xffffffff)),
    ],
    ['with a number of 255 bytes', /is truncated or damaged before byte/, bytesOf([0x80, 2, 0x8a, 255, 1])],
    [
      'with a made-up storage',
      /not described as torch\.save does it/,
      bytesOf([0x80, 2], unicode('x'), [0x51]),
    ],
    [
      'with a call that lacks its arguments',
      /not described as torch\.save does it/,
      bytesOf([0x80, 2], global('torch._utils', '_rebuild_tensor_v2'), [0x29, 0x52]),
    ],
  ])('pickles %s', async (_, sentence, pickle) => {
    await expect(importBytes({ 'x.pt': torchZip(pickle) })).rejects.toThrow(sentence);
  });

  test('lists in lists, each ten times the one before, take no memory', async () => {
    // 30 levels of ten references each: 10^30 items, were they written out.
    const levels = Array.from({ length: 30 }, (_, i) => [
      ...[0x5d, 0x28],
      ...Array.from({ length: 10 }, () => [0x68, i]).flat(),
      ...[0x65, 0x71, i + 1],
    ]);
    const bomb = bytesOf(
      [0x80, 2, 0x5d, 0x71, 0],
      levels.flat(),
      [0x7d],
      unicode('x'),
      [0x68, 30, 0x73, 0x2e],
    );
    await expect(importBytes({ 'x.pt': torchZip(bomb) })).rejects.toThrow(
      'it is of no program that is known',
    );
  });
});

describe('claims that a small file cannot keep are refused before anything is allocated', () => {
  /** Imports a file, and fails if more is read at once than it has bytes. */
  function importWatched(name: string, bytes: Uint8Array) {
    const file = bytesInMemory(bytes);
    const read = (begin: number, into: Uint8Array<ArrayBuffer>) => {
      if (into.length > bytes.length) throw new Error(`${into.length} bytes were allocated`);
      return file.read(begin, into);
    };
    return importSae(new Map([[name, { length: bytes.length, read }]]), name);
  }
  const gigabytes = 2 ** 31;
  const bytes = f32Bytes([1, 2, 3, 4]);

  test('the header of a safetensors file', async () => {
    const file = safetensorsFile({ W_enc: { shape: [1], bytes: f32Bytes([1]) } });
    const claimed = text(
      new TextDecoder('latin1').decode(file).replace('[0,4]', '[0,9]').replace('[1]', '[2]'),
    );
    await expect(importWatched('x.safetensors', claimed)).rejects.toThrow(ModelFileError);
    const long = Uint8Array.from(file);
    new DataView(long.buffer).setBigUint64(0, BigInt(gigabytes), true);
    await expect(importWatched('x.safetensors', long)).rejects.toThrow(
      'it claims a header of 2147483648 bytes',
    );
  });

  test('the storage of a tensor', async () => {
    const file = torchFile({ pre_bias: { shape: [4], bytes, claimed: gigabytes / 4 }, latent_bias: 1 });
    await expect(importWatched('x.pt', file)).rejects.toThrow(
      'its part archive/data/0 has 16 bytes, and its pickle claims 2147483648.',
    );
  });

  test.each([
    ['a shape', { shape: [gigabytes / 2] }],
    ['strides of 0', { shape: [gigabytes / 2, 2], strides: [0, 0] }],
    ['strides beyond the storage', { shape: [2, 2], strides: [1, 3] }],
    ['an offset', { shape: [4], offset: 1 }],
  ])('%s', async (_, place) => {
    await expect(importWatched('x.pt', torchFile({ pre_bias: { bytes, ...place } }))).rejects.toThrow(
      /it has a tensor \[[\d,]+\] that does not fit into its storage of 4 values/,
    );
  });

  test('what is packed in a zip archive', async () => {
    // Some bytes that are deflated, and claim to be 2 GiB, as the pickle does.
    const pickle = torchPickle({
      'encoder.weight': { shape: [1, 4], bytes: new Uint8Array(0), claimed: gigabytes / 4 },
      pre_bias: { shape: [4], bytes },
      latent_bias: { shape: [1], bytes },
      activation: 'ReLU',
    });
    const parts = { 'x/data.pkl': pickle, 'x/data/1': bytes, 'x/data/0': new Uint8Array(1000) };
    const zip = zipFile(parts, ['x/data/0']);
    const entry = latin1(zip).lastIndexOf('PK\x01\x02');
    new DataView(zip.buffer).setUint32(entry + 24, gigabytes, true);
    await expect(importWatched('x.pt', zip)).rejects.toThrow(
      /its part x\/data\/0 claims 2147483648 bytes, and \d+ packed ones cannot hold that/,
    );
  });

  test('the directory of a zip archive', async () => {
    const zip = torchFile({ pre_bias: { shape: [4], bytes } });
    const view = new DataView(zip.buffer);
    view.setUint32(zip.length - 22 + 12, gigabytes, true);
    await expect(importWatched('x.pt', Uint8Array.from(zip))).rejects.toThrow(
      /it claims 2147483648 bytes from byte \d+ on, and ends at byte/,
    );
  });

  test('an array in an .npz file', async () => {
    const { files } = formatFixture('gemma_scope_npz');
    const claimed = replaced(files['params.npz'], 0, '(12, 40)', '(99, 99)');
    await expect(importWatched('params.npz', claimed)).rejects.toThrow(
      'params.npz, array W_enc.npy, cannot be imported: it has 2048 bytes, and its header claims 39332.',
    );
  });
});

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** A text of the same length in the place of another, the first one from `start` on. */
function replaced(bytes: Uint8Array, start: number, before: string, after: string): Uint8Array {
  const at = latin1(bytes).indexOf(before, start);
  const copy = Uint8Array.from(bytes);
  copy.set(text(after), at);
  return copy;
}

describe('damaged files', () => {
  const models = {
    'ae.pt': formatFixture('dl_batchtopk').files,
    'autoencoder.pt': formatFixture('openai_relu_tied').files,
    'params.npz': formatFixture('gemma_scope_npz').files,
    'sae_weights.safetensors': formatFixture('saelens_topk_inference').files,
  };

  test.each(Object.entries(models))('%s, cut anywhere, is refused', async (name, files) => {
    const step = 61;
    for (let length = 0; length < files[name].length; length += step) {
      await expect(importBytes({ ...files, [name]: files[name].subarray(0, length) })).rejects.toThrow(
        ModelFileError,
      );
    }
  });

  test.each(Object.entries(models))(
    '%s with a wrong byte is refused, or gives finite weights',
    async (name, files) => {
      await fc.assert(
        fc.asyncProperty(
          fc.nat(files[name].length - 1),
          fc.integer({ min: 1, max: 255 }),
          async (at, change) => {
            const damaged = Uint8Array.from(files[name]);
            damaged[at] ^= change;
            const sae = await importBytes({ ...files, [name]: damaged }).catch((error) => {
              expect(error).toBeInstanceOf(ModelFileError);
            });
            if (sae) expect(sae.W_enc.every(Number.isFinite)).toBe(true);
          },
        ),
        { numRuns: 150 },
      );
    },
  );

  test('JSON that is none', async () => {
    const { files } = formatFixture('saelens_topk_inference');
    await expect(importBytes({ ...files, 'cfg.json': text('{') }, 'folder')).rejects.toThrow(
      'folder, cfg.json, cannot be imported: its configuration is not JSON.',
    );
    await expect(importBytes({ ...files, 'cfg.json': text('[]') }, 'folder')).rejects.toThrow(
      'not a JSON object',
    );
  });

  test('a configuration by itself, and a line of JSON without what saev puts after it', async () => {
    const { files } = formatFixture('saelens_topk_inference');
    for (const file of [files['cfg.json'], text('{"schema": 5}\n{}')]) {
      await expect(importBytes({ 'cfg.json': file })).rejects.toThrow(
        'cfg.json cannot be imported: it begins as JSON, and no zip archive of torch.save follows its first line.',
      );
    }
  });

  test('files of PyTorch before 1.6', async () => {
    const legacy = bytesOf([0x80, 2, 0x8a, 10], text('whatever follows'));
    await expect(importBytes({ 'ae.pt': legacy })).rejects.toThrow('it was saved by PyTorch before 1.6');
  });
});
