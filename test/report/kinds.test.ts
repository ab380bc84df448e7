import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { chromiumPath } from '../support/page.js';
import { arrayOf, goTo, openedReports } from '../support/report-page.js';

// Reports that are not like most.
describe.skipIf(!chromiumPath)('a report', () => {
  const { write, writeText, open, faults } = openedReports();

  test('whose labels and names hold anything shows it as text and runs none of it', async () => {
    const labels = [
      '<img src=x onerror=alert(1)><script>alert(2)</script>',
      'two\nlines\tand a tab',
      'שלום עולם 12',
      'long '.repeat(2000),
      '',
      'plain',
    ];
    const title = '</script><script>alert(3)</script> & <b>bold</b>';
    const { path } = await write('odd', {
      latents: [20],
      dead: 0,
      active: 30,
      labels,
      title,
      rows: 1_000_000,
    });
    const page = await open(path);
    expect(await page.title()).toBe(`Overview · ${title}`);
    expect(await page.locator('#report-title').textContent()).toBe(title);
    await page.getByText('It was looked at with 1,000,000 rows of 50 values: digits.npy.').waitFor();
    await goTo(page, 'latent=5', 'Latent 5');
    const shown = await page.locator('.examples .label').allTextContents();
    expect(shown).toContain(labels[0]);
    expect(shown).toContain(labels[1]);
    expect(await page.locator('.examples').getByText('no label').count()).toBeGreaterThan(0);
    const long = page.locator('.examples details').first();
    expect((await long.locator('summary').innerText()).length).toBeLessThan(260);
    await long.locator('summary').click();
    expect(await long.locator('p').textContent()).toBe(labels[3]);
    const hebrew = page.locator('.examples .label', { hasText: 'שלום' }).first();
    expect(await hebrew.evaluate((label) => getComputedStyle(label).direction)).toBe('rtl');
    expect(
      await page.evaluate(() => document.querySelectorAll('main img, main script, main b script').length),
    ).toBe(0);
    await goTo(page, 'view=latents', 'Latents');
    await page.getByLabel('Search').fill('onerror');
    expect(await page.locator('.found').textContent()).toBe('20 of 20 latents');
    expect(await page.locator('.rows [role=row]').first().innerText()).toContain('<img src=x');
    expect(await page.locator('.rows').innerText()).toContain('no label');
    await page.context().close();
  });

  test('without labels, pictures or a known training has values in their places', async () => {
    const { path, report } = await write('plain', { latents: [40], training: false });
    const page = await open(path);
    for (const absent of ['Training', 'To train it again', 'Facts of the training']) {
      expect(await page.getByRole('heading', { name: absent, exact: true }).count()).toBe(0);
    }
    expect(await page.getByRole('link', { name: 'Compare' }).count()).toBe(0);
    await goTo(page, 'view=compare', 'Overview');
    const latent = Array.from(arrayOf(report, 0, 'density')).findIndex((share) => share > 0);
    await goTo(page, `latent=${latent + 1}`, `Latent ${latent + 1}`);
    const places = arrayOf(report, 0, 'direction_places');
    const bars = await page.locator('.bars li').allInnerTexts();
    expect(bars).toHaveLength(12);
    expect(bars[0]).toContain(`value ${places[latent * 12] + 1}`);
    const row = arrayOf(report, 0, 'example_rows')[latent * 20];
    const [first] = report.rows[1].values.subarray(row * 12);
    expect(await page.locator('.examples .label').first().textContent()).toMatch(
      new RegExp(`^${first + 1}: `),
    );
    await page.context().close();
  });

  test('of one latent that is active for one row, and of dead ones alone, says so', async () => {
    const one = await open(
      (await write('one', { latents: [1], dead: 0, active: 1, labels: 'classes' })).path,
      'latent=1',
    );
    await one.getByText('0.01% (1 row)').waitFor();
    expect(await one.locator('.examples li').count()).toBe(1);
    await one.getByText('There are no others.').waitFor();
    await goTo(one, '', 'Overview');
    await one.context().close();

    const dead = await open((await write('dead', { latents: [10], dead: 1, images: 'colour' })).path);
    await dead.getByText('All latents are dead').waitFor();
    await goTo(dead, 'latent=3', 'Latent 3');
    await dead.getByText('This latent is dead').waitFor();
    await dead.getByText('Red, green and blue').waitFor();
    await goTo(dead, 'view=latents', 'Latents');
    expect(await dead.locator('.rows [role=row]').first().innerText()).toContain('dead');
    await dead.context().close();
  });

  test('runs and styles nothing but itself', async () => {
    const { path } = await write('policy', { latents: [3] });
    const bad =
      '<script>window.bad = 1</script><p id="bad" style="color: red" onclick="window.bad = 2">x</p>';
    const text = readFileSync(path, 'utf8').replace('<body>', `<body>${bad}`);
    const page = await open(writeText('bad.html', text));
    await page.locator('#bad').click();
    expect(
      await page.evaluate(() => [
        Object.hasOwn(window, 'bad'),
        getComputedStyle(document.querySelector('#bad')!).color,
      ]),
    ).toEqual([false, 'rgb(22, 26, 34)']);
    const told = faults.splice(0).join('\n');
    expect(told).toContain('script-src');
    expect(told).toContain('style-src');
    await page.context().close();
  });

  test('that is not whole says so', async () => {
    const { path } = await write('whole', { latents: [30], images: 'grey' });
    const text = readFileSync(path, 'utf8');
    const cut = await open(writeText('cut.html', text.slice(0, text.indexOf('id="model-0"') + 200)));
    expect(await cut.getByRole('alert').textContent()).toMatch(/^This file is not whole/);
    await cut.context().close();
  });
});
