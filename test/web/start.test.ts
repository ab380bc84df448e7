import { describe, expect, test } from 'vitest';
import { builtPage, button, chromiumPath, savedCurves, steps } from '../support/page.js';

/** Has the page wait for its device until `release` is called in it. */
const heldBack = `{
  const { requestDevice } = GPUAdapter.prototype;
  const released = new Promise((resolve) => { globalThis.release = resolve; });
  GPUAdapter.prototype.requestDevice = async function (...options) {
    await released;
    return requestDevice.apply(this, options);
  };
}`;

describe.skipIf(!chromiumPath)('the page, before there is a model', () => {
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
  });
});
