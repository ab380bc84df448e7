import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { violations } from '../support/axe.js';
import {
  builtPage,
  button,
  chromiumPath,
  heldBack,
  savedCurves,
  savedPicture,
  steps,
  trained,
} from '../support/page.js';

/** Pixels of the saved curves that have the colour of the loss, which the style sheet calls --loss. */
async function inkOf(page: Page): Promise<number> {
  const { data } = await savedPicture(page, 'Save loss curves as PNG');
  let count = 0;
  for (let at = 0; at < data.length; at += 3) {
    if (data[at] === 0 && data[at + 1] === 103 && data[at + 2] === 168) count += 1;
  }
  return count;
}

describe.skipIf(!chromiumPath)('a first visit', () => {
  const { open } = builtPage();

  test('takes Train at once, says what it waits for, lets it be cancelled, and keeps a finished run beside the next', async () => {
    const page = await open({
      settings: 'h_dims=8&epochs=1&batch_size=500',
      before: heldBack,
      device: false,
    });
    const status = page.locator('#announcement');
    await page.getByText('Compiling the kernels. Train can be pressed already.').waitFor();
    for (const name of ['One step', 'One epoch']) {
      expect(await button(page, name).isEnabled()).toBe(true);
    }
    expect(await button(page, 'Reset').isEnabled()).toBe(false);
    await button(page, 'Train').press('Enter');
    await page.getByText('Training begins once the kernels are compiled.').waitFor();
    await button(page, 'Cancel').press('Enter');
    await page.getByText('Compiling the kernels. Train can be pressed already.').waitFor();
    // Once is enough: the request that was cancelled does not count.
    await button(page, 'Train').press('Enter');
    expect(await page.evaluate(() => document.activeElement!.id)).toBe('train');
    expect(await page.locator('#steps-done').textContent()).toBe('0');
    await page.evaluate('release()');
    await page.getByText(/^Paused at step 20, loss/).waitFor();
    expect(await steps(page)).toBe(20);
    expect(await savedCurves(page)).toHaveLength(20);
    expect(await status.getAttribute('role')).toBe('status');

    // The run stays beside the next one, of another kind.
    const row = (id: string) => page.locator(`#${id} > *`).allInnerTexts();
    const figures = async () =>
      Promise.all(
        ['steps-done', 'loss', 'mse', 'explained-variance'].map((id) => page.locator(`#${id}`).innerText()),
      );
    const first = await figures();
    await button(page, 'Keep run').press('Enter');
    expect((await row('kept-run')).slice(0, 5)).toEqual([
      'kept: kl, 8 latents, seed 42, mnist-10k',
      ...first,
    ]);
    await page.getByLabel('Sparsity sparsity', { exact: true }).selectOption('none');
    await page.getByLabel('Seed seed').fill('7');
    await page.getByLabel('Seed seed').press('Enter');
    await button(page, 'Reset').click();
    await expect.poll(() => steps(page)).toBe(0);
    await button(page, 'One step').click();
    await trained(page, 1);
    const second = await figures();
    await expect
      .poll(async () => (await row('current-run')).slice(0, 5))
      .toEqual(['now: none, 8 latents, seed 7, mnist-10k', ...second]);
    expect((await row('kept-run')).slice(0, 5)).toEqual([
      'kept: kl, 8 latents, seed 42, mnist-10k',
      ...first,
    ]);
    await expect
      .poll(() => page.locator('#curves').getAttribute('aria-label'))
      .toMatch(
        /^Curves by step\. This run, at step 1: loss .*The kept run, kl, 8 latents, seed 42, mnist-10k, at step 20: loss .*kl/,
      );
    for (const [colorScheme, width] of [
      ['light', 320],
      ['dark', 1280],
    ] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height: 800 });
      expect(await violations(page), colorScheme).toEqual([]);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
    }
    await page.emulateMedia({ colorScheme: 'light' });
    const both = await inkOf(page);
    await button(page, 'Forget it').press('Enter');
    expect(await page.locator('#runs').isVisible()).toBe(false);
    expect(await page.evaluate(() => document.activeElement!.id)).toBe('keep-run');
    // Of the current one there is a point of each curve, of the other one a line through rings.
    const alone = await inkOf(page);
    expect(alone).toBeGreaterThan(20);
    expect(both).toBeGreaterThan(5 * alone);
  });
});
