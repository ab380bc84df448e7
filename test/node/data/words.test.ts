import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { loadDatasets } from '../../../src/node/data/datasets.js';
import { ConfigError, DataError } from '../../../src/sae/errors.js';
import { failure } from './folder.js';

const path = (from: string) => fileURLToPath(new URL(from, import.meta.url));
const { train } = await loadDatasets({ dataset: 'words-10k', download_mnist: false });

describe('words-10k', () => {
  /** What numpy made of the package. */
  const expected: {
    values: string;
    words: string;
    some: Record<string, { word: string; vector: number[] }>;
  } = JSON.parse(readFileSync(path('../../fixtures/words/words-10k.json'), 'utf8'));
  const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');

  it('has the words of the package in the order of their frequency, and the half floats that numpy makes of its vectors', () => {
    // The header takes 128 bytes.
    expect(sha256(readFileSync(path('../../../data/words-10k.npy')).subarray(128))).toBe(expected.values);
    expect(sha256(train.labels!.map((word) => `${word}\n`).join(''))).toBe(expected.words);
    expect(train.labels!.slice(0, 12).join(' ')).toBe('the , . of to and in " for - that on');
  });

  it('is read as it is, each row with its word', () => {
    const { name, rows, in_dims, data, labels, normalization, image_shape } = train;
    expect([name, rows, in_dims, normalization, image_shape]).toEqual([
      'words-10k',
      10_000,
      100,
      { mean: 0, std: 1 },
      undefined,
    ]);
    for (const [row, { word, vector }] of Object.entries(expected.some)) {
      expect(labels![Number(row)]).toBe(word);
      const own = data.subarray(100 * Number(row), 100 * (Number(row) + 1));
      expect(own).toHaveLength(vector.length);
      for (const [i, value] of vector.entries()) {
        // Half of the last of eleven digits.
        expect(Math.abs(own[i] - value)).toBeLessThanOrEqual(2 ** -11 * Math.abs(value));
      }
    }
  });

  it('takes a normalisation, and no labels or other in_dims than its own', async () => {
    const load = (options: object) => loadDatasets({ dataset: 'words-10k', ...options });
    const unit = (await load({ normalize: 'unit', in_dims: 100 })).train.normalization;
    expect(unit).toEqual({ mean: expect.closeTo(-0.0125, 4), std: expect.closeTo(0.5525, 4) });
    expect(await failure(ConfigError, () => load({ labels: 'mine.txt' }))).toBe(
      'labels are those of the rows of data, and have no effect on data sets by name. Leave mine.txt out, or pass a file as data.',
    );
    expect(await failure(DataError, () => load({ in_dims: 784 }))).toMatch(
      /^in_dims is 784, but the vectors of words-10k have 100 values a row\. Set in_dims to that, or/,
    );
  });
});
