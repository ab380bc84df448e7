import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lossSvg, writeLossCurve } from '../../../src/node/pictures/loss.js';
import { lossChart } from '../../../src/node/pictures/loss-chart.js';
import { DataError } from '../../../src/sae/errors.js';
import type { EpochMetrics } from '../../../src/sae/training/metrics.js';
import { decode, epochs, kl, temporaryFolder } from './helpers.js';

const folder = temporaryFolder();
const colors = { loss: [0, 114, 178], mse: [213, 94, 0], penalty: [0, 158, 115] };
const falling = (count: number) =>
  epochs(count, 0.2, (epoch) => ({ mse: 0.4 + 0.6 / epoch, kl: 0.3 + 3 / epoch }));

/** The words of a chart. */
function words(history: readonly EpochMetrics[], sparsity_lambda = 0.2): string[] {
  return [...lossSvg(history, kl(sparsity_lambda)).matchAll(/<text[^>]*>([^<]*)</g)].map(([, text]) => text);
}

/** The pixels of the chart's inside (below the legend) that are about of a colour: their middle for each x. */
async function curve(file: string, color: readonly number[]): Promise<Map<number, number>> {
  const { width, height, channels, data } = await decode(file);
  const found = new Map<number, number[]>();
  for (let y = 132; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * channels;
      if (color.every((c, i) => Math.abs(data[at + i] - c) < 12)) {
        const column = found.get(x);
        if (column) column.push(y);
        else found.set(x, [y]);
      }
    }
  }
  return new Map([...found].map(([x, ys]) => [x, ys.reduce((a, b) => a + b) / ys.length]));
}

test.each([1, 2, 20, 1000])('%i epochs: three curves, where their values say', async (count) => {
  const file = join(folder, `${count}.png`);
  const history = falling(count);
  await writeLossCurve(file, history, kl(0.2));
  const { width, height } = await decode(file);
  expect([width, height]).toEqual([1600, 900]);
  const [loss, mse, penalty] = await Promise.all(Object.values(colors).map((color) => curve(file, color)));
  // The curves end at the right edge of the axes; a single epoch is in the middle.
  const end = Math.max(...loss.keys());
  const left = 152;
  const right = 1544;
  expect(Math.abs(end - (count === 1 ? (left + right) / 2 : right))).toBeLessThan(12);
  // Heights are linear in the values from 0, which two of the curves fix: what they say of the third must be right.
  const last = history[count - 1];
  const near = (map: Map<number, number>) => {
    const xs = [...map.keys()].filter((x) => x > end - 20);
    return xs.reduce((sum, x) => sum + map.get(x)!, 0) / xs.length;
  };
  const slope = (near(mse) - near(loss)) / (last.loss - last.mse);
  const zero = near(loss) + slope * last.loss;
  expect(Math.abs(zero - slope * 0.2 * last.kl - near(penalty))).toBeLessThan(8);
  expect(Math.abs(zero - (900 - 104))).toBeLessThan(20);
});

test('axes, ticks and legend have their words', () => {
  const text = words(falling(20));
  for (const word of ['loss', 'mse', 'sparsity_lambda * kl', 'epoch', 'mean over batches']) {
    expect(text).toContain(word);
  }
  expect(text).toContain('loss = mse + sparsity_lambda * kl + 0.224 (a constant)');
  expect(text.filter((word) => /^\d+$/.test(word) && Number(word) > 0).map(Number)).toEqual([
    2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
  ]);
});

test.each([1, 2, 3, 7, 99, 101, 120, 997, 1000, 12345])('%i epochs have few, whole ticks', (count) => {
  const svg = lossSvg(falling(count), kl(0.2));
  // Labels of the epoch axis are anchored in their middle; those of the other axis at their end.
  const ticks = [...svg.matchAll(/<text[^>]*text-anchor="middle"[^>]*>([^<]*)</g)]
    .map(([, text]) => text)
    .filter((text) => /^[\d.,]+$/.test(text));
  expect(ticks.length).toBeGreaterThanOrEqual(3);
  expect(ticks.length).toBeLessThanOrEqual(11);
  expect(new Set(ticks).size).toBe(ticks.length);
  const step = Number(ticks[1]);
  expect(ticks).toEqual(ticks.map((_, i) => String(i * step)));
});

test('a huge first epoch turns the axis logarithmic, and the rest can be told apart', async () => {
  const history = epochs(20, 0.2, (epoch) => ({ mse: 0.3 + 0.8 / epoch, kl: epoch === 1 ? 4000 : 0 }));
  const text = words(history);
  expect(text).toContain('mean over batches (log scale)');
  expect(text).toEqual(expect.arrayContaining(['0.1', '1', '10', '100', '1000']));
  expect(lossSvg(history, kl(0.2))).not.toMatch(/NaN|Infinity/);
  const file = join(folder, 'huge.png');
  await writeLossCurve(file, history, kl(0.2));
  const mse = await curve(file, colors.mse);
  const heights = [...mse.values()];
  expect(Math.max(...heights) - Math.min(...heights)).toBeGreaterThan(60);
});

test('values that are not finite are left out, and no lambda means a flat line', async () => {
  const history = falling(10).map((epoch) =>
    epoch.epoch < 6 ? epoch : { ...epoch, loss: NaN, mse: NaN, kl: NaN },
  );
  expect(lossSvg(history, kl(0.2))).not.toMatch(/NaN|Infinity/);
  expect(words(history)).toContain('loss = mse + sparsity_lambda * kl + 0.224 (a constant)');
  expect(lossSvg(falling(3), kl(0))).not.toMatch(/NaN|Infinity/);
  const nothing = falling(2).map((epoch) => ({ ...epoch, loss: NaN, mse: Infinity, kl: NaN }));
  expect(lossSvg(nothing, kl(0.2))).not.toMatch(/NaN|Infinity/);
});

test('no epoch, no picture', async () => {
  const file = join(folder, 'none.png');
  await expect(writeLossCurve(file, [], kl(0.2))).rejects.toThrow(DataError);
  expect(readdirSync(folder)).not.toContain('none.png');
});

test('epochs that say what the weight of the penalty was at their end are drawn with that', () => {
  const history = falling(3);
  const weighted = history.map((epoch) => ({ ...epoch, sparsity_lambda: 0.05 }));
  expect(lossChart(weighted, kl(0.2)).series).toEqual(lossChart(history, kl(0.05)).series);
  expect(lossChart(weighted, kl(0.2)).series).not.toEqual(lossChart(history, kl(0.2)).series);
});
