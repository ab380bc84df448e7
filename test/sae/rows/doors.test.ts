import { describe, expect, test } from 'vitest';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { latentActivity } from '../../../src/sae/insight/latents.js';
import { Probe } from '../../../src/sae/insight/probe.js';
import { Model } from '../../../src/sae/model/model.js';
import type { Parameters } from '../../../src/sae/model/parameter.js';
import { type Dataset, normalizedRows, pickRows, sliceRows } from '../../../src/sae/rows/dataset.js';
import { imagesDataset } from '../../../src/sae/rows/images.js';
import { resolveNormalization } from '../../../src/sae/rows/normalize.js';
import { type RowSource, rowSource } from '../../../src/sae/rows/source.js';
import { evaluate } from '../../../src/sae/training/evaluate.js';
import type { Snapshot } from '../../../src/sae/training/snapshot.js';
import { Trainer } from '../../../src/sae/training/trainer.js';
import { gpuOfFile } from '../../support/device.js';
import { byteRows, floatRows, sameParameters, trained } from '../../support/models.js';

// What a program hands in is refused with a sentence, and the device goes on.

const gpu = await gpuOfFile();
const model = await Model.create(gpu, { in_dims: 9, h_dims: [6, 4] }, 7);
const good = byteRows(23, 9, 1);
const options = { batch_size: 5, lr: 0.01, seed: 7 };
const trainer = await Trainer.create(model, good, options);
for await (const _ of trainer.steps({ count: 3 }));
const snapshot = await trainer.snapshot();
const { parameters } = snapshot;
trainer.close();

/** Rows as programs without types have them. */
const odd = (changed: object): Dataset => ({ ...good, ...changed }) as Dataset;
const floats = (value: number, at = 13): Float32Array => {
  const values = new Float32Array(23 * 9).fill(0.5);
  values[at] = value;
  return values;
};
const noNormalization = { mean: 0, std: 1 };
const of = (values: Iterable<number>) => [...values];

const arrays: [string, object, string][] = [
  [
    'too few values',
    { data: new Uint8Array(100) },
    'The data of test bytes has 100 values; expected 23 rows of 9 values, so 207.',
  ],
  ['too many', { data: new Float32Array(208) }, 'has 208 values; expected 23 rows of 9 values, so 207.'],
  [
    'a list',
    { data: of(good.data) },
    'is of type Array; expected a Uint8Array or a Float32Array, row-major. Float32Array.from(data, Number) makes',
  ],
  ['doubles', { data: Float64Array.from(good.data) }, 'is of type Float64Array; expected'],
  ['wider integers', { data: Uint16Array.from(good.data) }, 'is of type Uint16Array; expected'],
  [
    'large integers',
    { data: BigInt64Array.from(of(good.data).map(BigInt)) },
    'is of type BigInt64Array; expected',
  ],
  [
    'clamped bytes',
    { data: Uint8ClampedArray.from(good.data) },
    'is of type Uint8ClampedArray; expected a Uint8Array or a Float32Array, row-major. new Uint8Array(data.buffer, data.byteOffset, data.length) sees the same bytes; imagesDataset',
  ],
  ['a buffer', { data: good.data.buffer }, 'is of type ArrayBuffer; expected'],
  ['nothing', { data: undefined }, 'The data of test bytes is of type undefined; expected'],
  [
    'shared memory',
    { data: new Uint8Array(new SharedArrayBuffer(207)) },
    'in shared memory, which not every WebGPU can read; expected an array of its own. data.slice() copies it.',
  ],
];

const sizes: [string, object, string][] = [
  [
    'no rows',
    { rows: 0, data: new Uint8Array(0) },
    'test bytes has 0 rows; expected a whole number of at least 1.',
  ],
  ['a part of a row', { rows: 2.5 }, 'has 2.5 rows; expected'],
  ['rows that are no number', { rows: Number.NaN }, 'has NaN rows; expected'],
  ['rows as text', { rows: '23' }, 'test bytes has "23" rows; expected'],
  ['rows that are large integers', { rows: 23n }, 'has 23n rows; expected'],
  ['a width as text', { in_dims: '9' }, 'has "9" values a row (in_dims); expected'],
  ['no values a row', { in_dims: 0 }, 'has 0 values a row (in_dims); expected'],
  ['no name', { name: undefined, rows: -1 }, 'the data set has -1 rows; expected'],
  [
    'no normalization',
    { normalization: undefined },
    'The normalization of test bytes is undefined; expected',
  ],
  [
    'std 0',
    { normalization: { mean: 0, std: 0 } },
    'is {"mean":0,"std":0}; expected finite numbers mean and std',
  ],
  ['std below 0', { normalization: { mean: 0, std: -1 } }, 'with std above 0'],
  [
    'a mean that is none',
    { normalization: { mean: Number.NaN, std: 1 } },
    'is {"mean":NaN,"std":1}; expected finite numbers mean and std',
  ],
  ['a mean as text', { normalization: { mean: '0', std: 1 } }, 'is {"mean":"0","std":1}; expected finite'],
  [
    'a normalization that is none',
    { normalization: Number.NaN },
    'The normalization of test bytes is NaN; expected',
  ],
  [
    'a std that is 0 in f32',
    { normalization: { mean: 0, std: 1e-60 } },
    'is {"mean":0,"std":1e-60}; expected finite numbers mean and std in the range of f32, with std above 0',
  ],
];

const values: [string, object, string][] = [
  [
    'NaN',
    { data: floats(Number.NaN), normalization: noNormalization },
    'test bytes has NaN at row 1, column 4 (both from 0); expected finite numbers.',
  ],
  [
    'infinity',
    { data: floats(-Infinity, 22 * 9 + 8), normalization: noNormalization },
    'test bytes has -Infinity at row 22, column 8 (both from 0)',
  ],
  [
    'a value that its normalization takes too far',
    { data: floats(1e30), normalization: { mean: 0, std: 1e-10 } },
    'has 1.0000000150474662e+30, which its normalization takes beyond the range of f32, at row 1, column 4',
  ],
  [
    'bytes that their normalization takes too far',
    { normalization: { mean: 1e30, std: 1e-30 } },
    'takes its values beyond the range of f32',
  ],
];

const doors: [string, (rows: Dataset) => Promise<unknown>][] = [
  ['Trainer.create', (rows) => Trainer.create(model, rows, options)],
  ['Trainer.resume', (rows) => Trainer.resume(gpu, rows, snapshot)],
  ['evaluate', (rows) => evaluate(model, rows, options)],
  ['encode', (rows) => model.encode(rows)],
  ['reconstruct', (rows) => model.reconstruct(rows)],
  ['latentActivity', (rows) => latentActivity(model, rows, 1)],
];

/** Refused with this sentence at every door, and nothing is left on the device. */
async function expectRefused(rows: Dataset, sentence: string): Promise<void> {
  const before = gpu.allocatedBytes;
  const probe = await Probe.create(model, 23);
  const all = [
    ...doors,
    ['Probe.encode', (given: Dataset) => probe.encode(given)],
    ['Probe.reconstruct', (given: Dataset) => probe.reconstruct(given)],
  ] as const;
  for (const [door, enter] of all) {
    const entering = enter(rows);
    await expect(entering, door).rejects.toThrow(DataError);
    await expect(entering, door).rejects.toThrow(sentence);
  }
  probe.close();
  expect(gpu.allocatedBytes).toBe(before);
  await gpu.finish();
}

describe('a data set', () => {
  test.each([...arrays, ...sizes, ...values])(
    'of %s is refused at every door',
    async (_, changed, sentence) => {
      await expectRefused(odd(changed), sentence);
    },
  );

  test('with an image_shape of another size is refused', async () => {
    for (const [image_shape, written] of [
      [[2, 4], '[2,4]'],
      [['3', 3], '["3",3]'],
      [[4.5, 2], '[4.5,2]'],
      [null, 'null'],
    ]) {
      await expectRefused(
        odd({ image_shape }),
        `The image_shape of test bytes is ${written}; expected [height, width]`,
      );
    }
  });

  test('with other labels than a text for each row is refused', async () => {
    const texts = Array.from({ length: 23 }, (_, row) => `row ${row}`);
    for (const [labels, fault] of [
      [texts.slice(1), '22'],
      [[...texts, 'one more'], '24'],
      ['row 0', 'of type String'],
      [texts.with(3, 3 as never), '3 for row 3 (from 0)'],
    ]) {
      await expectRefused(
        odd({ labels }),
        `The labels of test bytes are ${fault}; expected an array of 23 texts, one for each row.`,
      );
    }
    expect(await model.encode(odd({ labels: texts }))).toEqual(await model.encode(good));
  });

  test('that is none is refused', async () => {
    for (const [none, written] of [
      [null, 'null'],
      [undefined, 'undefined'],
      [7, '7'],
      ['mnist', '"mnist"'],
    ] as unknown as [Dataset, string][]) {
      await expect(Trainer.create(model, none)).rejects.toThrow(DataError);
      await expect(model.encode(none)).rejects.toThrow(`Rows are ${written}; expected a data set`);
    }
  });

  test('of Node’s buffers, or of a part of a larger array, is taken', async () => {
    const buffer = odd({ data: Buffer.from(good.data) });
    const larger = new Uint8Array(300);
    larger.set(good.data, 5);
    const part = odd({ data: larger.subarray(5, 5 + 207) });
    const codes = await model.encode(good);
    for (const rows of [buffer, part]) {
      expect([...(await model.encode(rows))]).toEqual([...codes]);
      const { parameters } = await trained(gpu, model.config, rows, { ...options, epochs: 1 });
      const expected = await trained(gpu, model.config, good, { ...options, epochs: 1 });
      expect(sameParameters(parameters, expected.parameters)).toBe(true);
    }
  });

  test('has no rows beyond its end', () => {
    expect(() => sliceRows(good, 20, 24)).toThrow('test bytes has 23 rows, and none from 20 up to 24.');
    expect(() => sliceRows(good, -1, 2)).toThrow(DataError);
    expect(() => pickRows(good, [0, 23])).toThrow('test bytes has rows 0 to 22, and no row 23.');
    expect(() => normalizedRows(floatRows(floats(Number.NaN), 9))).toThrow('has NaN at row 1, column 4');
  });

  test('of pictures has the bytes of their pixels', () => {
    const image = (width: number, height: number, bytes: number) => {
      return { name: 'a.png', width, height, data: new Uint8ClampedArray(bytes) };
    };
    expect(() => imagesDataset([image(2, 2, 12)], 'x')).toThrow(
      new DataError('a.png has 12 bytes; expected 16: red, green, blue and alpha of 4 pixels.'),
    );
    expect(() => imagesDataset([image(0, 2, 0)], 'x')).toThrow(DataError);
    expect(() => resolveNormalization({ mean: 0, std: 0 }, good.data, 'x')).toThrow(ConfigError);
  });
});

describe('a source of rows', () => {
  const source = (changed: Partial<RowSource> | object) => ({ ...rowSource(good), ...changed }) as RowSource;

  test.each<[string, object, string]>([
    ['no rows', { rows: 0 }, 'test bytes has 0 rows; expected'],
    ['another type', { type: 'f64' }, 'test bytes has values of type f64; expected u8 or f32.'],
    [
      'fewer rows than it was asked for',
      { read: () => good.data.subarray(0, 9) },
      'What was read for rows 0 to 22 of test bytes are 9 u8 values; expected 207 u8 values.',
    ],
    [
      'floats where it says bytes',
      { read: () => new Float32Array(207) },
      'are 207 f32 values; expected 207 u8 values.',
    ],
    [
      'a list',
      { read: () => [1, 2] },
      'What was read for rows 0 to 22 of test bytes is of type Array; expected',
    ],
    [
      'NaN',
      { type: 'f32', read: () => floats(Number.NaN), normalization: noNormalization },
      'test bytes has NaN at row 1, column 4',
    ],
  ])('with %s is refused', async (_, changed, sentence) => {
    const before = gpu.allocatedBytes;
    const creating = Trainer.create(model, source(changed), options);
    await expect(creating).rejects.toThrow(DataError);
    await expect(creating).rejects.toThrow(sentence);
    expect(gpu.allocatedBytes).toBe(before);
    await gpu.finish();
  });

  test('is looked at whenever a window is filled, and rows are counted from its beginning', async () => {
    const rows = floatRows(floats(Number.NaN, 17 * 9 + 2), 9);
    const own = await Model.create(gpu, model.config, 7);
    const windowed = await Trainer.create(own, rows, { ...options, shuffle: false }, { window_rows: 5 });
    const training = (async () => {
      for await (const _ of windowed.steps());
    })();
    await expect(training).rejects.toThrow('test rows has NaN at row 17, column 2');
    windowed.close();
    own.close();
    for (const window_rows of [0, -5, 2.5, Number.NaN]) {
      await expect(Trainer.create(model, good, options, { window_rows })).rejects.toThrow(
        new ConfigError(`window_rows must be a whole number of at least 1, and is ${window_rows}.`),
      );
    }
  });
});

describe('options', () => {
  const training = 'The options of training are';
  const refused: [string, () => unknown, string][] = [
    [
      'null',
      () => Trainer.create(model, good, null as never),
      `${training} null; expected an object, such as {`,
    ],
    ['a number', () => Trainer.create(model, good, 5 as never), `${training} 5; expected an object`],
    ['a list', () => evaluate(model, good, [1] as never), `${training} [1]; expected an object`],
    [
      'of a model that are none',
      () => Model.create(gpu, null as never),
      'The options of a model are null; expected',
    ],
    [
      'of another type',
      () => Trainer.create(model, good, { batch_size: 5n } as never),
      'batch_size must be a whole number of at least 1, and is 5n.',
    ],
    [
      'with a list of what is none',
      () => Model.create(gpu, { h_dims: [[Number.NaN]] } as never),
      'each of h_dims must be a whole number of at least 1, and is [NaN].',
    ],
    [
      'of a placement that is none',
      () => Trainer.create(model, good, options, null as never),
      'The placement of the rows is null; expected an object, such as { window_rows: 4096 }.',
    ],
    [
      'of a window as text',
      () => Trainer.create(model, good, options, { window_rows: '5' as never }),
      'window_rows must be a whole number of at least 1, and is "5".',
    ],
  ];
  test.each(refused)('that are %s are refused', async (_, enter, sentence) => {
    const before = gpu.allocatedBytes;
    const entering = Promise.resolve().then(enter);
    await expect(entering).rejects.toThrow(ConfigError);
    await expect(entering).rejects.toThrow(sentence);
    expect(gpu.allocatedBytes).toBe(before);
  });

  test('that are to be changed and are none are refused', async () => {
    const own = await Trainer.create(model, good, options);
    expect(() => own.change(null as never)).toThrow(
      new ConfigError('The settings to change are null; expected an object, such as { lr: 0.001 }.'),
    );
    own.close();
  });
});

describe('parameters', () => {
  const changed = (name: string, value: object | undefined): Parameters => {
    const all = new Map(parameters) as Map<string, unknown>;
    if (value) {
      all.set(name, { ...parameters.get(name), ...value });
    } else {
      all.delete(name);
    }
    return all as Parameters;
  };
  const weight = 'encoder.0.weight';

  test.each<[string, Parameters, string]>([
    ['that lack one', changed(weight, undefined), 'The parameter encoder.0.weight is missing; expected a'],
    [
      'of another shape',
      changed(weight, { shape: [9, 6] }),
      'has 54 values of shape [9, 6]; expected a Float32Array of shape [6, 9].',
    ],
    [
      'of another length',
      changed(weight, { data: new Float32Array(53) }),
      'has 53 values of shape [6, 9]; expected',
    ],
    [
      'of doubles',
      changed(weight, { data: new Float64Array(54) }),
      'has data of type Float64Array; expected a',
    ],
    [
      'without data',
      changed(weight, { data: undefined }),
      'has data of type undefined; expected a Float32Array',
    ],
    [
      'that are not finite',
      changed('decoder.2.bias', { data: Float32Array.of(0, 0, Infinity, 0, 0, 0, 0, 0, 0) }),
      'The parameter decoder.2.bias has Infinity at index 2, which is not finite; expected',
    ],
    [
      'of a deeper model',
      changed('encoder.4.weight', { shape: [1], data: new Float32Array(1) }),
      'There are 9 parameters, and a model of these sizes has 8: encoder.0.weight, ',
    ],
    ['that are no map', {} as Parameters, 'must be a Map of its tensors by their names'],
  ])('%s are refused, and nothing is made', async (_, given, sentence) => {
    const before = gpu.allocatedBytes;
    for (const making of [
      Model.from(gpu, model.config, given),
      Trainer.resume(gpu, good, { ...snapshot, parameters: given }),
    ]) {
      await expect(making).rejects.toThrow(DataError);
      await expect(making).rejects.toThrow(sentence);
    }
    expect(gpu.allocatedBytes).toBe(before);
    await gpu.finish();
  });

  test('of sizes that make no sense are refused', async () => {
    await expect(Model.from(gpu, { ...model.config, in_dims: 2.5 }, parameters)).rejects.toThrow(ConfigError);
    await expect(model.decode([1, 2, 3, 4] as never)).rejects.toThrow(DataError);
    await expect(model.decode(Float32Array.of(0, 0, 0, 0, 1, Number.NaN, 0, 0))).rejects.toThrow(
      'The array of codes has NaN at row 1, column 1',
    );
  });
});

describe('a snapshot', () => {
  const { order, step, sums } = snapshot;
  const moments = new Map(step.moments);
  moments.set('encoder.0.weight.second_moment', new ArrayBuffer(8));

  test.each<[string, Partial<Snapshot>]>([
    ['moments of another size', { step: { ...step, moments } }],
    ['no moments', { step: { ...step, moments: new Map() } }],
    ['a pass of another size', { step: { ...step, pass: new Map([['rows_active', new ArrayBuffer(4)]]) } }],
    ['an order of fewer rows', { order: { ...order, order: order.order.slice(0, 22) } }],
    ['an order with rows beyond the end', { order: { ...order, order: order.order.map((row) => row + 1) } }],
    ['a chunk that there is not', { order: { ...order, chunks: Uint32Array.of(7) } }],
    ['steps that cannot be', { done: 99 }],
    ['a part of a step', { done: 2.5 }],
    ['a chunk twice', { order: { ...order, chunks: Uint32Array.of(0, 0) } }],
    ['more windows begun than there can be', { order: { ...order, begun: 7 } }],
    ['the same row twice', { order: { ...order, order: order.order.slice().fill(order.order[0], 0, 2) } }],
    ['a state of the generator that is cut', { order: { ...order, random: order.random.slice(1) } }],
    ['a state of the generator that is none', { order: { ...order, random: [1, 2, 3, Number.NaN] } }],
    ['rows of a window that are none', { window_rows: 0 }],
    ['means of another width', { step: { ...step, spread: { ...step.spread, mean: new Float64Array(3) } } }],
    ['no moments of rows', { step: { ...step, spread: undefined as never } }],
    ['seconds that are no number', { seconds: Number.NaN }],
    ['seconds below 0', { seconds: -1 }],
    ['seconds as text', { seconds: '1' as never }],
    ['an order that is a list', { order: [...order.order] as never }],
    ['an order of rows that is a list', { order: { ...order, order: [...order.order] as never } }],
    ['moments that are no map', { step: { ...step, moments: {} as never } }],
    ['sums of no steps', { sums: { ...sums, steps: 0 } }],
    ['sums with a term too few', { sums: { ...sums, terms: sums.terms.slice(1) } }],
    ['sums without a loss', { sums: { ...sums, loss: undefined as never } }],
    ['sums that are not finite', { sums: { ...sums, mse: Number.NaN } }],
    ...Object.keys(snapshot).map((name): [string, Partial<Snapshot>] => [
      `its ${name} missing`,
      { [name]: undefined },
    ]),
  ])('with %s is refused, and nothing is left', async (_, changed) => {
    const before = gpu.allocatedBytes;
    const resuming = Trainer.resume(gpu, good, { ...snapshot, ...changed });
    await expect(resuming).rejects.toThrow(DataError);
    await expect(resuming).rejects.toThrow(/^The snapshot |^The parameters of a model must be/);
    expect(gpu.allocatedBytes).toBe(before);
    await gpu.finish();
  });
});
