import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, preview } from 'vite';
import { describe, expect, test } from 'vitest';
import { forward, toParameterSet } from '../reference/autoencoder.js';
import { type ParityVector, parityVectors } from '../reference/vectors.js';
import { long } from '../support/long.js';
import '../support/compare.js';
import { chromiumPath, launchChromium } from '../support/page.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What `train` in page.js gives back. */
interface Trained {
  readonly adapter: string;
  readonly metrics: readonly { loss: number; mse: number; kl: number }[];
  readonly after: Record<string, number[]>;
  readonly codes: readonly number[];
}

describe.skipIf(!chromiumPath)('in Chromium', () => {
  /** Bundles the page, serves it and trains in it: what each vector gave. */
  async function trainInPage(vectors: readonly ParityVector[], steps: number): Promise<Trained[]> {
    const outDir = mkdtempSync(join(tmpdir(), 'sae-page-'));
    const common = {
      root: join(root, 'test/web'),
      configFile: false,
      logLevel: 'warn',
      build: { outDir, emptyOutDir: true },
    } as const;
    await build(common);
    const server = await preview({ ...common, preview: { host: '127.0.0.1', port: 0 } });
    const instance = await launchChromium();
    try {
      const page = await instance.newPage();
      const failures: string[] = [];
      page.on('pageerror', (error) => failures.push(error.message));
      // http://127.0.0.1 counts as a secure context, without which a page has no WebGPU.
      await page.goto(server.resolvedUrls!.local[0]);
      const results: Trained[] = [];
      for (const { config, x, params } of vectors) {
        const call = `train(${JSON.stringify({ config, x, params })}, ${steps})`;
        results.push((await page.evaluate(call)) as Trained);
      }
      expect(failures).toEqual([]);
      return results;
    } finally {
      await instance.close();
      await server.close();
      rmSync(outDir, { recursive: true });
    }
  }

  test.runIf(long)('the engine as it is trains a vector as PyTorch does', async () => {
    const vectors = parityVectors().filter(({ name }) => ['kl/relu-6-4', 'kl/sigmoid-10'].includes(name));
    const results = await trainInPage(vectors, 10);
    for (const [i, { config, x, mse, terms, loss, params_after }] of vectors.entries()) {
      const { adapter, metrics, after, codes } = results[i];
      expect(adapter).not.toBe('');
      expect(metrics).toHaveLength(10);
      const { mse: seenMse, kl: seenKl, loss: seenLoss } = metrics[0];
      expect([seenMse]).toBeCloseTensor([mse], 1e-5);
      expect([seenKl]).toBeCloseTensor([terms.kl], 1e-5);
      expect([seenLoss]).toBeCloseTensor([loss], 1e-5);
      for (const [name, values] of Object.entries(params_after['10'])) {
        expect(after[name], name).toBeCloseTensor(values, 1e-5);
      }
      const trained = Object.fromEntries(
        Object.entries(after).map(([name, data]) => [name, { shape: [], data }]),
      );
      const { hidden } = forward(config, toParameterSet(trained), Float64Array.from(x));
      expect(codes).toBeCloseTensor(hidden, 1e-5);
    }
  });
});

// Which of its own folders a file may import is the linter's to say: see biome.json.
test('the engine imports no package that a browser has not', () => {
  const packages = new Set<string>();
  for (const folder of ['src/gpu', 'src/sae']) {
    const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => name.endsWith('.ts'))) {
      const text = readFileSync(join(root, folder, file), 'utf8');
      for (const [, specifier] of text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*'([^'.][^']*)'/g)) {
        packages.add(specifier.split('/')[0]);
      }
    }
  }
  expect([...packages].sort()).toEqual([
    'fzstd',
    'hyparquet',
    'hyparquet-compressors',
    'linear-sum-assignment',
    'ml-matrix',
    'papaparse',
    'pbf',
    'pure-rand',
    'umap-js',
    'unzipit',
    'zod',
  ]);
});
