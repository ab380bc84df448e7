import { describe, expect, test } from 'vitest';
import { npy } from '../cli/sae.js';
import { builtPage, button, chromiumPath, drop } from '../support/page.js';

describe.skipIf(!chromiumPath)('the page in a long training', () => {
  const { open, memory } = builtPage();

  test('memory stays where it is, from step 500 to step 5,000', async () => {
    const page = await open({ settings: 'h_dims=4&batch_size=16' });
    const rows = new Uint8Array(4000 * 64).map((_, i) => (i * 2654435761) >>> 24);
    await drop(page, { name: 'rows.npy', bytes: npy([4000, 64], rows) });
    await page.getByText('Opened rows.npy').waitFor();
    await page.getByLabel('Epochs to train epochs').fill('1000');
    await page.getByLabel('Epochs to train epochs').press('Enter');
    const devtools = await page.context().newCDPSession(page);
    const reach = async (count: number) => {
      await page.waitForFunction(
        (count) => Number(document.querySelector('#steps-done')!.textContent!.replaceAll(',', '')) >= count,
        count,
        { timeout: 110_000 },
      );
      await devtools.send('HeapProfiler.collectGarbage');
      return { processes: await memory(), device: await page.locator('#memory').textContent() };
    };
    await button(page, 'Train').click();
    const before = await reach(500);
    const after = await reach(5000);
    expect(
      after.processes / before.processes,
      `${before.processes} KiB, then ${after.processes}`,
      // 0.97 to 0.98 alone; beside other tests it was 1.03 once. 3 KB a step would be 1.06.
    ).toBeLessThan(1.05);
    // Showing the latents takes some for a moment, at either of the two.
    const least = [before.device, after.device].toSorted()[0];
    await expect.poll(() => page.locator('#memory').textContent(), { timeout: 20_000 }).toBe(least);
  });
});
