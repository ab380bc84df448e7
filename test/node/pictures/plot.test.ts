import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EngineError } from '../../../src/gpu/errors.js';
import { writePlot } from '../../../src/node/pictures/plot.js';
import { DataError } from '../../../src/sae/errors.js';
import { long } from '../../support/long.js';
import { decode, digit, temporaryFolder } from './helpers.js';

const folder = temporaryFolder();
const image_shape = [28, 28] as const;

/** `count` digits as the model sees them, and reconstructions that are half as far from the background. */
function samples(count: number) {
  const originals = new Float32Array(count * 784);
  for (let i = 0; i < count; i++) originals.set(digit(i % 10, Math.floor(i / 10)), i * 784);
  for (let i = 0; i < originals.length; i++) originals[i] = (originals[i] - 0.1307) / 0.3081;
  const black = -0.1307 / 0.3081;
  return { originals, reconstructions: originals.map((v) => black + (v - black) / 2), count, image_shape };
}

/** Where the first tile begins and how large one value is: found in the picture, not taken from the code. */
async function tiles(file: string) {
  const image = await decode(file);
  const grey = (x: number, y: number) => image.pixel(x, y)[0];
  const blackAt = (x: number, y: number) => x < image.width && y < image.height && grey(x, y) === 0;
  let top = 0;
  // The first line with a run of black longer than any letter is the upper edge of the first row of tiles.
  const run = (y: number) => {
    for (let x = 0; x < image.width; x++) {
      let length = 0;
      while (blackAt(x + length, y)) length++;
      if (length > 40) return { left: x, length };
    }
    return undefined;
  };
  while (!run(top)) top++;
  const { left, length } = run(top)!;
  return { ...image, grey, left, top, side: length };
}

test('every pixel of a plotted digit is the 8-bit value that the data set has', async () => {
  const file = join(folder, 'five.png');
  await writePlot(file, samples(5));
  const { grey, left, top, side, width, height, space } = await tiles(file);
  expect(space).toBe('b-w');
  expect(width).toBeGreaterThan(800);
  expect(width).toBeLessThan(1000);
  expect(height).toBeLessThan(width);
  expect(side % 28).toBe(0);
  const factor = side / 28;
  const gap = 4;
  for (let column = 0; column < 5; column++) {
    // A digit reaches from 0 to 1 in every sample used here, so that the grey is 255 times the stored value.
    const stored = digit(column, 0);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const value = stored[Math.floor(y / factor) * 28 + Math.floor(x / factor)];
        const px = left + column * (side + gap) + x;
        if (Math.abs(grey(px, top + y) - 255 * value) > 0.51) {
          expect.fail(`original ${column} at ${x}, ${y}: ${grey(px, top + y)} for ${value}`);
        }
        if (Math.abs(grey(px, top + side + gap + y) - 127.5 * value) > 0.51) {
          expect.fail(`reconstruction ${column} at ${x}, ${y}: the same scale must show half of ${value}`);
        }
      }
    }
  }
  expect(grey(0, 0)).toBe(255);
  expect(grey(width - 1, height - 1)).toBe(255);
});

test('values beyond the range of the originals are clamped', async () => {
  const file = join(folder, 'clamped.png');
  const { originals } = samples(1);
  const reconstructions = new Float32Array(784).fill(-50);
  reconstructions.fill(50, 392);
  await writePlot(file, { originals, reconstructions, count: 1, image_shape });
  const { grey, left, top, side } = await tiles(file);
  expect(grey(left + 3, top + side + 4 + 3)).toBe(0);
  expect(grey(left + 3, top + 2 * side + 4 - 3)).toBe(255);
});

test('row labels and the errors beneath are there, in dark pixels, and differ from sample to sample', async () => {
  const file = join(folder, 'labels.png');
  await writePlot(file, samples(3));
  const { grey, left, top, side, width } = await tiles(file);
  const dark = (x0: number, x1: number, y0: number, y1: number) => {
    const found: string[] = [];
    for (let y = y0; y < y1; y++)
      for (let x = x0; x < x1; x++) if (grey(x, y) < 100) found.push(`${x - x0},${y}`);
    return found;
  };
  const labels = [0, side + 4].map((row) => dark(0, left, top + row, top + row + side));
  // «reconstruction» is 14 letters, «original» 8.
  expect(labels[0].length).toBeGreaterThan(60);
  expect(labels[1].length).toBeGreaterThan(1.3 * labels[0].length);
  const captions = [0, 1, 2].map((column) => {
    const x = left + column * (side + 4);
    return dark(x, Math.min(width, x + side), top + 2 * side + 4, top + 2 * side + 22).join(' ');
  });
  expect(new Set(captions).size).toBe(3);
  expect(Math.min(...captions.map((c) => c.length))).toBeGreaterThan(60);
});

const bands = [
  [1, 300, 1],
  [10, 1040, 1],
  [30, 1040, 3],
  [50, 1040, 5],
];
test.each(long ? bands : [bands[0], bands[2]])(
  '%i samples fit into %i pixels and %i bands',
  async (count, widest, bands) => {
    const file = join(folder, `${count}.png`);
    await writePlot(file, samples(count));
    const { width, height, side, left, grey } = await tiles(file);
    expect(width).toBeLessThanOrEqual(widest);
    expect(side).toBeGreaterThanOrEqual(84);
    // The left edge of a digit is black: so many runs of it, so many rows of tiles.
    const edge = Array.from({ length: height }, (_, y) => (grey(left, y) === 0 ? '#' : ' ')).join('');
    expect(
      edge
        .split(/ +/)
        .filter(Boolean)
        .map((run) => run.length),
    ).toEqual(Array(2 * bands).fill(side));
  },
);

test.each([
  [[2, 100], 7],
  [[8, 8], 3],
  [[60, 10], 3],
  [[300, 1200], 2],
  [[1, 1], 4],
] as const)('rows of %j values make a picture too', async (shape, count) => {
  const values = Float32Array.from({ length: shape[0] * shape[1] * count }, (_, i) => i % 7);
  const file = join(folder, `${shape.join('x')}.png`);
  await writePlot(file, { originals: values, reconstructions: values, count, image_shape: shape });
  const { width } = await decode(file);
  expect(width).toBeLessThan(shape[1] > 1000 ? 1400 : 1040);
});

test('originals that are all alike, and lengths that do not fit', async () => {
  const flat = new Float32Array(784).fill(0.25);
  const reconstructions = flat.map((value) => value + 0.5);
  await writePlot(join(folder, 'flat.png'), { originals: flat, reconstructions, count: 1, image_shape });
  const { grey, left, top, side } = await tiles(join(folder, 'flat.png'));
  expect(grey(left, top + side + 4)).toBe(128);
  await expect(
    writePlot(join(folder, 'x.png'), { originals: flat, reconstructions: flat, count: 2, image_shape }),
  ).rejects.toThrow(DataError);
  const none = new Float32Array(0);
  await expect(
    writePlot(join(folder, 'x.png'), { originals: none, reconstructions: none, count: 0, image_shape }),
  ).rejects.toThrow(/at least one sample/);
  expect(readdirSync(folder)).not.toContain('x.png');
});

test('a missing folder is made; one that cannot be made gives a sentence with its path', async () => {
  await writePlot(join(folder, 'made/deep/plot.png'), samples(1));
  expect(readdirSync(join(folder, 'made/deep'))).toEqual(['plot.png']);

  const blocked = join(folder, 'a-file');
  writeFileSync(blocked, 'x');
  const failure = await writePlot(join(blocked, 'plot.png'), samples(1)).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(EngineError);
  expect((failure as Error).message).toContain(`Nothing can be written to the folder ${blocked}: `);

  mkdirSync(join(folder, 'taken.png'));
  await expect(writePlot(join(folder, 'taken.png'), samples(1))).rejects.toThrow(EngineError);
  expect(readdirSync(folder).filter((name) => name.startsWith('taken.png'))).toEqual(['taken.png']);
});

test('images in colour, in one scale for red, green and blue', async () => {
  const file = join(folder, 'colours.png');
  const originals = Float32Array.of(-1, 0, 3, 1, 1, 1);
  const reconstructions = Float32Array.of(3, -5, 1, 9, 0, -1);
  await writePlot(file, { originals, reconstructions, count: 1, image_shape: [1, 2, 3] });
  const { width, height, data, space } = await decode(file);
  expect(space).toBe('srgb');
  const count = (colour: readonly number[]) => {
    let found = 0;
    for (let i = 0; i < width * height; i++) {
      if (colour.every((value, channel) => data[3 * i + channel] === value)) found++;
    }
    return found;
  };
  // (value + 1) / 4 of 255, clamped: each colour fills its square.
  const colours = [
    [0, 64, 255],
    [255, 0, 128],
    [255, 64, 0],
  ];
  expect(colours.map(count)).toEqual([80 * 80, 80 * 80, 80 * 80]);
});
