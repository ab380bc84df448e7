import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { examplesOfLatent, none } from '../../src/sae/insight/report/layout.js';
import type { Report } from '../../src/sae/insight/report/pack.js';
import { violations } from '../support/axe.js';
import { long } from '../support/long.js';
import { chromiumPath } from '../support/page.js';
import { arrayOf, goTo, openedReports } from '../support/report-page.js';

// Two models of pictures whose labels are classes.
describe.skipIf(!chromiumPath)('the views of a report', () => {
  const { write, open } = openedReports();
  let report: Report;
  let path: string;
  let page: Page;
  let density: ArrayLike<number>;
  beforeAll(async () => {
    ({ report, path } = await write('two', { latents: [120, 90], images: 'grey', labels: 'classes' }));
    page = await open(path);
    density = arrayOf(report, 0, 'density');
  });

  const rowsShown = () =>
    page
      .locator('.rows [role=row]')
      .evaluateAll((rows) => rows.map((row) => row.firstElementChild!.textContent));
  const focusedRow = () =>
    page.evaluate(() => [
      document.activeElement!.getAttribute('aria-rowindex'),
      document.activeElement!.firstElementChild?.textContent,
    ]);

  test('the overview tells figures, facts, the command and charts in words', async () => {
    await goTo(page, '', 'Overview of sae-topk-1.safetensors');
    const dead = Array.from(density).filter((share) => share === 0).length;
    const figures = await page.locator('.key-figures').innerText();
    expect(figures).toContain('93%');
    expect(figures).toContain(`Dead latents\n${dead}\n`);
    await page
      .getByRole('table', { name: 'Facts of the training' })
      .getByText('llvmpipe (software)')
      .waitFor();
    expect(await page.getByRole('region', { name: 'The command' }).textContent()).toBe(
      report.facts.models[0].command,
    );
    await page
      .getByRole('img', {
        name: new RegExp(`^Density and strongest .* of ${120 - dead} latents\\..* ${dead} dead\\.`),
      })
      .waitFor();
    await page
      .getByRole('img', { name: /^Loss by epoch\. loss: from 0\.416 at epoch 1 to 0\.039 at epoch 30\./ })
      .waitFor();
    await page.getByText('Numbers').first().click();
    expect(await page.getByRole('table', { name: 'Loss by epoch' }).getByRole('row').nth(1).innerText()).toBe(
      '1\t0.416\t0.32',
    );
  });

  test.runIf(long)('a label of the figures leads to its best latent', async () => {
    await goTo(page, '', /Overview/);
    await page.getByRole('row', { name: 'seven' }).getByRole('link', { name: '3' }).click();
    await page.getByRole('heading', { level: 1, name: 'Latent 3 of' }).waitFor();
  });

  test('the command is copied', async () => {
    await goTo(page, '', /Overview/);
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(report.facts.models[0].command);
  });

  test('a point of a chart tells of its latent and opens it', async () => {
    await goTo(page, '', /Overview/);
    const points = page.locator('.points').first();
    await points.scrollIntoViewIfNeeded();
    const box = (await points.boundingBox())!;
    let told = '';
    for (let x = 60; x < box.width && !told.startsWith('Latent'); x += 8) {
      await page.mouse.move(box.x + x, box.y + box.height / 2);
      told = (await page.locator('.told').first().textContent())!;
    }
    const [, latent, share, max] =
      /^Latent (\d+): active for ([\d.]+)% of the rows, at most ([\d.]+)[;.]/.exec(told)!;
    expect(Number(share)).toBeCloseTo(density[Number(latent) - 1] * 100, 1);
    expect(Number(max)).toBeCloseTo(arrayOf(report, 0, 'max')[Number(latent) - 1], 1);
    await page.mouse.down();
    await page.mouse.up();
    await page.getByRole('heading', { level: 1, name: `Latent ${latent} of` }).waitFor();
    expect(new URL(page.url()).hash).toBe(`#model=1&latent=${latent}`);
  });

  test.runIf(long)('arrow keys go from point to point, Enter opens one', async () => {
    await goTo(page, '', /Overview/);
    const plot = page.getByRole('application', { name: /^How often and how strongly: arrow keys/ });
    await page.getByRole('link', { name: 'All latents are in a table' }).focus();
    await page.keyboard.press('Tab');
    expect(await plot.evaluate((area) => area === document.activeElement)).toBe(true);
    const told = page.locator('.told').first();
    const latent = async () => Number(/^Latent (\d+): /.exec((await told.textContent())!)![1]) - 1;
    const alive = Array.from({ length: 120 }, (_, i) => i).filter((i) => density[i] > 0);
    const max = arrayOf(report, 0, 'max');
    const announced = () => page.locator('#announcement').textContent();
    // It begins with the strongest.
    expect(max[await latent()]).toBe(Math.max(...max));
    for (const [key, values, sign] of [
      ['ArrowLeft', density, -1],
      ['ArrowDown', max, -1],
      ['ArrowRight', density, 1],
      ['ArrowUp', max, 1],
    ] as const) {
      // Each step goes on in that direction, and the last one is at the end of it.
      for (let before = values[await latent()]; ; before = values[await latent()]) {
        await page.keyboard.press(key);
        if ((await announced()) === 'There is none further that way.') break;
        expect(await announced()).toBe(await told.textContent());
        expect(sign * (values[await latent()] - before)).toBeGreaterThan(0);
      }
      const furthest = Math.max(...alive.map((i) => sign * values[i]));
      expect(sign * values[await latent()]).toBe(furthest);
    }
    await page.keyboard.press('ArrowLeft');
    const opened = await latent();
    expect(await page.locator('.ring').first().isVisible()).toBe(true);
    // One stop for the whole plot.
    await page.keyboard.press('Tab');
    const map = page.getByRole('application', { name: /^Map of decoder directions: arrow keys/ });
    expect(await map.evaluate((area) => area === document.activeElement)).toBe(true);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: `Latent ${opened + 1} of` }).waitFor();
  });

  test('the table filters, searches and sorts', async () => {
    await goTo(page, 'view=latents', /^Latents of/);
    const found = page.locator('.found');
    const with7 = (latent: number) =>
      arrayOf(report, 0, 'predicts')[latent] === 7 ||
      arrayOf(report, 0, 'term_ids')
        .subarray(latent * 5, latent * 5 + 5)
        .includes(7) ||
      [
        ...arrayOf(report, 0, 'example_rows').subarray(
          latent * examplesOfLatent,
          (latent + 1) * examplesOfLatent,
        ),
      ].some((row) => row !== none && report.labels![row] === '7') ||
      latent === 6;
    const all = Array.from({ length: 120 }, (_, i) => i);

    await page.getByLabel('Show').selectOption('dense');
    const dense = all.filter((latent) => density[latent] > 0.1);
    expect(await found.textContent()).toBe(`${dense.length} of 120 latents`);
    expect((await rowsShown()).map(Number)).toEqual(dense.map((latent) => latent + 1));
    await page.getByLabel('Show').selectOption('dead');
    expect(await found.textContent()).toBe(
      `${all.filter((latent) => density[latent] === 0).length} of 120 latents`,
    );

    await page.getByLabel('Show').selectOption('all');
    await page.getByLabel('Search').fill('7');
    const matching = all.filter(with7);
    expect(matching.length).toBeGreaterThan(3);
    expect(await found.textContent()).toBe(`${matching.length} of 120 latents`);
    await page.getByLabel('Search').fill('nothing of this kind');
    await page.getByText('No latent is like that.').waitFor();
    await page.getByLabel('Search').fill('');

    const heading = page.getByRole('columnheader', { name: 'density' });
    await heading.getByRole('button').click();
    expect(await heading.getAttribute('aria-sort')).toBe('descending');
    const falling = [...all].sort((a, b) => density[b] - density[a] || a - b);
    expect((await rowsShown()).slice(0, 8).map(Number)).toEqual(
      falling.slice(0, 8).map((latent) => latent + 1),
    );
    await page.getByRole('columnheader', { name: 'number' }).getByRole('button').click();
  });

  test.runIf(long)('keys go through the table, open a latent and come back to its row', async () => {
    await goTo(page, 'view=latents', /^Latents of/);
    const grid = page.getByRole('grid', { name: 'Latents' });
    await page.getByText('What the columns mean').click();
    await page.getByText('With the decoder direction that is most alike.').waitFor();
    expect(await grid.getAttribute('aria-rowcount')).toBe('121');
    await page.keyboard.press('/');
    await page.keyboard.press('Enter');
    const at: (string | null | undefined)[][] = [];
    for (const key of ['ArrowDown', 'End', 'ArrowUp', 'Home', 'ArrowDown', 'PageDown']) {
      await page.keyboard.press(key);
      at.push(await focusedRow());
    }
    expect(at.slice(0, 5)).toEqual([
      ['3', '2'],
      ['121', '120'],
      ['120', '119'],
      ['2', '1'],
      ['3', '2'],
    ]);
    const place = Number(at[5][1]);
    expect(place).toBeGreaterThan(8);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: `Latent ${place} of` }).waitFor();
    await page.goBack();
    await expect.poll(focusedRow).toEqual([String(place + 1), String(place)]);
  });

  test.runIf(long)('n and p follow the order of the table', async () => {
    await goTo(page, 'view=latents', /^Latents of/);
    await page.getByRole('columnheader', { name: 'strongest', exact: true }).getByRole('button').click();
    const max = arrayOf(report, 0, 'max');
    const alive = Array.from({ length: 120 }, (_, i) => i).filter((latent) => density[latent] > 0);
    const [first, second] = alive.sort((a, b) => max[b] - max[a] || a - b);
    await page
      .locator('.rows [role=row]')
      .first()
      .click({ position: { x: 500, y: 10 } });
    await page.getByRole('heading', { level: 1, name: `Latent ${first + 1} of` }).waitFor();
    await page.keyboard.press('n');
    await page.getByRole('heading', { level: 1, name: `Latent ${second + 1} of` }).waitFor();
    await page.getByText('2 of 120 in the table').waitFor();
    await page.keyboard.press('p');
    await page.getByRole('heading', { level: 1, name: `Latent ${first + 1} of` }).waitFor();
    await page.keyboard.press('p');
    await page.getByText('This is the first one.').waitFor();
    // Letters can be switched off.
    await page.keyboard.press('?');
    await page.getByLabel('Letters are keys').uncheck();
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    await page.keyboard.press('?');
    await page.getByLabel('Letters are keys').check();
    await page.getByRole('button', { name: 'Close' }).click();
    expect(new URL(page.url()).hash).toBe(`#model=1&latent=${first + 1}`);
    await goTo(page, 'view=latents', /^Latents of/);
    await page.getByRole('columnheader', { name: 'number' }).getByRole('button').click();
  });

  test('a latent shows its direction, its examples, and those beside it', async () => {
    const rows = (latent: number) =>
      arrayOf(report, 0, 'example_rows').subarray(latent * examplesOfLatent, (latent + 1) * examplesOfLatent);
    const latent = Array.from(density).findIndex((_, i) => !rows(i).includes(none) && i > 64);
    await goTo(page, `model=1&latent=${latent + 1}`, `Latent ${latent + 1} of`);
    expect(await page.title()).toBe(`Latent ${latent + 1} of sae-topk-1.safetensors · A made-up report`);

    const shown = await page.locator('.examples li').allInnerTexts();
    const numbers = report.rows[0].values;
    expect(shown.map((text) => Number(/row ([\d,]+)/.exec(text)![1].replaceAll(',', '')) - 1)).toEqual(
      [...rows(latent)].map((row) => numbers[row]),
    );
    expect(shown[0]).toContain(`label ${report.labels![rows(latent)[0]]}`);
    expect(await page.locator('.group h3').allInnerTexts()).toEqual([
      'Strongest',
      'Strongest quarter',
      'Second quarter',
      'Third quarter',
      'Weakest quarter',
    ]);

    // Pictures as another decoder has them; directions in colours, with zero white.
    const { pictures } = report.facts.rows;
    expectAlike(
      await pixelsOf(page, '.examples canvas'),
      await tileOf(report, pictures!, rows(latent)[0], false),
    );
    const { directions } = report.facts.models[0];
    expectAlike(await pixelsOf(page, '.direction canvas'), await tileOf(report, directions!, latent, true));

    const near = page.getByRole('table', { name: 'Similar latents' }).getByRole('row');
    expect(await near.nth(1).innerText()).toMatch(
      new RegExp(`^Latent ${arrayOf(report, 0, 'near_latents')[8 * latent] + 1}\t`),
    );
    const matches = page.getByRole('table', { name: 'In the other models' }).getByRole('row');
    expect(await matches.nth(1).innerText()).toMatch(
      new RegExp(
        `^sae-kl-2.safetensors\\s+Latent ${arrayOf(report, 0, 'match_1_latents')[latent] + 1}\t0\\.\\d{3}`,
      ),
    );
    await page.getByRole('img', { name: /^Histogram of the [\d,]+ activations from 0 to/ }).waitFor();
    await page.getByRole('img', { name: /^Density by epoch: / }).waitFor();

    // What is not there becomes the nearest that is.
    await goTo(page, 'model=2&latent=9999', 'Latent 90 of sae-kl-2.safetensors');
  });

  test('a latent that predicts no label better than chance says so', async () => {
    const predicts = arrayOf(report, 0, 'predicts');
    const latent = predicts.findIndex((term, i) => term === none && density[i] > 0);
    await goTo(page, `latent=${latent + 1}`, `Latent ${latent + 1} of`);
    await page.getByText('It predicts no label better than chance would.').waitFor();
    await goTo(page, `latent=${latent + 2}`, `Latent ${latent + 2} of`);
    await page.getByText('As a test for').getByText('and 10% of all').waitFor();
    await goTo(page, 'view=latents', /^Latents of/);
    await page.getByLabel('Search').fill(String(latent + 1));
    const row = page
      .getByRole('row')
      .filter({ has: page.getByRole('link', { name: String(latent + 1), exact: true }) });
    expect((await row.getByRole('gridcell').allTextContents()).filter((text) => text === '–')).toHaveLength(
      3,
    );
    await page.getByLabel('Search').fill('');
  });

  test('models are compared', async () => {
    await goTo(page, 'view=compare', 'Compare models');
    const other = arrayOf(report, 1, 'density');
    const shared = Array.from(density).filter(
      (share, i) => share > 0 && arrayOf(report, 0, 'match_1_cosines')[i] >= 0.7,
    );
    const only = Array.from(other).filter(
      (share, i) => share > 0 && arrayOf(report, 1, 'match_0_cosines')[i] < 0.7,
    );
    const grid = page.getByRole('grid', { name: 'Latents of two models' });
    expect(await grid.getAttribute('aria-rowcount')).toBe(String(shared.length + 1));
    await page.getByLabel('Show').selectOption({ label: `only in the second (${only.length})` });
    expect(await grid.getAttribute('aria-rowcount')).toBe(String(only.length + 1));
    await page
      .getByRole('img', {
        name: 'sae-topk-1.safetensors: 93% at L0 12.4. sae-kl-2.safetensors: 89% at L0 19.4.',
      })
      .waitFor();
    await page.getByLabel('First model').selectOption({ index: 1 });
    await expect.poll(() => new URL(page.url()).hash).toBe('#view=compare&model=2&with=1');
    await page.locator('.rows a').first().click();
    await page.getByRole('heading', { level: 1, name: 'Latent 1 of sae-kl-2.safetensors' }).waitFor();
  });

  test('axe finds nothing and nothing is cut off, light and dark, on a desk and on the narrowest screen', async () => {
    for (const [hash, heading] of [
      ['', /Overview/],
      ['view=latents', /^Latents of/],
      ['latent=5', /^Latent 5/],
      ['view=compare', /^Compare/],
    ] as const) {
      await goTo(page, hash, heading);
      if (long) {
        await page.setViewportSize({ width: 1280, height: 800 });
        await page.emulateMedia({ colorScheme: 'light' });
        expect(await violations(page), `${hash}, light`).toEqual([]);
      }
      await page.setViewportSize({ width: 320, height: 800 });
      await page.emulateMedia({ colorScheme: 'dark' });
      const rules = [
        'color-contrast',
        'scrollable-region-focusable',
        'target-size',
        'aria-required-children',
      ];
      expect(await violations(page, rules), `${hash}, dark and narrow`).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth), hash).toBe(320);
    }
    await page.keyboard.press('?');
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await page.emulateMedia({ colorScheme: null });
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  test.runIf(long)(
    'on a phone what is long is folded, and unfolds; on paper all of it is there',
    async () => {
      await page.setViewportSize({ width: 390, height: 800 });
      await goTo(page, 'view=latents', /^Latents of/);
      await goTo(page, '', /Overview/);
      const curve = page.getByRole('img', { name: /^Loss by epoch/ });
      const facts = page.getByRole('table', { name: 'Facts of the training' });
      expect([await curve.isVisible(), await facts.isVisible()]).toEqual([false, false]);
      await page.getByRole('heading', { name: 'Training', exact: true }).click();
      await expect.poll(() => curve.locator('canvas').first().isVisible()).toBe(true);
      await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
      expect(await facts.isVisible()).toBe(true);
      await page.evaluate(() => dispatchEvent(new Event('afterprint')));
      await page.setViewportSize({ width: 1280, height: 800 });
      await goTo(page, 'view=latents', /^Latents of/);
      await goTo(page, '', /Overview/);
      expect(await page.locator('.fold').count()).toBe(0);
    },
  );

  test('on paper are light colours and the first rows of a table', async () => {
    await page.emulateMedia({ colorScheme: 'dark' });
    await goTo(page, 'view=latents', /^Latents of/);
    const rows = page.locator('.rows [role=row]');
    await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
    expect(await rows.count()).toBe(120);
    expect(await page.evaluate(() => getComputedStyle(document.body).color)).toBe('rgb(22, 26, 34)');
    await page.evaluate(() => dispatchEvent(new Event('afterprint')));
    expect(await rows.count()).toBeLessThan(40);
    await page.emulateMedia({ colorScheme: null });
  });
});

/** What a canvas shows: [pixels, 4], once it has been drawn. */
async function pixelsOf(page: Page, selector: string): Promise<number[]> {
  const read = () =>
    page
      .locator(selector)
      .first()
      .evaluate((canvas) => {
        const { width, height } = canvas as HTMLCanvasElement;
        const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })!;
        context.drawImage(canvas as HTMLCanvasElement, 0, 0);
        return [...context.getImageData(0, 0, width, height).data];
      });
  await expect.poll(async () => (await read()).some((value) => value > 0)).toBe(true);
  return read();
}

/** Decoders of WebP round colours, each in its way. */
function expectAlike(pixels: readonly number[], expected: readonly number[]): void {
  expect(pixels).toHaveLength(expected.length);
  const most = Math.max(...pixels.map((value, i) => Math.abs(value - expected[i])));
  expect(most).toBeLessThanOrEqual(4);
}

type Described = NonNullable<Report['facts']['rows']['pictures']>;

/** A tile as sharp decodes it: [pixels, 4]; signed ones from blue through white to orange. */
async function tileOf(
  report: Report,
  { width, height, tiles, columns, sheets }: Described,
  tile: number,
  signed: boolean,
): Promise<number[]> {
  const { offset } = sheets[Math.floor(tile / tiles)];
  let at = 0;
  const sheet = report.sheets.find((bytes) => {
    at += bytes.length;
    return at - bytes.length === offset;
  })!;
  const pixels = await sharp(sheet)
    .extract({
      left: ((tile % tiles) % columns) * width,
      top: Math.floor((tile % tiles) / columns) * height,
      width,
      height,
    })
    .greyscale()
    .raw()
    .toBuffer();
  return [...pixels].flatMap((grey) => {
    if (!signed) return [grey, grey, grey, 255];
    const value = Math.max(-1, (grey - 128) / 127);
    const end = value < 0 ? [29, 95, 168] : [194, 74, 0];
    return [...end.map((channel) => Math.round(255 + Math.abs(value) * (channel - 255))), 255];
  });
}
