import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readMnist10k } from '../../../src/node/data/mnist.js';
import { readDataset } from '../../../src/node/data/read.js';
import type { ScalarNormalization } from '../../../src/sae/rows/dataset.js';
import { long } from '../../support/long.js';
import { temporaryFolder } from './folder.js';

const script = fileURLToPath(new URL('../../../scripts/pack-mnist-10k.mjs', import.meta.url));
/** What the build has packed. */
const built = fileURLToPath(new URL('../../../dist/data/mnist-10k.idx.gz', import.meta.url));
const folder = temporaryFolder();
const pack = (file: string) => spawnSync(process.execPath, [script, file], { encoding: 'utf8' });
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('pack-mnist-10k', () => {
  const file = join(folder.path, 'new', 'digits.gz');

  it.runIf(long)(
    'packs exactly the digits of the package, mixed, in the place of what is no such file',
    async () => {
      mkdirSync(dirname(file));
      writeFileSync(file, readFileSync(built).subarray(0, 1000));
      const { status, stdout } = pack(file);
      expect(status).toBe(0);
      expect(stdout).toMatch(/Packed 10000 digits/);
      const { rows, in_dims, image_shape, data } = await readDataset(file);
      expect([rows, in_dims, image_shape]).toEqual([10_000, 784, [28, 28]]);

      const classOf = new Map<string, number>();
      for (let digit = 0; digit < 10; digit++) {
        const values: number[] = createRequire(import.meta.url)(`mnist/src/digits/${digit}.json`).data;
        const bytes = Uint8Array.from(values, (value) => Math.round(value * 255));
        for (let i = 0; i < bytes.length; i += 784) classOf.set(hash(bytes.subarray(i, i + 784)), digit);
      }
      expect(classOf.size).toBe(10_000);
      const classes: (number | undefined)[] = [];
      const found = new Set<string>();
      for (let row = 0; row < rows; row++) {
        const key = hash((data as Uint8Array).subarray(row * 784, (row + 1) * 784));
        found.add(key);
        classes.push(classOf.get(key));
      }
      expect(found.size).toBe(10_000);
      expect(classes).not.toContain(undefined);
      // Sorted by class, 9 neighbours in all would differ; mixed, nine of ten do.
      const changes = classes.filter((digit, i) => i > 0 && digit !== classes[i - 1]).length;
      expect(changes).toBeGreaterThan(8_800);
      expect(changes).toBeLessThan(9_200);
    },
  );

  it.runIf(long)('always the same, and leaves a right file alone', () => {
    expect(readFileSync(file).equals(readFileSync(built))).toBe(true);
    const { mtimeMs } = statSync(file);
    expect(pack(file)).toMatchObject({ status: 0, stdout: '' });
    expect(statSync(file).mtimeMs).toBe(mtimeMs);
  });

  it.runIf(long)('says in one line what went wrong', () => {
    const { status, stderr } = pack(join(folder.write('file', ''), 'below'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/^mnist-10k could not be packed: .*\n$/);
  });

  it('the build packed it where the library looks, and its statistics are those of MNIST', async () => {
    const { name, rows, data, normalization } = await readMnist10k();
    expect([name, rows]).toEqual(['mnist-10k', 10_000]);
    expect(normalization).toEqual({ mean: 0.1307, std: 0.3081 });
    const unit = (await readMnist10k('unit')).normalization as ScalarNormalization;
    expect(Math.abs(unit.mean - 0.1307)).toBeLessThan(0.002);
    expect(Math.abs(unit.std - 0.3081)).toBeLessThan(0.002);
    expect(data).toBeInstanceOf(Uint8Array);
  });
});
