import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { standard } from '../../src/web/settings/settings.js';
import { npy, objects, readSafetensors, succeeds, temporaryFolder } from '../cli/sae.js';
import { seededRandom } from '../reference/random.js';
import { reals } from '../support/device.js';
import { firstLosses } from '../support/first-losses.js';
import { long } from '../support/long.js';
import {
  builtPage,
  button,
  chromiumPath,
  drop,
  dropFolder,
  heldBack,
  picture,
  ready,
  saved,
  savedCurves,
  steps,
  trained,
} from '../support/page.js';

/** Waits until the rows are there: a model then waits for the device alone. */
async function digitsShown(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector('#samples canvas')!.getAttribute('width') === '28');
}

describe.skipIf(!chromiumPath)('the page trains', () => {
  const { open, handedOn } = builtPage();
  const folder = temporaryFolder();
  const { h_dims, activation, pre_bias: _, tied: _t, ...training } = standard;

  test('as the CLI and as the engine in Node do, and its model goes to the CLI and back unchanged', async () => {
    // With the tiles that visitors get.
    const page = await open({ before: 'delete globalThis.oneTile' });
    await button(page, 'One epoch').click();
    const rows = 10_000;
    const batches = Math.ceil(rows / training.batch_size);
    await trained(page, batches);
    const curves = await savedCurves(page);
    expect(curves.map(({ step }) => step)).toEqual(Array.from({ length: batches }, (_, i) => i + 1));

    const losses = await firstLosses(standard, 100);
    for (const [i, loss] of losses.entries()) {
      expect(Math.abs(curves[i].loss - loss) / loss, `step ${i + 1}`).toBeLessThan(1e-3);
    }

    const cwd = folder.make();
    if (long) {
      const set = Object.entries({ ...training, epochs: 1 }).filter(([, value]) => value !== undefined);
      const options = set.flatMap(([name, value]) => [`--${name}`, String(value)]);
      const run = [
        '--dataset',
        'mnist-10k',
        '--h_dims',
        JSON.stringify(h_dims),
        ...options,
        '--no-save-plots',
        '--json',
      ];
      const [epoch] = objects(await succeeds(run, { cwd })).filter(({ loss }) => loss !== undefined);
      const mean = curves.reduce((sum, { loss }) => sum + loss, 0) / curves.length;
      expect(Math.abs(mean - Number(epoch.loss)) / mean).toBeLessThan(0.01);
    }

    const fromPage = folder.write('page.safetensors', await saved(page, 'Save model'));
    const again = [
      '--init',
      fromPage,
      '--no-train',
      '--dataset',
      'mnist-10k',
      '--save-model',
      '--no-save-plots',
    ];
    await succeeds([...again, '--quiet'], { cwd });
    const fromCli = join(cwd, 'files/sae.safetensors');
    expect(readSafetensors(fromCli)).toEqual(readSafetensors(fromPage));
    await button(page, 'Reset').click();
    await trained(page, 0);
    await drop(page, { name: 'sae.safetensors', bytes: readFileSync(fromCli) });
    await page.getByText('Opened sae.safetensors').waitFor();
    const back = folder.write('back.safetensors', await saved(page, 'Save model'));
    expect(readSafetensors(back).tensors).toEqual(readSafetensors(fromPage).tensors);

    // It goes on from there: an untrained model's loss is far above.
    await button(page, 'One step').click();
    await trained(page, 1);
    const [first] = await savedCurves(page);
    expect(Math.abs(first.loss / curves[batches - 1].loss - 1)).toBeLessThan(0.1);
  });

  test.runIf(long)(
    'rows of a folder that are more than memory is for are read from it while it trains',
    async () => {
      // A page that thinks it has hardly any memory: 800 rows of 256 bytes in two windows of 32 each.
      const before = "Object.defineProperty(navigator, 'deviceMemory', { value: 2 ** -10 });";
      const page = await open({ settings: 'h_dims=4&lr=0.01&batch_size=16', before });
      // As saev writes it, of two layers. Each value is between 0 and 1 in the first file, between 1 and 2 in the second, and 100
      // in the other layer.
      const acts = folder.make();
      const names = [0, 1].map((n) => `acts00000${n}.bin`);
      for (const [n, name] of names.entries()) {
        const values = reals(seededRandom(n), 400 * 64, 0, 1);
        const both = Float32Array.from({ length: 2 * values.length }, (_, i) => {
          const [row, at] = [Math.floor(i / 128), i % 128];
          return at < 64 ? values[64 * row + at] + n : 100;
        });
        writeFileSync(join(acts, name), both);
      }
      writeFileSync(
        join(acts, 'shards.json'),
        JSON.stringify(names.map((name) => ({ name, n_examples: 400 }))),
      );
      const shape = { layers: [7, 9], content_tokens_per_example: 1, cls_token: false, d_model: 64 };
      const metadata = { ...shape, max_tokens_per_shard: 800, dtype: 'float32' };
      writeFileSync(join(acts, 'metadata.json'), JSON.stringify(metadata));
      await dropFolder(page, acts);
      await page.getByText('has 2 arrays that may be rows; there are 7 (f32 [400, 1, 64]), 9').waitFor();
      await page.getByLabel('Array or column tensor').fill('7');
      await dropFolder(page, acts);
      await page.getByText(/^Opened acts000000\.bin and 1 more file: 800 rows of 64 values/).waitFor();
      await button(page, 'One epoch').click();
      await trained(page, 50);
      expect(await page.locator('#data').textContent()).toMatch(
        /800 rows of 64 values, read from the disk while it trains/,
      );
      const losses = (await savedCurves(page)).map(({ mse }) => mse);
      // Before anything is learned, the mean square of all rows is 4/3, that of the files 1/3 and 7/3: each batch has rows of both.
      expect(losses).toHaveLength(50);
      for (const loss of losses.slice(0, 3)) expect(loss).toBeGreaterThan(0.8);
      for (const loss of losses.slice(0, 3)) expect(loss).toBeLessThan(1.9);
      expect(losses.at(-1)).toBeLessThan(losses[0]);

      await page.getByLabel('Array or column tensor').fill('');
      await dropFolder(page, fileURLToPath(new URL('../fixtures/tables/saved', import.meta.url)));
      await page.getByText('Opened data-00000-of-00002.arrow and 1 more file: 12 rows of 5 values').waitFor();
    },
  );

  test.runIf(long)('draws rows, reconstructions and latents of images in colour', async () => {
    const page = await handedOn('h_dims=6&batch_size=16');
    const values = Uint8Array.from({ length: 32 * 48 }, (_, i) => [250, 10, 20][i % 3]);
    await drop(page, { name: 'red.npy', bytes: npy([32, 4, 4, 3], values) });
    await page.getByText('Opened red.npy: 32 rows of 4 × 4 × 3 values.').waitFor();
    await button(page, 'One step').click();
    await trained(page, 1);
    const pixels = (selector: string) =>
      page.evaluate((place) => {
        const canvas = document.querySelector<HTMLCanvasElement>(place)!;
        const { width, height } = canvas;
        return [
          width,
          height,
          ...canvas.getContext('2d')!.getImageData(0, 0, width, height).data.subarray(0, 8),
        ];
      }, selector);
    const red = [4, 4, 250, 10, 20, 255, 250, 10, 20, 255];
    expect(await pixels('#samples canvas')).toEqual(red);
    await expect.poll(() => pixels('#pad')).toEqual(red);
    for (const place of ['#pad-output', '#latent-decoder']) {
      await expect
        .poll(async () => {
          const [width, height, r, g, b] = await pixels(place);
          return [width, height, r === g && g === b];
        })
        .toEqual([4, 4, false]);
    }
    // A stroke is white, and makes a row of as many values.
    const before = await picture(page, '#pad');
    const { x, y, width, height } = (await page.locator('#pad').boundingBox())!;
    await page.mouse.move(x + width / 2, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x + width / 2 + 2, y + height / 2);
    await page.mouse.up();
    await expect.poll(() => picture(page, '#pad')).not.toBe(before);
    expect(await page.locator('.trouble').count()).toBe(0);
  });

  test('pauses, goes on by a step, and starts over from the same weights', async () => {
    const page = await handedOn('h_dims=6');
    const untrained = await picture(page, '#pad-output');
    await button(page, 'Train').click();
    await page.waitForFunction(() => Number(document.querySelector('#steps-done')!.textContent) > 3);
    await button(page, 'Pause').click();
    await button(page, 'Train').waitFor();
    const paused = await steps(page);
    await page.waitForTimeout(500);
    expect(await steps(page)).toBe(paused);
    await button(page, 'One step').click();
    await trained(page, paused + 1);
    await expect.poll(() => picture(page, '#pad-output')).not.toBe(untrained);
    await button(page, 'Reset').click();
    await trained(page, 0);
    await expect.poll(() => picture(page, '#pad-output')).toBe(untrained);
  });

  test.runIf(long)('takes another learning rate and penalty while it trains', async () => {
    const page = await handedOn('h_dims=6');
    await button(page, 'Train').click();
    await page.waitForFunction(() => Number(document.querySelector('#steps-done')!.textContent) > 2);
    await page.getByLabel('Learning rate lr').fill('0.01');
    await page.getByLabel('Learning rate lr').press('Enter');
    await page.getByRole('slider', { name: 'Sparsity weight, in steps' }).press('End');
    const changed = await steps(page);
    await page.waitForFunction(
      (from) => Number(document.querySelector('#steps-done')!.textContent) > from + 8,
      changed,
    );
    await button(page, 'Pause').click();
    await button(page, 'Train').waitFor();
    const curves = await savedCurves(page);
    expect(curves[0]).toMatchObject({ step: 1, lr: 0.001, sparsity_lambda: 0.1 });
    expect(curves.at(-1)).toMatchObject({ lr: 0.01, sparsity_lambda: 5 });
    expect(curves.map(({ step }) => step)).toEqual(curves.map((_, i) => i + 1));
    expect(page.url()).toContain('lr=0.01&sparsity_lambda=5&');
  });

  test('another kind of sparsity: its fields, its figures, its address, and back', async () => {
    const page = await handedOn('h_dims=6');
    await page.getByLabel('Sparsity sparsity', { exact: true }).selectOption('l1');
    await page.getByLabel('Sparsity target sparsity_target').waitFor({ state: 'hidden' });
    expect(await page.getByLabel('Sparsity weight sparsity_lambda').inputValue()).toBe('4');
    await page.getByLabel('Weighted by decoder norm').uncheck();
    expect(page.url()).toContain(
      'sparsity=l1&lr=0.001&sparsity_lambda=4&reconstruction=sum&encoder_init=decoder_transpose&l1_weighted=false&',
    );
    await button(page, 'One step').click();
    await trained(page, 1);
    await page.locator('#figures').getByText('sparsity_lambda · l1').waitFor();
    expect(await page.locator('#figures').getByText('sparsity_lambda · kl').isVisible()).toBe(false);
    const [curve] = await savedCurves(page);
    // The weight begins at 0.
    expect(curve).toMatchObject({ sparsity_lambda: 0 });
    expect(curve.loss / (784 * curve.mse)).toBeCloseTo(1, 5);
    // A trained model stays; until Reset, what is changed is for the next one.
    await page.getByLabel('Sparsity sparsity', { exact: true }).selectOption('none');
    await page.getByText(/^Changed: .*\bsparsity\b.* Press Reset/).waitFor();
    await page.locator('#figures').getByText('sparsity_lambda · l1').waitFor();
    await button(page, 'Reset').click();
    await page.locator('#figures').getByText('sparsity_lambda · l1').waitFor({ state: 'hidden' });
    expect(await page.getByLabel('Sparsity weight sparsity_lambda').isVisible()).toBe(false);
    await page.goto(page.url().replace('sparsity=none', 'sparsity=l1&l1_weighted=true'));
    await page.getByLabel('Weighted by decoder norm').waitFor();
    expect(await page.getByLabel('Weighted by decoder norm').isChecked()).toBe(true);
    await page.goto(page.url().replace('sparsity=l1', 'sparsity=kl'));
    await page.getByRole('alert').getByText('l1_weighted is an option of sparsity l1').waitFor();
  });

  test.runIf(long)(
    'one epoch is one epoch, with its own time left, also where the epochs to train are changed meanwhile',
    async () => {
      const page = await handedOn('h_dims=6&epochs=1000');
      // By the page itself: from here the epoch may be over before a field is changed.
      const [left, done] = await page.evaluate(
        () =>
          new Promise<string[]>((resolve) => {
            const left = document.querySelector('#time-left')!;
            new MutationObserver((_, observer) => {
              if (left.textContent === '–') return;
              observer.disconnect();
              resolve([left.textContent!, document.querySelector('#steps-done')!.textContent!]);
              const field = document.querySelector<HTMLInputElement>('#epochs')!;
              field.value = '500';
              field.dispatchEvent(new Event('change'));
            }).observe(left, { childList: true, characterData: true, subtree: true });
            document.querySelector<HTMLButtonElement>('#epoch')!.click();
          }),
      );
      expect(left).toMatch(/^0:/);
      expect(Number(done)).toBeLessThan(157);
      await trained(page, 157);
      expect(await page.locator('#epochs-done').textContent()).toBe('1.0 of 500');
    },
  );

  test.runIf(long)(
    'reproduces a run from its address, with what was changed while the model was being made',
    async () => {
      // One model is made of all that is changed before there is a device.
      const page = await open({ before: heldBack, device: false });
      await digitsShown(page);
      const set = async (fields: Record<string, string>) => {
        for (const [label, value] of Object.entries(fields)) {
          await page.getByLabel(label).fill(value);
          await page.getByLabel(label).press('Enter');
        }
      };
      const fields = { 'Hidden sizes h_dims': '12, 6', 'Batch size batch_size': '32', 'Seed seed': '7' };
      await set(fields);
      await page.getByLabel('Activation activation').selectOption('sigmoid');
      const live = { 'Learning rate lr': '0.02', 'Epochs to train epochs': '3' };
      await set(live);
      const train = async () => {
        await page.evaluate('release()');
        await ready(page);
        expect(await page.locator('#epochs-done').textContent()).toBe('0.0 of 3');
        for (let step = 1; step <= 3; step++) {
          await button(page, 'One step').click();
          await trained(page, step);
        }
        return savedCurves(page);
      };
      await page.waitForFunction(() => location.hash.includes('epochs=3'));
      const before = await train();
      expect(before).toMatchObject([1, 2, 3].map((step) => ({ step, lr: 0.02 })));
      // What needs no new model is another in the address, and changed back while the model is being made.
      const others = { 'Learning rate lr': '0.5', 'Epochs to train epochs': '7' };
      await set(others);
      await page.reload();
      for (const [label, value] of Object.entries({ ...fields, ...others })) {
        expect(await page.getByLabel(label).inputValue()).toBe(value);
      }
      expect(await page.getByLabel('Activation activation').inputValue()).toBe('sigmoid');
      await digitsShown(page);
      await set(live);
      expect(await train()).toEqual(before);
    },
  );

  test.runIf(long)('says what needs a new model, and keeps the one at hand until then', async () => {
    const page = await handedOn('h_dims=6');
    await button(page, 'One step').click();
    await trained(page, 1);
    await page.getByLabel('Hidden sizes h_dims').fill('12');
    await page.getByLabel('Hidden sizes h_dims').press('Enter');
    await page.getByText('Changed: h_dims. Press Reset to start over with the changes.').waitFor();
    expect(await page.getByRole('radio', { name: /^Latent/ }).count()).toBe(6);
    await page.getByLabel('Batch size batch_size').fill('none');
    await page.getByLabel('Batch size batch_size').press('Enter');
    await page.getByText('batch_size must be a whole number of at least 1, and is "none".').waitFor();
    await button(page, 'Reset').click();
    await expect.poll(() => page.getByRole('radio', { name: /^Latent/ }).count()).toBe(12);
    expect(await steps(page)).toBe(0);
  });
});
