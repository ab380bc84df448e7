import { describe, expect, test } from 'vitest';
import { violations } from '../support/axe.js';
import { firefoxPath, launchFirefox } from '../support/firefox.js';
import { arrayOf, goTo, openedReports } from '../support/report-page.js';

describe.skipIf(!firefoxPath)('a report in Firefox', () => {
  const { write, open } = openedReports(launchFirefox);

  test('opens, is walked with keys, draws pictures, and axe finds nothing', async () => {
    const { path, report } = await write('two', { latents: [120, 90], images: 'grey', labels: 'classes' });
    const page = await open(path);
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('l');
    await page.getByRole('heading', { level: 1, name: /^Latents of/ }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press('/');
    await page.keyboard.type('120');
    await page.keyboard.press('Enter');
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Latent 120 of' }).waitFor();
    expect(await violations(page)).toEqual([]);
    const drawn = () =>
      page
        .locator('.direction canvas')
        .evaluate(
          (canvas) =>
            new Set((canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, 28, 28).data).size,
        );
    await expect.poll(drawn).toBeGreaterThan(20);
    await page.goBack();
    expect(await page.getByLabel('Search').inputValue()).toBe('120');
    await goTo(page, 'view=compare', 'Compare models');
    const density = arrayOf(report, 0, 'density');
    const cosines = arrayOf(report, 0, 'match_1_cosines');
    const shared = Array.from(density).filter((share, i) => share > 0 && cosines[i] >= 0.7).length;
    expect(await page.getByRole('grid').getAttribute('aria-rowcount')).toBe(String(shared + 1));
    expect(await violations(page)).toEqual([]);
  });
});
