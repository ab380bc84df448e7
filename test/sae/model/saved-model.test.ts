import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readModelFile, writeModelFile } from '../../../src/node/model-file.js';
import { writeWhole } from '../../../src/node/write-file.js';
import { type ModelConfig, parseTrainConfig, type TrainOptions } from '../../../src/sae/config.js';
import { DataError, ModelFileError } from '../../../src/sae/errors.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import {
  decodeModel,
  encodeModel,
  modelParts,
  type ReadOptions,
  readModel,
  type SavedModel,
} from '../../../src/sae/model/saved-model.js';
import type { ScalarNormalization } from '../../../src/sae/rows/dataset.js';
import { type SparsityName, sparsityNames } from '../../../src/sae/sparsity/index.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { randomParameters } from '../../reference/autoencoder.js';
import { seededRandom } from '../../reference/random.js';
import { long } from '../../support/long.js';
import { pythonWithTorch, runOriginal } from '../../support/original.js';
import '../../support/compare.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, modelConfig, sameParameters, toParameters } from '../../support/models.js';

const gpu = await gpuOfFile();

const config = {
  in_dims: 6,
  h_dims: [5, 3],
  activation: 'sigmoid',
  sparsity_lambda: 0.2,
  sparsity_target: 0.05,
} as const;
const saved: SavedModel = {
  config: modelConfig(config),
  parameters: toParameters(randomParameters(config, seededRandom(1))),
  normalization: { mean: 0.1307, std: 0.3081 },
  image_shape: [2, 3],
  training: parseTrainConfig({ lr: 1e-3, epochs: 7 }),
};

interface Entry {
  dtype: unknown;
  shape: unknown;
  data_offsets: unknown;
}
type Header = Record<string, Entry> & { __metadata__: Record<string, unknown> };

/** Takes a file apart by the format's specification, trusting it. */
function takeApart(bytes: Uint8Array): { header: Header; data: Buffer; headerLength: number } {
  const buffer = Buffer.from(bytes);
  const headerLength = Number(buffer.readBigUInt64LE(0));
  const header = JSON.parse(buffer.toString('utf8', 8, 8 + headerLength));
  return { header, data: buffer.subarray(8 + headerLength), headerLength };
}

/** Puts a file together, with whatever is in the header. */
function putTogether(header: unknown, data: Uint8Array): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

describe('the bytes', () => {
  const bytes = encodeModel(saved);
  const { header, data, headerLength } = takeApart(bytes);
  const { __metadata__: metadata, ...tensors } = header;

  test('begin with the header, padded with spaces so that the tensors lie at a multiple of eight', () => {
    expect(headerLength % 8).toBe(0);
    expect(bytes[8]).toBe('{'.charCodeAt(0));
    expect(Buffer.from(bytes).toString('utf8', 8, 8 + headerLength)).toMatch(/\} {0,7}$/);
  });

  test('name the tensors as the original\u2019s state_dict does, with their shapes', () => {
    expect(Object.entries(tensors).map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['encoder.0.weight', 'F32', [5, 6]],
      ['encoder.0.bias', 'F32', [5]],
      ['encoder.2.weight', 'F32', [3, 5]],
      ['encoder.2.bias', 'F32', [3]],
      ['decoder.0.weight', 'F32', [5, 3]],
      ['decoder.0.bias', 'F32', [5]],
      ['decoder.2.weight', 'F32', [6, 5]],
      ['decoder.2.bias', 'F32', [6]],
    ]);
  });

  test('hold the tensors one after another, little-endian, and nothing else', () => {
    let end = 0;
    for (const [name, { data_offsets }] of Object.entries(tensors)) {
      const [from, to] = data_offsets as [number, number];
      expect(from, name).toBe(end);
      const values = saved.parameters.get(name)!.data;
      expect(to - from, name).toBe(4 * values.length);
      values.forEach((value, i) => {
        expect(data.readFloatLE(from + 4 * i)).toBe(value);
      });
      end = to;
    }
    expect(end).toBe(data.length);
  });

  test('describe the rest as text', () => {
    expect(Object.values(metadata).every((value) => typeof value === 'string')).toBe(true);
    expect(metadata.format).toBe('pt');
    expect(JSON.parse(metadata.normalization as string)).toEqual(saved.normalization);
    expect(JSON.parse(metadata.config as string)).toEqual(saved.config);
  });

  test('are read back as they were, from any place in memory', () => {
    for (const shift of [0, 1, 3]) {
      const moved = new Uint8Array(bytes.length + shift);
      moved.set(bytes, shift);
      const { parameters, ...description } = decodeModel(moved.subarray(shift), 'model');
      const { parameters: expected, ...expectedDescription } = saved;
      expect(description).toEqual(expectedDescription);
      expect(sameParameters(parameters, expected)).toBe(true);
      expect([...parameters].map(([name, { shape }]) => [name, shape])).toEqual(
        [...expected].map(([name, { shape }]) => [name, shape]),
      );
    }
  });

  test.each(sparsityNames)(
    'of sparsity %s: how it was trained is read back, and nothing is passed over',
    (sparsity) => {
      const training = parseTrainConfig<SparsityName>({ sparsity, lr: 3e-4 } as TrainOptions<SparsityName>);
      const read = decodeModel(encodeModel({ ...saved, training }), 'model');
      expect(read.training).toEqual(training);
      expect(read.passed_over).toBeUndefined();
    },
  );

  test('without metadata, and with tensors in another order, are a ReLU model', () => {
    const names = Object.keys(tensors).reverse();
    const bare = Object.fromEntries(names.map((name) => [name, tensors[name]]));
    const { parameters, ...description } = decodeModel(putTogether(bare, data), 'model');
    expect(description).toEqual({ config: { ...saved.config, activation: 'relu' } });
    expect(sameParameters(parameters, saved.parameters)).toBe(true);
  });
});

describe('what another program or a later version saved', () => {
  const { header, data } = takeApart(encodeModel(saved));
  const { __metadata__: own, ...tensors } = header;
  const other = (metadata: object, options?: ReadOptions) =>
    decodeModel(putTogether({ __metadata__: metadata, ...tensors }, data), 'model', options);

  test.each<[string, Record<string, string>, Partial<SavedModel>]>([
    ['a configuration of another program', { config: '{"d_in":6,"d_sae":3}' }, { passed_over: ['config'] }],
    ['a configuration in words', { config: 'v1 mnist run' }, { passed_over: ['config'] }],
    ['a normalisation by name', { normalization: 'none' }, { passed_over: ['normalization'] }],
    ['a normalisation by 0', { normalization: '{"mean":0,"std":0}' }, { passed_over: ['normalization'] }],
    [
      'a normalisation that is 0 in f32',
      { normalization: '{"mean":0,"std":1e-60}' },
      { passed_over: ['normalization'] },
    ],
    ['an image of another size', { image_shape: '[28,28]' }, { passed_over: ['image_shape'] }],
    ['an image in colour', { image_shape: '[1,2,3]' }, { image_shape: [1, 2, 3] }],
    [
      'an image with another number of channels',
      { image_shape: '[3,2,1]' },
      { passed_over: ['image_shape'] },
    ],
    [
      'what goes with a configuration that names no sizes',
      { config: '{"activation":"relu"}', image_shape: '[28,28]', normalization: '"unit"' },
      { passed_over: ['normalization', 'image_shape'] },
    ],
    ['a configuration that agrees with the tensors', { config: '{"activation":"relu","in_dims":6}' }, {}],
    ['metadata of other names', { author: 'someone' }, {}],
    ['training that is a list', { training: '[]' }, { passed_over: ['training'] }],
    [
      'a kind of sparsity that is not known',
      { training: '{"sparsity":"gated","lr":0.5}' },
      { passed_over: ['training'] },
    ],
    [
      'an option that is not known',
      { training: '{"lr":0.5,"weight_decay":0.25}' },
      { training: parseTrainConfig({ lr: 0.5 }), passed_over: ['training weight_decay'] },
    ],
  ])('%s is passed over', (_, metadata, expected) => {
    const { parameters, ...description } = other(metadata);
    expect(description).toEqual({ config: { ...saved.config, activation: 'relu' }, ...expected });
    expect(sameParameters(parameters, saved.parameters)).toBe(true);
  });

  test('the reader says the activation where the file does not', () => {
    expect(other({}, { activation: 'sigmoid' }).config.activation).toBe('sigmoid');
    expect(other(own, { activation: 'relu' }).config.activation).toBe('sigmoid');
  });

  test.each(['module.', '_orig_mod.', 'module._orig_mod.'])('names that begin with %s', (prefix) => {
    const named = Object.fromEntries(Object.entries(tensors).map(([name, place]) => [prefix + name, place]));
    const { parameters } = decodeModel(putTogether(named, data), 'model');
    expect([...parameters.keys()].sort()).toEqual([...saved.parameters.keys()].sort());
    expect(sameParameters(parameters, saved.parameters)).toBe(true);
  });

  test('tensors of other names are refused with the names that there are', () => {
    const places = Object.values(tensors);
    const named = (names: string[]) =>
      putTogether(Object.fromEntries(places.map((place, i) => [names[i], place])), data);
    const few = ['W_enc', 'b_enc', 'W_dec', 'b_dec', 'a', 'b', 'c', 'd'];
    expect(() => decodeModel(named(few), 'm')).toThrow(
      'it has no tensor encoder.0.weight; there are W_enc, b_enc, W_dec, b_dec, a, b, c, d.',
    );
  });
});

describe.runIf(long)('more than 2 GiB', () => {
  const side = 17_000;
  const config: ModelConfig = { in_dims: side, h_dims: [side], activation: 'relu' };
  const shapes = { encoder: [side, side], decoder: [side, side] };

  test('are read, from a sparse file', { timeout: 240_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sae-large-'));
    try {
      const header: Record<string, unknown> = {};
      let end = 0;
      for (const [layer, shape] of Object.entries(shapes)) {
        for (const [name, own] of [
          [`${layer}.0.weight`, shape],
          [`${layer}.0.bias`, [side]],
        ] as const) {
          const bytes = own.reduce((product, length) => product * length, 4);
          header[name] = { dtype: 'F32', shape: own, data_offsets: [end, end + bytes] };
          end += bytes;
        }
      }
      expect(end).toBeGreaterThan(2 ** 31);
      const file = join(folder, 'large.safetensors');
      const start = putTogether(header, Buffer.alloc(0));
      writeFileSync(file, start);
      truncateSync(file, start.length + end);
      const handle = openSync(file, 'r+');
      writeSync(handle, Buffer.from(Float32Array.of(0.5).buffer), 0, 4, start.length + end - 4);
      closeSync(handle);
      const { config: found, parameters } = await readModelFile(file);
      expect(found).toEqual(config);
      expect(parameters.get('decoder.0.bias')?.data[side - 1]).toBe(0.5);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('are written, without a copy', { timeout: 60_000 }, async () => {
    const parameters: Parameters = new Map(
      Object.entries(shapes).flatMap(([layer, shape]) => [
        [`${layer}.0.weight`, { shape, data: new Float32Array(side * side) }],
        [`${layer}.0.bias`, { shape: [side], data: new Float32Array(side) }],
      ]),
    );
    const before = process.memoryUsage().arrayBuffers;
    let [most, bytes] = [0, 0];
    for (const part of modelParts({ config, parameters })) {
      bytes += part.length;
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(bytes).toBeGreaterThan(2 ** 31);
    expect(most).toBeLessThan(1e6);
    // What such parts come to on a disk, of one that takes everything.
    await writeWhole('/dev/null', modelParts({ config, parameters }), (why) => new Error(why));
  });
});

const python = pythonWithTorch();
describe.skipIf(!python)('the original\u2019s class in PyTorch', () => {
  test.each(long ? [[[20]], [[9, 5, 3]]] : [[[9, 5, 3]]])(
    'loads a trained model, %j, and computes the same',
    async (h_dims) => {
      const folder = mkdtempSync(join(tmpdir(), 'sae-saved-'));
      const model = await Model.create(gpu, { in_dims: 30, h_dims });
      try {
        const rows = byteRows(100, 30, 1);
        const trainer = await Trainer.create(model, rows, { epochs: 3, lr: 1e-3, batch_size: 16 });
        for await (const _ of trainer.epochs());
        trainer.close();
        const { normalization } = rows;
        const file = join(folder, 'model.safetensors');
        const parameters = await model.parameters();
        await writeModelFile(file, { config: model.config, parameters, normalization });
        const { mean, std } = normalization as ScalarNormalization;
        const inputs = Array.from({ length: 100 }, (_, i) =>
          Array.from(rows.data.subarray(i * 30, (i + 1) * 30), (value) => (value / 255 - mean) / std),
        );
        writeFileSync(join(folder, 'rows.json'), JSON.stringify(inputs));
        const { hidden, output } = runOriginal(python!, file, join(folder, 'rows.json'));
        expect(await model.encode(rows)).toBeCloseTensor(hidden.flat(), 1e-5);
        expect(await model.reconstruct(rows)).toBeCloseTensor(output.flat(), 1e-5);
        const again = await readModelFile(file);
        expect(sameParameters(again.parameters, parameters)).toBe(true);
        const loaded = await Model.from(gpu, again.config, again.parameters);
        expect(await loaded.encode(rows)).toEqual(await model.encode(rows));
        loaded.close();
      } finally {
        model.close();
        rmSync(folder, { recursive: true });
      }
    },
  );
});

describe('what is refused', () => {
  const { header, data, headerLength } = takeApart(encodeModel(saved));
  const bytes = Buffer.from(encodeModel(saved));

  /** The same file after `change` had its way with its header and data. */
  function changed(
    change: (header: Header, data: Float32Array) => void,
    more: Uint8Array = new Uint8Array(),
  ): Buffer {
    const copy = structuredClone(header);
    const values = new Float32Array(Uint8Array.from(data).buffer);
    change(copy, values);
    return putTogether(copy, Buffer.concat([Buffer.from(values.buffer), more]));
  }

  function claiming(length: bigint): Buffer {
    const copy = Buffer.from(bytes);
    copy.writeBigUInt64LE(length);
    return copy;
  }

  const dataBegin = 8 + headerLength;
  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(), /it has 0 bytes, and a safetensors file begins with 8/],
    ['half a length', bytes.subarray(0, 5), /it has 5 bytes/],
    ['a length alone', bytes.subarray(0, 8), /at byte 0 it claims a header of \d+ bytes, and 0 follow/],
    ['half a header', bytes.subarray(0, 100), /claims a header of \d+ bytes, and 92 follow/],
    [
      'a header alone',
      bytes.subarray(0, dataBegin),
      /ends at byte \d+, and the file at \d+: it is truncated/,
    ],
    ['half the tensors', bytes.subarray(0, dataBegin + 180), /: it is truncated/],
    ['all but one byte', bytes.subarray(0, -1), /decoder\.2\.bias ends at byte \d+, and the file at \d+/],
    ['one byte too many', Buffer.concat([bytes, Buffer.alloc(1)]), /it has 1 bytes after its last tensor/],
    ['a header of terabytes', claiming(5_000_000_000_000n), /claims a header of 5000000000000 bytes, and/],
    ['the longest length', claiming(2n ** 64n - 1n), /claims a header of 18446744073709551615 bytes/],
    [
      'a header that is not JSON',
      putTogether('{"encoder', data),
      /its header, from byte 8 on, is not JSON\./,
    ],
    ['a header that is no UTF-8', putTogether('{}', data).fill(0xff, 8, 10), /is not JSON\./],
    ['a header that is a list', putTogether('[1]', data), /is not a JSON object\./],
    [
      'a tensor twice',
      putTogether(
        '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061" : {"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
        Buffer.alloc(0),
      ),
      /its header has "a" twice\./,
    ],
    [
      'metadata twice',
      putTogether('{"__metadata__":{"x":"{\\"x\\":","x":"2"}}', data),
      /its header has "x" twice\./,
    ],
    ['a header that is null', putTogether('null', data), /is not a JSON object\./],
    ['another format', Buffer.from('\x89PNG\r\n\x1a\n and so on'), /or another format/],
    ['no tensors at all', putTogether('{}', Buffer.alloc(0)), /no tensor encoder\.0\.weight/],
    [
      'half precision',
      changed((h) => {
        h['encoder.0.bias'].dtype = 'F16';
      }),
      /encoder\.0\.bias is of type "F16", and F32 was expected/,
    ],
    [
      'a tensor that is no object',
      changed((h) => {
        h['encoder.0.bias'] = 3 as unknown as Entry;
      }),
      /encoder\.0\.bias is not an object/,
    ],
    [
      'a shape of text',
      changed((h) => {
        h['encoder.0.bias'].shape = '5';
      }),
      /encoder\.0\.bias has no proper shape/,
    ],
    [
      'a negative shape',
      changed((h) => {
        h['encoder.0.bias'].shape = [-5];
      }),
      /encoder\.0\.bias has no proper shape/,
    ],
    [
      'offsets of three numbers',
      changed((h) => {
        h['encoder.0.bias'].data_offsets = [120, 140, 160];
      }),
      /encoder\.0\.bias has no proper shape and data_offsets/,
    ],
    [
      'a shape beyond its bytes',
      changed((h) => {
        h['encoder.0.bias'].shape = [1e9];
      }),
      /encoder\.0\.bias \[1000000000\] needs 4000000000 bytes, and its data_offsets hold 20/,
    ],
    [
      'offsets beyond the file',
      changed((h) => {
        h['encoder.0.bias'] = { dtype: 'F32', shape: [1e12], data_offsets: [0, 4e12] };
      }),
      /encoder\.0\.bias ends at byte \d+, and the file at \d+/,
    ],
    [
      'overlapping tensors',
      changed((h) => {
        h['encoder.0.bias'].data_offsets = [116, 136];
      }),
      /encoder\.0\.bias begins at byte \d+, and \d+ was expected/,
    ],
    [
      'two tensors in one place',
      changed((h) => {
        h['encoder.2.bias'] = structuredClone(h['encoder.0.bias']);
        h['encoder.2.bias'].shape = [5];
      }),
      /begins at byte \d+, and \d+ was expected/,
    ],
    [
      'a hole',
      changed((h) => {
        h['decoder.2.bias'].data_offsets = (h['decoder.2.bias'].data_offsets as number[]).map((at) => at + 4);
      }, Buffer.alloc(4)),
      /decoder\.2\.bias begins at byte \d+, and \d+ was expected/,
    ],
    [
      'a tensor of no name that an autoencoder has',
      changed((h) => {
        h['decoder.3.bias'] = h['decoder.2.bias'];
        Reflect.deleteProperty(h, 'decoder.2.bias');
      }),
      /the tensor decoder\.2\.bias is missing, and \[6\] was expected/,
    ],
    [
      'a wrong shape',
      changed((h) => {
        h['decoder.0.weight'].shape = [3, 5];
      }),
      /the tensor decoder\.0\.weight is \[3, 5\], and \[5, 3\] was expected/,
    ],
    [
      'a weight of one dimension',
      changed((h) => {
        h['encoder.0.weight'].shape = [30];
      }),
      /encoder\.0\.weight has shape \[30\], and two dimensions were expected/,
    ],
    [
      'a tensor too many',
      changed((h) => {
        h.extra = { dtype: 'F32', shape: [1], data_offsets: [data.length, data.length + 4] };
      }, Buffer.alloc(4)),
      /it has 9 tensors, and an autoencoder of its sizes has 8/,
    ],
    [
      'a layer of no outputs',
      putTogether(
        { 'encoder.0.weight': { dtype: 'F32', shape: [0, 6], data_offsets: [0, 0] } },
        Buffer.alloc(0),
      ),
      /each of h_dims must be a whole number of at least 1, and is 0/,
    ],
    [
      'a weight that is no number',
      changed((_, values) => {
        values[31] = Number.NaN;
      }),
      /encoder\.0\.bias has NaN at index 1 \(byte \d+\), and finite values were expected/,
    ],
    [
      'an infinite weight',
      changed((_, values) => {
        values[0] = Number.NEGATIVE_INFINITY;
      }),
      /encoder\.0\.weight has -Infinity at index 0/,
    ],
    ...(
      [
        ['metadata of numbers', 'format', 3, /its metadata format is not text/],
        [
          'an unknown activation',
          'config',
          '{"activation":"tanh"}',
          /its activation is tanh, and relu or sigmoid was expected/,
        ],
        [
          'another width',
          'config',
          '{"in_dims":7,"h_dims":[5,3],"activation":"relu"}',
          /its metadata field config has in_dims 7, and its tensors have 6\./,
        ],
        [
          'other layers',
          'config',
          '{"in_dims":6,"h_dims":[5],"activation":"relu"}',
          /its metadata field config has h_dims \[5\], and its tensors have \[5,3\]\./,
        ],
        [
          'a width alone, and another one',
          'config',
          '{"in_dims":null,"activation":"relu"}',
          /its metadata field config has in_dims null, and its tensors have 6\./,
        ],
        [
          'a normalisation by 0',
          'normalization',
          '{"mean":0,"std":0}',
          /its metadata field normalization is invalid: \{"mean":0,"std":0\}\./,
        ],
        [
          'a normalisation that is 0 in f32',
          'normalization',
          '{"mean":0,"std":1e-60}',
          /its metadata field normalization is invalid: /,
        ],
        [
          'a normalisation of text',
          'normalization',
          '"mnist"',
          /its metadata field normalization is invalid: "mnist"\./,
        ],
        [
          'an image of no height',
          'image_shape',
          '[0,6]',
          /its metadata field image_shape is invalid: \[0,6\]\./,
        ],
        [
          'an image of another size',
          'image_shape',
          '[2,4]',
          /its image_shape is \[2,4\], and its input has 6 values\./,
        ],
      ] as const
    ).map(([what, key, value, sentence]): [string, Buffer, RegExp] => [
      what,
      changed((h) => {
        h.__metadata__[key] = value;
      }),
      sentence,
    ]),
    [
      'metadata that is no object',
      changed((h) => {
        (h as Record<string, unknown>).__metadata__ = 'pt';
      }),
      /its metadata is not an object/,
    ],
  ])('%s', async (_, wrong, sentence) => {
    const decode = () => decodeModel(wrong, 'my.safetensors');
    expect(decode).toThrow(ModelFileError);
    expect(decode).toThrow(
      /^my\.safetensors is not a model that can be read: [^\n]+\.\)?$|truncated safetensors/,
    );
    expect(decode).toThrow(sentence);
    // From a file, of which only what is needed is read, too.
    const length = wrong.length;
    const read = async (begin: number, into: Uint8Array) =>
      into.set(wrong.subarray(begin, begin + into.length));
    await expect(readModel({ length, read }, 'my.safetensors')).rejects.toThrow(sentence);
  });

  test('what is no bytes', () => {
    for (const none of [undefined, new ArrayBuffer(10)]) {
      expect(() => decodeModel(none as unknown as Uint8Array, 'm')).toThrow(
        new ModelFileError('m must be a Uint8Array, such as new Uint8Array(await file.arrayBuffer()).'),
      );
    }
  });

  test.each<[string, (model: SavedModel) => unknown, RegExp]>([
    [
      'parameters that are an object',
      ({ parameters }) => ({ parameters: Object.fromEntries(parameters) }),
      /must be a Map/,
    ],
    [
      'a tensor too few',
      ({ parameters }) => ({ parameters: new Map([...parameters].slice(1)) }),
      /^The parameter encoder\.0\.weight is missing/,
    ],
    [
      'a weight that is not finite',
      ({ parameters }) => {
        const [[name, { shape, data }], ...rest] = parameters;
        return { parameters: new Map([[name, { shape, data: data.map(() => Number.NaN) }], ...rest]) };
      },
      /^The parameter encoder\.0\.weight has NaN at index 0/,
    ],
    [
      'other sizes',
      ({ config }) => ({ config: { ...config, in_dims: 99 } }),
      /^The parameter encoder\.0\.weight has/,
    ],
    [
      'a normalization of nothing',
      () => ({ normalization: { mean: Number.NaN, std: 0 } }),
      /^The normalization of the model is \{"mean":NaN,"std":0\}; expected finite numbers/,
    ],
    [
      'an image_shape of another size',
      () => ({ image_shape: [3, 500] }),
      /image_shape of the model is \[3,500\]/,
    ],
  ])('to be written: %s', (_, change, sentence) => {
    const wrong = { ...saved, ...(change(saved) as Partial<SavedModel>) };
    expect(() => encodeModel(wrong)).toThrow(sentence);
    expect(() => encodeModel(wrong)).toThrow(DataError);
  });

  test('every truncation of a whole file', () => {
    for (let length = 0; length < bytes.length; length += 7) {
      expect(() => decodeModel(bytes.subarray(0, length), 'm')).toThrow(ModelFileError);
    }
  });

  test('a file that is not there', async () => {
    await expect(readModelFile('/nowhere/m.safetensors')).rejects.toThrow(
      new ModelFileError('There is no model /nowhere/m.safetensors.'),
    );
    await expect(readModelFile(tmpdir())).rejects.toThrow(ModelFileError);
  });

  test('not a folder that is missing: it is made', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sae-saved-'));
    try {
      const file = join(folder, 'deeper', 'model.safetensors');
      await writeModelFile(file, saved);
      expect(readFileSync(file)).toEqual(bytes);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
