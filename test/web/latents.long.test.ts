import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { decodeModel, encodeModel } from '../../src/sae/index.js';
import type { ReportFacts } from '../../src/sae/insight/report/layout.js';
import { npy, temporaryFolder } from '../cli/sae.js';
import { encode } from '../reference/imported-sae.js';
import { violations } from '../support/axe.js';
import { builtPage, button, chromiumPath, drop, saved, shownPictures } from '../support/page.js';

const folder = temporaryFolder();
const hidden = 250;
const count = 120;
const in_dims = 36;
const killed = [3, 77, 249];

/** What the page should know, in float64: each latent's activations, [latents][rows]. */
function activations(parameters: ReadonlyMap<string, { data: Float32Array }>, x: Float64Array): number[][] {
  const data = (name: string) => parameters.get(name)!.data;
  const sae = {
    in_dims,
    latents: hidden,
    W_enc: data('encoder.0.weight'),
    b_enc: data('encoder.0.bias'),
    activation: { kind: 'relu' },
  } as unknown as Parameters<typeof encode>[0];
  const code = encode(sae, x);
  return Array.from({ length: hidden }, (_, latent) =>
    Array.from({ length: count }, (_row, row) => code[row * hidden + latent]),
  );
}

/** The numbers of the latents that are listed, in their order. */
const listed = (page: Page) =>
  page
    .locator('#features input')
    .evaluateAll((inputs) => inputs.map((input) => Number(input.getAttribute('value'))));

describe.skipIf(!chromiumPath)('all latents on the page', () => {
  const { open } = builtPage();

  test('are paged, sorted and searched, marked where they are dead, and revived', async () => {
    const page = await open({ settings: `h_dims=${hidden}&lr=1e-30` });
    const values = Uint8Array.from({ length: count * in_dims }, (_, i) => (i * 2654435761) >>> 24);
    const labels = Array.from({ length: count }, (_, row) => `<b>row ${row}`);
    await drop(
      page,
      { name: 'rows.npy', bytes: npy([count, 6, 6], values) },
      { name: 'labels.txt', bytes: Buffer.from(labels.join('\n')) },
    );
    await page.getByText('Opened rows.npy').waitFor();
    await page.waitForFunction(
      () => document.querySelector('#features canvas')?.getAttribute('width') === '6',
    );
    const model = decodeModel(await saved(page, 'Save model'), 'page');
    for (const latent of killed) model.parameters.get('encoder.0.bias')!.data[latent] = -99;
    await drop(page, { name: 'some-dead.safetensors', bytes: encodeModel(model) });
    await page.getByText('Opened some-dead.safetensors').waitFor();

    const { mean, std } = model.normalization as { mean: number; std: number };
    const x = Float64Array.from(values, (value) => (value / 255 - mean) / std);
    const all = activations(model.parameters, x);
    const active = all.map((own) => own.filter((value) => value > 0).length);
    const dead = [...active.keys()].filter((latent) => active[latent] === 0);
    expect(dead).toEqual(expect.arrayContaining(killed));
    const ordered = (key: (latent: number) => number) =>
      [...active.keys()].sort((a, b) => key(b) - key(a) || a - b);

    await page.getByText(`${dead.length} dead`, { exact: true }).waitFor();
    expect(await page.locator('#dead').textContent()).toBe(`${dead.length} of ${hidden}`);
    expect(await listed(page)).toEqual(Array.from({ length: 100 }, (_, latent) => latent));
    await page.getByLabel('Order of the latents').selectOption('density');
    const byDensity = ordered((latent) => active[latent]);
    expect(await listed(page)).toEqual(byDensity.slice(0, 100));
    await page.getByLabel('Order of the latents').selectOption('activation');
    const byStrength = ordered((latent) => Math.max(...all[latent]));
    expect(await listed(page)).toEqual(byStrength.slice(0, 100));

    // A report of them tells the same, and opens from the disk.
    const file = folder.write('report.html', await saved(page, 'Save report'));
    await page.getByText('The report is saved as report.html').waitFor();
    const report = await page.context().newPage();
    const trouble: string[] = [];
    report.on('console', (message) => trouble.push(message.text()));
    report.on('pageerror', ({ message }) => trouble.push(message));
    await report.goto(pathToFileURL(file).href);
    const facts: ReportFacts = JSON.parse((await report.locator('#facts').textContent())!);
    expect(facts.models).toMatchObject([{ latents: hidden, dead: dead.length, kind: 'kl' }]);
    expect(facts.rows).toMatchObject({ name: 'rows.npy', rows: count, labelled: true });
    await report.goto(`${pathToFileURL(file).href}#model=1&latent=${byStrength[0] + 1}`);
    await report.getByRole('heading', { name: `Latent ${byStrength[0] + 1}` }).waitFor();
    expect(trouble).toEqual([]);
    await report.close();

    // By keyboard to the last page, where the dead ones are.
    await page.locator('#features input').first().focus();
    await page.keyboard.press('PageDown');
    await page.getByText('101 to 200 of 250').waitFor();
    await page.keyboard.press('PageDown');
    await page.getByText('201 to 250 of 250').waitFor();
    await page.keyboard.press('PageDown');
    expect(await listed(page)).toEqual(byStrength.slice(200));
    const marked = await page
      .getByRole('radio', { name: /: dead$/ })
      .evaluateAll((inputs) => inputs.map((input) => Number(input.getAttribute('value'))));
    expect(marked).toEqual(dead);
    expect(await page.locator('#features label.dead').count()).toBe(dead.length);
    expect(await page.evaluate(() => document.activeElement!.getAttribute('name'))).toBe('feature');
    expect(await violations(page)).toEqual([]);

    // Latent 12 first, then others whose numbers begin so, in the same order.
    const search = page.getByRole('searchbox', { name: 'Find latents by number or word' });
    await search.fill('12');
    const begin = byStrength.filter((latent) => String(latent + 1).startsWith('12') && latent !== 11);
    await expect.poll(() => listed(page)).toEqual([11, ...begin]);
    await page.getByText('1 to 11 of 11 found among 250').waitFor();
    await search.press('Enter');
    await page.getByRole('heading', { name: 'Latent 12', exact: true }).waitFor();
    expect(await page.evaluate(() => document.activeElement!.ariaLabel)).toMatch(/^Latent 12($|:)/);
    // It draws what it adds: of the largest weight, if that is above 0, the colour of the style sheet.
    const direction = [...model.parameters.get('decoder.0.weight')!.data].filter((_, i) => i % hidden === 11);
    const largest = direction.reduce(
      (best, value, i) => (Math.abs(value) > Math.abs(direction[best]) ? i : best),
      0,
    );
    const colour = async () => {
      const [shown] = await shownPictures(page, '#features canvas');
      return shown.pixel(largest % 6, Math.floor(largest / 6));
    };
    const ends = direction[largest] > 0 ? [194, 74, 0] : [29, 95, 168];
    await expect
      .poll(async () => (await colour()).every((value, i) => Math.abs(value - ends[i]) < 4))
      .toBe(true);

    // The label of a row finds the latents that it excites, and nothing in it runs.
    const exciting = (latent: number) =>
      all[latent]
        .map((value, row) => ({ value, row }))
        .filter(({ value }) => value > 0)
        .sort((a, b) => b.value - a.value)
        .slice(0, 10);
    await search.fill('<B>row 7');
    const found = (text: RegExp) =>
      byStrength.filter((latent) => exciting(latent).some(({ row }) => text.test(labels[row])));
    const exact = found(/^<b>row 7$/);
    await expect
      .poll(() => listed(page))
      .toEqual([...exact, ...found(/^<b>row 7/).filter((latent) => !exact.includes(latent))]);
    await search.fill('<img');
    await page.getByText('none of 250').waitFor();
    expect(await page.locator('#features *').count()).toBe(0);
    await search.fill('');
    await page.getByText('1 to 100 of 250').waitFor();

    // Revived: of the dead ones each draws a row, and the others are as they were.
    await button(page, 'Revive').click();
    await expect.poll(() => page.locator('#dead').textContent()).not.toBe(`${dead.length} of ${hidden}`);
    const after = decodeModel(await saved(page, 'Save model'), 'page').parameters;
    const before = model.parameters;
    const column = (from: typeof after, latent: number) =>
      [...from.get('decoder.0.weight')!.data].filter((_, i) => i % hidden === latent);
    const norm = (vector: ArrayLike<number>) => Math.hypot(...Array.from(vector));
    for (let latent = 0; latent < hidden; latent++) {
      if (!dead.includes(latent)) {
        expect(column(after, latent)).toEqual(column(before, latent));
        continue;
      }
      const own = column(after, latent);
      const cosines = labels.map((_, row) => {
        const of = x.subarray(row * in_dims, (row + 1) * in_dims);
        return own.reduce((sum, value, i) => sum + value * of[i], 0) / norm(own) / norm(of);
      });
      expect(Math.max(...cosines), `latent ${latent + 1}`).toBeCloseTo(1, 5);
    }
    expect(await page.locator('.trouble').count()).toBe(0);
  });
});
