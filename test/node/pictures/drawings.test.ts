import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeDrawings } from '../../../src/node/pictures/drawings.js';
import { DataError } from '../../../src/sae/errors.js';
import { colourDifference, latentTiles, pageColours } from '../../support/latent-tiles.js';
import { temporaryFolder } from './helpers.js';

const folder = temporaryFolder();
/** A colour is one of 255: half a step of them, and a rounding. */
const tolerance = 1.5;

function waves(latents: number, size: number): Float32Array {
  return Float32Array.from({ length: latents * size }, (_, i) => Math.sin(i / 3 + Math.floor(i / size)));
}

function coloursOf(picture: Awaited<ReturnType<typeof latentTiles>>, tile: number, size: number) {
  return Array.from({ length: size }, (_, value) => picture.colour(tile, value));
}

const isGrey = ([red, green, blue]: readonly number[]) => red === green && green === blue;

test('latents of images in colour: about middle grey, and a dead one in greys', async () => {
  const file = join(folder, 'colours.png');
  const drawings = Float32Array.of(
    ...[4, -2, 1, 0, 0, -4],
    ...[3, 3, 3, 0, 0, 0],
    ...[0.1, 0, 0, -0.2, 0.1, 0],
    ...[0, 0, 0, 0, 0, 0],
  );
  const densities = Float64Array.of(0.25, 0, 0.5, 0.125);
  await writeDrawings(file, { drawings, densities, rows: 8, rowsInAll: 8, image_shape: [1, 2, 3] });
  const picture = await latentTiles(file, [1, 2], 4);
  const { pixel, left, top } = picture;
  const seen = [0, 1, 2].map((tile) => coloursOf(picture, tile, 2));
  expect(seen).toEqual([
    [
      [192, 128, 128],
      [1, 192, 128],
    ],
    [
      [255, 65, 160],
      [128, 128, 1],
    ],
    [
      [128, 128, 128],
      [128, 128, 128],
    ],
  ]);
  const { x, y } = picture.corner(3);
  for (let dx = 0; dx < 2 * picture.factor; dx++) expect(isGrey(pixel(x + dx, y + 3))).toBe(true);
  // The bar has a ramp for each, which ends where only that one is there, and where it lacks.
  const ends = (at: number) => new Set(Array.from({ length: top }, (_, dy) => pixel(left + at, dy).join()));
  for (const colour of ['255,128,128', '128,255,128', '128,128,255']) expect(ends(254)).toContain(colour);
  for (const colour of ['1,128,128', '128,1,128', '128,128,1']) expect(ends(0)).toContain(colour);
});

describe('four latents of 2 x 3 values, by hand', async () => {
  const file = join(folder, 'four.png');
  const drawings = Float32Array.of(
    ...[4, -2, 1, 0, 0, 2],
    ...[-1e-3, 1e-3, 0, 0, 5e-4, 0],
    ...[9, 9, 9, 9, 9, -9],
    ...[0, 0, 0, 0, 0, 0],
  );
  const densities = Float64Array.of(0.25, 0.5, 0, 0.25);
  await writeDrawings(file, { drawings, densities, rows: 40, rowsInAll: 80, image_shape: [2, 3] });
  const picture = await latentTiles(file, [2, 3], 4);
  const { colour, corner, factor, pixel, width, left, top } = picture;
  const values = (latent: number) => drawings.subarray(latent * 6, latent * 6 + 6);

  test('the most active is first, of equal ones the first, and a dead one last', () => {
    expect([picture.columns, picture.tops.length]).toEqual([2, 2]);
    for (const [tile, latent] of [1, 0, 3].entries()) {
      expect(colourDifference(coloursOf(picture, tile, 6), values(latent)), `tile ${tile}`).toBeLessThan(
        tolerance,
      );
    }
    // Scaled by their own largest value, others differ.
    expect(colourDifference(coloursOf(picture, 0, 6), values(0))).toBeGreaterThan(50);
  });

  test('every pixel of a value has its colour', () => {
    const { x, y } = corner(1);
    for (let dy = 0; dy < 2 * factor; dy++) {
      for (let dx = 0; dx < 3 * factor; dx++) {
        const value = Math.floor(dy / factor) * 3 + Math.floor(dx / factor);
        if (pixel(x + dx, y + dy).join() !== colour(1, value).join()) expect.fail(`at ${dx}, ${dy}`);
      }
    }
  });

  test('a dead one is grey, with a dark cross from corner to corner; no other tile has one', () => {
    const [w, h] = [3 * factor, 2 * factor];
    const inTile = (tile: number, dx: number, dy: number) => pixel(corner(tile).x + dx, corner(tile).y + dy);
    const onCross = (tile: number) =>
      [0, 0.2, 0.5, 0.8, 1].flatMap((t) => {
        const [dx, dy] = [Math.round(t * (w - 1)), Math.round(t * (h - 1))];
        return [inTile(tile, dx, dy), inTile(tile, w - 1 - dx, dy)];
      });
    for (const point of onCross(3)) {
      expect(Math.max(...point)).toBeLessThan(60);
    }
    expect(coloursOf(picture, 3, 6).every(isGrey)).toBe(true);
    // Beside the cross it is far lighter.
    expect(Math.min(...inTile(3, Math.round(w / 2), 5))).toBeGreaterThan(150);
    for (const tile of [0, 1, 2]) {
      expect(onCross(tile).some((point) => isGrey(point) && point[0] < 60)).toBe(false);
    }
  });

  test('the legend has the bar with its ends, words and a dead tile, and nothing of it is cut off', () => {
    const { below, zero, above } = pageColours();
    const bar = Array.from({ length: top }, (_, y) => y).filter(
      (y) => pixel(left, y).join() === below.join() && pixel(left + 254, y).join() === above.join(),
    );
    expect(bar.length).toBeGreaterThan(8);
    expect(pixel(left + 127, bar[0])).toEqual(zero);
    let dark = 0;
    for (let y = 0; y < top; y++) {
      for (let x = 0; x < width; x++) {
        const isDark = Math.max(...pixel(x, y)) < 100;
        dark += isDark ? 1 : 0;
        if (x >= width - 8 && isDark) expect.fail(`something is cut off at ${y}`);
      }
    }
    expect(dark).toBeGreaterThan(1500);
  });
});

test('the legend says how many are dead and what was measured', async () => {
  const legend = async (name: string, densities: readonly number[], rowsInAll: number) => {
    const file = join(folder, `${name}.png`);
    const drawings = waves(densities.length, 784);
    const rows = 10_000;
    await writeDrawings(file, {
      drawings,
      densities: Float64Array.from(densities),
      rows,
      rowsInAll,
      image_shape: [28, 28],
    });
    const { pixel, width, top } = await latentTiles(file, [28, 28], densities.length);
    const lines: string[] = [];
    for (let y = 0; y < top; y++) {
      lines.push(
        Array.from({ length: width }, (_, x) => (Math.max(...pixel(x, y)) < 128 ? '#' : ' ')).join(''),
      );
    }
    // Such a word as the longest that may be asked for is not cut off.
    expect(lines.every((line) => line.slice(-8).trim() === '')).toBe(true);
    return lines.join('\n');
  };
  const all = await legend('all', [1, 0.5, 0.25], 10_000);
  expect(await legend('sample', [1, 0.5, 0.25], 98_765_432)).not.toBe(all);
  const dead = await legend('dead', [1, 0.5, 0], 10_000);
  expect(dead).not.toBe(all);
  expect(await legend('again', [0.75, 0.5, 0.25], 10_000)).toBe(all);
});

test.each([
  [1, 1, 1, true],
  [20, 5, 4, true],
  [128, 12, 11, true],
  [4096, 64, 64, false],
])(
  '%i latents of 28 x 28 lie in a grid of %i by %i, with captions: %s',
  async (latents, columns, rows, captions) => {
    const file = join(folder, `${latents}.png`);
    const drawings = waves(latents, 784);
    const densities = Float64Array.from({ length: latents }, (_, i) => (latents - i) / latents);
    await writeDrawings(file, { drawings, densities, rows: 100, rowsInAll: 100, image_shape: [28, 28] });
    const picture = await latentTiles(file, [28, 28], latents);
    const { tops, factor, width, height, pixel, corner } = picture;
    expect([picture.columns, tops.length]).toEqual([columns, rows]);
    expect(Number.isInteger(factor)).toBe(true);
    expect(Math.max(width, height)).toBeLessThan(latents > 1024 ? 2400 : 1300);
    for (const tile of [0, Math.floor(latents / 2), latents - 1]) {
      const own = drawings.subarray(tile * 784, (tile + 1) * 784);
      expect(colourDifference(coloursOf(picture, tile, 784), own)).toBeLessThan(tolerance);
    }
    // Beneath the first tile, as far as the next: dark pixels of a caption, or the frame alone.
    const { x, y } = corner(0);
    let letters = 0;
    for (let dy = 28 * factor + 1; dy < (tops[1] ?? height) - y; dy++) {
      for (let dx = 0; dx < 28 * factor; dx++) letters += Math.max(...pixel(x + dx, y + dy)) < 100 ? 1 : 0;
    }
    expect(letters > 10).toBe(captions);
  },
);

test('tiles that are not square still make a picture that is about square', async () => {
  const file = join(folder, 'wide.png');
  const drawings = waves(64, 400);
  const densities = new Float64Array(64).fill(1);
  await writeDrawings(file, { drawings, densities, rows: 9, rowsInAll: 9, image_shape: [10, 40] });
  const picture = await latentTiles(file, [10, 40], 64);
  expect(picture.width / picture.height).toBeGreaterThan(0.5);
  expect(picture.width / picture.height).toBeLessThan(1.7);
  expect(colourDifference(coloursOf(picture, 63, 400), drawings.subarray(63 * 400))).toBeLessThan(tolerance);
});

test('lengths that do not fit are refused', async () => {
  const file = join(folder, 'x.png');
  for (const [values, latents] of [
    [10, 3],
    [0, 0],
  ]) {
    const drawings = new Float32Array(values);
    const densities = new Float64Array(latents);
    await expect(
      writeDrawings(file, { drawings, densities, rows: 1, rowsInAll: 1, image_shape: [2, 2] }),
    ).rejects.toThrow(DataError);
  }
});
