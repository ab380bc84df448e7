import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { builtPage, button, chromiumPath, ready, steps, trained, unchecked } from '../support/page.js';

/** Has Adam's steps be a tenth too long, as wrong-kernel.mjs does. */
const wrongKernel = `{
  const { createShaderModule } = GPUDevice.prototype;
  GPUDevice.prototype.createShaderModule = function (descriptor) {
    const code = descriptor.code.replace('value - record', 'value - 1.1 * record');
    return createShaderModule.call(this, { ...descriptor, code });
  };
}`;
const countDevices = `{
  const { requestDevice } = GPUAdapter.prototype;
  globalThis.devices = 0;
  GPUAdapter.prototype.requestDevice = function (...options) {
    globalThis.devices += 1;
    return requestDevice.apply(this, options);
  };
}`;
/** The checks that the browser keeps as passed. */
const passed = (page: Page) =>
  page.evaluate(() => {
    const kept: Record<string, { passed: string[] }> = JSON.parse(
      localStorage.getItem('webgpu-sae checks') ?? '{}',
    );
    return Object.values(kept).flatMap((each) => each.passed);
  });

describe.skipIf(!chromiumPath)('an adapter that a browser uses for the first time', () => {
  const { open } = builtPage();

  test('is not trained on if it computes wrong answers, and nothing of it is kept', async () => {
    const page = await open({ settings: 'h_dims=6&epochs=1000', before: unchecked + wrongKernel });
    await button(page, 'Train').click();
    const trouble = page
      .getByRole('alert')
      .getByText(
        /computes wrong answers: training kl, 21-13, batches of 15: [^:]*: off by [\d.e-]+, where at most 0.000005 is right\. Nothing is trained on it\. Update its driver or this browser, /,
      );
    await trouble.waitFor();
    await button(page, 'Train').waitFor();
    const before = await steps(page);
    // Neither now nor with a new model, which takes as long again.
    await button(page, 'Dismiss').click();
    await button(page, 'One step').click();
    await trouble.waitFor();
    expect(await steps(page)).toBe(before);
    await button(page, 'Reset').click();
    await trained(page, 0);
    await ready(page);
    await button(page, 'Train').click();
    await trouble.waitFor();
    await trained(page, 0);
    expect(await passed(page)).not.toContain('training kl');
    const kept = await page.evaluate(async () => {
      const folder = await navigator.storage.getDirectory();
      return folder.getFileHandle('training.safetensors').then(
        () => true,
        () => false,
      );
    });
    expect(kept).toBe(false);
  });

  test('is checked once, beside the training', async () => {
    const page = await open({ settings: 'h_dims=6', before: unchecked + countDevices });
    await button(page, 'One step').click();
    await trained(page, 1);
    await expect.poll(() => passed(page), { timeout: 60_000 }).toContain('training kl');
    expect(await page.evaluate('devices')).toBe(2);
    expect(await page.locator('#messages > *').count()).toBe(0);
    await page.reload();
    await ready(page);
    await button(page, 'One step').click();
    await trained(page, 1);
    await page.waitForTimeout(500);
    expect(await page.evaluate('devices')).toBe(1);
  });
});
