import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { npy } from '../cli/sae.js';
import { long } from '../support/long.js';
import {
  builtPage,
  button,
  chromiumPath,
  drop,
  ready,
  savedCurves,
  steps,
  trained,
} from '../support/page.js';

/** Where the page is as a tab that was opened again. */
async function again(page: Page): Promise<Page> {
  const context = page.context();
  const url = page.url();
  // Nothing is told to it.
  await page.close({ runBeforeUnload: false });
  const next = await context.newPage();
  next.setDefaultTimeout(60_000);
  await next.goto(url);
  await ready(next);
  return next;
}

/** Ends the process of a page as a fault does. */
async function crash(page: Page): Promise<void> {
  const crashed = page.waitForEvent('crash');
  const session = await page.context().newCDPSession(page);
  // It answers nothing any more.
  session.send('Page.crash').catch(() => {});
  await crashed;
}

/** Waits until the browser has kept a training after so many steps. */
const kept = (page: Page, steps: number) =>
  expect
    .poll(
      () =>
        page.evaluate(async () => {
          try {
            const folder = await navigator.storage.getDirectory();
            const file = await (await folder.getFileHandle('training.safetensors')).getFile();
            return /"done\\":(\d+)/.exec(await file.slice(0, 100_000).text())?.[1];
          } catch {
            return undefined;
          }
        }),
      { timeout: 20_000 },
    )
    .toBe(`${steps}`);

describe.skipIf(!chromiumPath)('a training whose tab was closed or has crashed', () => {
  const { open } = builtPage();
  const offer = (page: Page) => page.locator('#messages .kept');

  test.runIf(long)('goes on from where it was, with the same losses as one that was not', async () => {
    const settings = 'h_dims=8&seed=3&epochs=5';
    const whole = await open({ settings });
    for (const epochs of [1, 2]) {
      await button(whole, 'One epoch').click();
      await trained(whole, epochs * 157);
    }
    const expected = await savedCurves(whole);

    const first = await open({ settings });
    expect(await offer(first).count()).toBe(0);
    await button(first, 'One epoch').click();
    await trained(first, 157);
    await kept(first, 157);
    const page = await again(first);
    expect(await offer(page).locator('span').textContent()).toBe(
      'This browser has kept your last training: 784-8-784 on mnist-10k, after 157 steps.',
    );
    await button(page, 'Go on with it').click();
    await page.getByText('The training goes on after step 157. Press Train.').waitFor();
    expect(await page.locator('#steps-done').textContent()).toBe('157');
    await button(page, 'One epoch').click();
    await trained(page, 314);
    expect(await savedCurves(page)).toEqual(expected);

    // Another tab beside it is not offered it, and does not write over it.
    const other = await page.context().newPage();
    await other.goto(page.url());
    await ready(other);
    expect(await offer(other).count()).toBe(0);
    await other.close();

    // Who does not want it is not asked again.
    const third = await again(page);
    await button(third, 'Forget it').click();
    const fourth = await again(third);
    expect(await offer(fourth).count()).toBe(0);
  });

  test.runIf(long)('goes on after a crash while it trained with what was kept until then', async () => {
    const first = await open({ settings: 'h_dims=4&epochs=100000' });
    await button(first, 'One epoch').click();
    await trained(first, 157);
    await kept(first, 157);
    await button(first, 'Train').click();
    await first.waitForFunction(() => !/^(157)?$/.test(document.querySelector('#steps-done')!.textContent!));
    await crash(first);
    const page = await again(first);
    const after = await offer(page).locator('span').textContent();
    expect(after).toMatch(
      /^This browser has kept your last training: 784-4-784 on mnist-10k, after [\d,]+ steps\.$/,
    );
    await button(page, 'Go on with it').click();
    await page.getByText(/^The training goes on after step [\d,]+\. Press Train\./).waitFor();
    const done = await steps(page);
    expect(done).toBeGreaterThanOrEqual(157);
    await button(page, 'One step').click();
    await trained(page, done + 1);
  });

  test('on rows of the visitor’s own goes on when these are opened again, and no others', async () => {
    const values = Float32Array.from({ length: 300 * 6 }, (_, i) => Math.sin(i * i));
    const own = { name: 'own.npy', bytes: npy([300, 6], values) };
    const others = {
      name: 'others.npy',
      bytes: npy(
        [300, 6],
        values.map((value) => -value),
      ),
    };
    const first = await open({ settings: 'h_dims=4&batch_size=10' });
    await drop(first, own);
    await first.getByText('Opened own.npy').waitFor();
    await button(first, 'One epoch').click();
    await trained(first, 30);
    await kept(first, 30);
    await crash(first);
    const page = await again(first);
    await button(page, 'Go on with it').click();
    await page.getByText('Open own.npy again, as then: the training goes on with its rows.').waitFor();
    await drop(page, others);
    await page.getByText('Opened others.npy').waitFor();
    await drop(page, own);
    await page.getByText('The training goes on after step 30. Press Train.').waitFor();
    expect(await page.locator('#steps-done').textContent()).toBe('30');
    expect(await page.locator('#data').textContent()).toContain('own.npy: 300 rows');
  });
});
