import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { standard } from '../../src/web/settings/settings.js';
import { readSafetensors, temporaryFolder } from '../cli/sae.js';
import { firefoxPath, launchFirefox } from '../support/firefox.js';
import { firstLosses } from '../support/first-losses.js';
import { builtPage, button, picture, saved, savedCurves, trained } from '../support/page.js';

/** What a canvas shows once it has stopped changing. */
async function atRest(page: Page, selector: string): Promise<string> {
  let before = '';
  for (;;) {
    const now = await picture(page, selector);
    if (now === before) {
      return now;
    }
    before = now;
    await page.waitForTimeout(500);
  }
}

describe.skipIf(!firefoxPath)('the page in Firefox', () => {
  const { open } = builtPage(launchFirefox, '');
  const folder = temporaryFolder();

  // With nothing in Mesa's cache, compilation alone takes half a minute, and several times that on a busy machine.
  test('trains as the engine in Node does, draws, switches a latent off, saves a model and opens it', {
    timeout: 400_000,
  }, async () => {
    const page = await open({ settings: 'h_dims=6&batch_size=100&epochs=1' });
    expect(await page.locator('#adapter').textContent()).toMatch(
      /^a (software adapter|GPU) that Firefox does not name$/,
    );

    await button(page, 'Train').click();
    await trained(page, 100, 300_000);
    const curves = await savedCurves(page);
    expect(curves).toHaveLength(100);
    const losses = await firstLosses({ ...standard, h_dims: [6], batch_size: 100 }, 100);
    for (const [i, loss] of losses.entries()) {
      expect(Math.abs(curves[i].loss / loss - 1), `step ${i + 1}`).toBeLessThan(1e-3);
    }

    // A stroke down the middle of the pad.
    await button(page, 'Clear').click();
    const blank = await picture(page, '#pad');
    const { x, y, width, height } = (await page.locator('#pad').boundingBox())!;
    await page.mouse.move(x + width / 2, y + height / 5);
    await page.mouse.down();
    await page.mouse.move(x + width / 2, y + (height * 4) / 5, { steps: 5 });
    await page.mouse.up();
    expect(await picture(page, '#pad')).not.toBe(blank);
    const latent = page.getByRole('checkbox', { name: /^Latent/ }).first();
    await latent.waitFor();

    const drawn = await atRest(page, '#pad-output');
    await latent.uncheck();
    await expect.poll(() => picture(page, '#pad-output')).not.toBe(drawn);
    await button(page, 'Undo changes').click();
    await expect.poll(() => picture(page, '#pad-output')).toBe(drawn);

    const model = folder.write('sae.safetensors', await saved(page, 'Save model'));
    await button(page, 'Reset').click();
    await trained(page, 0);
    await expect.poll(() => picture(page, '#pad-output')).not.toBe(drawn);
    await page.locator('#open').setInputFiles(model);
    await page.getByText('Opened sae.safetensors').waitFor();
    const again = folder.write('again.safetensors', await saved(page, 'Save model'));
    expect(readSafetensors(again).tensors).toEqual(readSafetensors(model).tensors);
  });
});
