import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { type LoadOptions, loadDatasets } from '../../../src/node/data/datasets.js';
import { cacheFolder, mnistSource } from '../../../src/node/data/mnist.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import type { ScalarNormalization } from '../../../src/sae/rows/dataset.js';
import { failure, temporaryFolder } from './folder.js';
import * as mirrors from './mirror.js';

const temporary = temporaryFolder();
const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/data/${name}`, import.meta.url));
const train = mirrors.someImages(30);
const test = mirrors.someImages(10);
const mirror = await mirrors.startMirror({ 'train.gz': train, 't10k.gz': test });
const source = {
  mirrors: [await mirrors.deadMirror(), mirror.url],
  train: mirrors.pin('train.gz', train),
  test: mirrors.pin('t10k.gz', test),
};

let folders = 0;
let data_dir: string;
beforeEach(() => {
  data_dir = join(temporary.path, `cache-${folders++}`);
  mirror.answer = mirrors.serve;
  mirror.requests.length = 0;
});

const load = (options: Partial<LoadOptions> = {}) =>
  loadDatasets({ dataset: 'auto', download_mnist: true, data_dir, source, ...options });
const refusal = (options: Partial<LoadOptions>) => failure(DataError, () => load(options));
function cache(file: { name: string }, bytes: Buffer) {
  mkdirSync(data_dir, { recursive: true });
  writeFileSync(join(data_dir, file.name), bytes);
}
const pixels = (gzipped: Buffer) => new Uint8Array(gunzipSync(gzipped).subarray(16));
const only =
  (name: string): mirrors.Answer =>
  (response, body, range) =>
    mirror.requests.at(-1)?.includes(name)
      ? mirrors.serve(response, body, range)
      : mirrors.fail(404)(response, body, range);

describe('mnist', () => {
  it.each(['auto', 'mnist'] as const)('%s downloads training and test digits, once', async (dataset) => {
    const seen = new Set<string>();
    const onProgress = (name: string) => void seen.add(name);
    const loaded = await load({ dataset, onProgress, in_dims: 784 });
    const shape = { in_dims: 784, image_shape: [28, 28], normalization: { mean: 0.1307, std: 0.3081 } };
    expect(loaded).toEqual({
      train: { name: 'mnist', rows: 30, data: pixels(train), ...shape },
      validation: { name: "mnist's test digits", rows: 10, data: pixels(test), ...shape },
    });
    expect([...seen]).toEqual(['train.gz', 't10k.gz']);
    expect(readdirSync(data_dir).sort()).toEqual(['t10k.gz', 'train.gz']);
    expect(await load({ dataset })).toEqual(loaded);
    expect(await load({ dataset, download_mnist: false })).toEqual(loaded);
    expect(mirror.requests).toEqual(['/files/train.gz', '/files/t10k.gz']);
  });

  it('that cannot be had is a failure that names the mirrors', async () => {
    mirror.answer = mirrors.fail(500);
    expect(await refusal({ dataset: 'mnist' })).toMatch(
      /^train\.gz could not be downloaded: \S+ refused the connection; \S+ answered 500 .*\. Try again later, or use dataset mnist-10k/,
    );
  });

  it('that is not in the cache, or not right there, is a failure where it may not be downloaded', async () => {
    const options = { dataset: 'mnist', download_mnist: false } as const;
    expect(await refusal(options)).toBe(
      `train.gz is not in ${data_dir} and download_mnist is False. Set it to True, or use dataset mnist-10k, which needs no network.`,
    );
    cache(source.train, train.subarray(1));
    expect(await refusal(options)).toMatch(/is not in .* with the right bytes and download_mnist is False/);
    expect(mirror.requests).toEqual([]);
  });

  it('without its test digits trains all the same, and says so', async () => {
    mirror.answer = only('train.gz');
    const loaded = await load({ dataset: 'mnist' });
    expect(loaded.train.rows).toBe(30);
    expect(loaded.validation).toBeUndefined();
    expect(loaded.missingValidation).toMatch(
      /^Held-out digits will not be measured: t10k\.gz could not be downloaded/,
    );
    expect((await load({ download_mnist: false })).missingValidation).toMatch(/t10k\.gz is not in /);
  });

  it('does not ask for test digits where validation names a file', async () => {
    const validation = temporary.write('mine.idx', gunzipSync(test));
    const loaded = await load({ validation });
    expect(loaded.validation?.name).toBe('mine.idx');
    expect(mirror.requests).toEqual(['/files/train.gz']);
  });
});

describe('auto', () => {
  it('falls back to the 10,000 digits and says why, where mnist cannot be had', async () => {
    mirror.answer = mirrors.fail(404);
    const { train: digits, validation, fellBack } = await load();
    expect([digits.name, digits.rows, digits.in_dims, digits.image_shape]).toEqual([
      'mnist-10k',
      10_000,
      784,
      [28, 28],
    ]);
    expect(digits.normalization).toEqual({ mean: 0.1307, std: 0.3081 });
    expect(validation).toBeUndefined();
    expect(fellBack).toMatch(
      /^train\.gz could not be downloaded: .* answered 404 Not Found\. Using the 10,000 digits of mnist-10k instead$/,
    );
  });

  it('touches no network where it may not', async () => {
    const { train: digits, fellBack } = await load({ download_mnist: false });
    expect(digits.name).toBe('mnist-10k');
    expect(fellBack).toMatch(/is not in .* and download_mnist is False\. Using/);
    expect(mirror.requests).toEqual([]);
  });

  it('does not take a wrong file in the cache for mnist', async () => {
    cache(source.train, Buffer.alloc(train.length));
    expect((await load()).train.data).toEqual(pixels(train));
    expect((await load({ download_mnist: false })).train.name).toBe('mnist');
  });

  it('never replaces a file of the user that has the name of one of MNIST’s, and says so', async () => {
    const fashion = mirrors.someImages(20);
    cache(source.train, fashion);
    const { train: digits, otherFile } = await load();
    expect(digits.rows).toBe(30);
    expect(otherFile).toMatch(
      /train\.gz has the name of one of MNIST's files but other contents\. It was left alone/,
    );
    expect(readFileSync(join(data_dir, 'train.gz'))).toEqual(fashion);
    mirror.requests.length = 0;
    expect((await load({ download_mnist: false })).otherFile).toBe(otherFile);
    expect(mirror.requests).toEqual([]);
  });

  it('that is told to stop does not fall back', async () => {
    await expect(load({ signal: AbortSignal.abort(new Error('Ctrl-C')) })).rejects.toThrow('Ctrl-C');
  });

  it('falls back where the cache folder cannot be written', async () => {
    const { fellBack } = await load({ data_dir: join(temporary.write('file', ''), 'below') });
    expect(fellBack).toMatch(/cannot be written/);
  });
});

describe('mnist-10k', () => {
  it('needs no network', async () => {
    const { train: digits, fellBack } = await load({ dataset: 'mnist-10k', normalize: 'none' });
    expect([digits.rows, digits.normalization, fellBack]).toEqual([10_000, { mean: 0, std: 1 }, undefined]);
    expect(mirror.requests).toEqual([]);
  });

  it.each(['auto', 'mnist', 'mnist-10k'] as const)(
    '%s refuses another in_dims before it loads anything',
    async (dataset) => {
      expect(await refusal({ dataset, in_dims: 100 })).toMatch(
        /^in_dims is 100, but the digits of mnist(-10k)? have 784/,
      );
      expect(mirror.requests).toEqual([]);
    },
  );
});

describe('files of one’s own', () => {
  it('rows to train on and rows held out, normalised alike', async () => {
    const data = fixture('little-f4.npy');
    const loaded = await load({ data, validation: fixture('rows-f8.idx2'), normalize: 'unit' });
    expect(loaded.train.name).toBe('little-f4.npy');
    // -3, -2.5, ... 2.5: mean -1/4, variance (12^2 - 1) / 12 / 4
    const { mean, std } = loaded.train.normalization as ScalarNormalization;
    expect(mean).toBeCloseTo(-0.25, 14);
    expect(std).toBeCloseTo(Math.sqrt(143 / 48), 14);
    expect(loaded.validation?.normalization).toEqual(loaded.train.normalization);
    // Other rows have another mean, and bytes another default: neither counts.
    const other = await load({ data, validation: fixture('u1.npy') });
    expect(other.validation?.normalization).toEqual({ mean: 0, std: 1 });
    expect(mirror.requests).toEqual([]);
  });

  it('of standard input cannot be read before training for what is fitted to them', async () => {
    for (const normalize of ['unit', 'rms', 'standardize', 'zca']) {
      expect(await failure(ConfigError, () => load({ data: '-', normalize }))).toBe(
        `normalize ${normalize} has to read all rows before the first step, and those of standard input come once. Give MEAN,STD instead.`,
      );
    }
  });

  it('take a saved model’s normalisation', async () => {
    const { train: rows } = await load({ data: fixture('u1.npy'), normalize: { mean: 0.25, std: 2 } });
    expect(rows.normalization).toEqual({ mean: 0.25, std: 2 });
  });

  it('must have as many values a row as in_dims says, and as each other', async () => {
    expect(await refusal({ data: fixture('u1.npy'), in_dims: 784 })).toMatch(
      /u1\.npy has 4 values a row; expected 784/,
    );
    const validation = fixture('images-u1.npy');
    expect(await refusal({ data: fixture('u1.npy'), validation })).toMatch(
      /images-u1\.npy has 12 values a row; expected 4/,
    );
    expect(await refusal({ dataset: 'mnist-10k', validation })).toMatch(/12 values a row; expected 784/);
  });

  it('and a data set by name do not go together; a wrong normalize is refused first', async () => {
    const both = { dataset: 'mnist', data: 'nowhere.npy' } as const;
    expect(await failure(ConfigError, () => load(both))).toMatch(
      /nowhere\.npy and mnist\. Leave one of them out/,
    );
    expect(await failure(ConfigError, () => load({ normalize: 'x' }))).toMatch(/normalize is "x"/);
    expect(mirror.requests).toEqual([]);
  });
});

it('MNIST’s own files are pinned whole, and cached in a folder of this program’s name', () => {
  for (const { bytes, sha256 } of [mnistSource.train, mnistSource.test]) {
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(bytes).toBeGreaterThan(1e6);
  }
  expect(mnistSource.mirrors.every((url) => /^https:.*\/$/.test(url))).toBe(true);
  expect(mnistSource.mirrors.length).toBe(2);
  expect(cacheFolder()).toContain('webgpu-sae');
});
