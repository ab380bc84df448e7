import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { bytes, idx, npy } from '../cli/sae.js';
import { few, long } from '../support/long.js';
import {
  builtPage,
  button,
  chromiumPath,
  drop,
  launchChromium,
  oneTile,
  ready,
  saved,
  savedCurves,
  steps,
  trained,
} from '../support/page.js';
import { makeReport, reportBytes } from '../support/report.js';

const fixture = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../fixtures/data/${name}`, import.meta.url)));

/** A page's own PNG of so many pixels, whose left half is of a colour. */
function png(page: Page, width: number, height: number, colour = 'black'): Promise<Uint8Array> {
  return page
    .evaluate(
      async ([width, height, colour]) => {
        const canvas = new OffscreenCanvas(width, height);
        const context = canvas.getContext('2d')!;
        context.fillStyle = colour;
        context.fillRect(0, 0, width / 2, height);
        return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
      },
      [width, height, colour] as const,
    )
    .then((values) => Uint8Array.from(values));
}

/** Has the page keep its devices, so that a test can destroy them. */
const keepDevices = `{
  const { requestDevice } = GPUAdapter.prototype;
  globalThis.opened = [];
  GPUAdapter.prototype.requestDevice = async function (...options) {
    const device = await requestDevice.apply(this, options);
    opened.push(device);
    return device;
  };
}`;

describe.skipIf(!chromiumPath)('the page in trouble', () => {
  const { open, handedOn } = builtPage(launchChromium, oneTile + keepDevices);

  /** A page whose only device so far is the one that it has. */
  async function withDevice(settings: string): Promise<Page> {
    const page = await handedOn(settings);
    await page.evaluate('opened.splice(0, opened.length - 1); 0');
    return page;
  }

  test('an address that asks for what cannot be is told so, and the rest of it holds', async () => {
    // The first page of the file, which is handed on.
    const page = await handedOn('dataset=iris&h_dims=6&lr=fast&activation=tanh&seed=5');
    await page
      .getByRole('alert')
      .getByText(
        'dataset must be mnist-10k or words-10k, and is "iris". activation must be relu or sigmoid, and is "tanh". lr must be a number above 0, and is "fast".',
      )
      .waitFor();
    await ready(page);
    expect(await page.getByLabel('Seed seed').inputValue()).toBe('5');
    expect(await page.getByLabel('Learning rate lr').inputValue()).toBe('0.001');
  });

  test('says what is wrong with each wrong file, and loses nothing', async () => {
    const page = await handedOn('h_dims=6');
    await button(page, 'One step').click();
    await trained(page, 1);
    const model = await saved(page, 'Save model');
    const image = await png(page, 4, 4);
    const report = await reportBytes(await makeReport({ latents: [6] }));
    const wrong: [RegExp, ...Parameters<typeof drop>[1][]][] = [
      [
        /^notes.md is neither a .npy, .* nor a .tsv file/,
        { name: 'notes.md', bytes: Buffer.from('some words') },
      ],
      [
        /^two.txt has 2 labels, and mnist-10k 10,000 rows; expected a label for each row\.$/,
        { name: 'two.txt', bytes: Buffer.from('some\nwords') },
      ],
      [
        /^a.txt and b.jsonl both have labels; expected one file of them/,
        { name: 'rows.npy', bytes: npy([2, 2], bytes(4)) },
        { name: 'a.txt', bytes: Buffer.from('some\nwords') },
        { name: 'b.jsonl', bytes: Buffer.from('"some"\n"words"') },
      ],
      [
        /^all.safetensors is a model, and is opened by itself/,
        { name: 'all.safetensors', bytes: model },
        { name: 'two.txt', bytes: Buffer.from('some\nwords') },
      ],
      [
        /^page.html is a page by itself, and no report of this program: open it in a tab of the browser\.$/,
        { name: 'page.html', bytes: Buffer.from('<!doctype html>') },
      ],
      [
        /^cut.html is a report that is damaged: its block model-0 is missing\. Copy it once more\.$/,
        { name: 'cut.html', bytes: report.subarray(0, report.indexOf('id="model-0"')) },
      ],
      [
        /^one.html is a page, and is opened by itself\. Open it alone\.$/,
        { name: 'one.html', bytes: report },
        { name: 'two.txt', bytes: Buffer.from('some\nwords') },
      ],
      [/^nothing.npy is empty/, { name: 'nothing.npy', bytes: Buffer.alloc(0) }],
      [/^nan.npy has NaN at row 1, column 2/, { name: 'nan.npy', bytes: fixture('wrong/nan.npy') }],
      [/^labels has 1 dimension/, { name: 'labels', bytes: idx([3], bytes(3)) }],
      [
        /^cut.npy claims 8 rows .* The file is truncated/,
        { name: 'cut.npy', bytes: npy([8, 4], bytes(32)).subarray(0, 150) },
      ],
      [
        /^table.csv, line 2, field 1, is "x"; expected a finite number/,
        { name: 'table.csv', bytes: Buffer.from('1,2\nx,4\n') },
      ],
      [/^two.npz has 2 arrays that may be rows/, { name: 'two.npz', bytes: fixture('two.npz') }],
      [
        /^cut.gz is (truncated|damaged)/,
        { name: 'cut.gz', bytes: fixture('images.idx3-ubyte.gz').subarray(0, 30) },
      ],
      [
        // Refused by its header: nothing of what it claims is unpacked or allocated.
        /^bomb.npy.gz claims 3,000,000 rows of 1,000 .* bytes; at most 1,073,741,824 are accepted here/,
        { name: 'bomb.npy.gz', bytes: gzipSync(npy([3_000_000, 1000], randomBytes(4_000_000))) },
      ],
      [
        /^half.safetensors is not a model that can be read/,
        { name: 'half.safetensors', bytes: model.subarray(0, 2000) },
      ],
      [
        /^cat.png is not an image that this browser can read/,
        { name: 'cat.png', type: 'image/png', bytes: bytes(50) },
      ],
      [
        /^big.png has 5 x 4 pixels .* expected images of one size/,
        { name: 'small.png', type: 'image/png', bytes: image },
        { name: 'big.png', type: 'image/png', bytes: await png(page, 5, 4) },
      ],
      [
        /^small.png is an image, and a file of rows was expected/,
        { name: 'small.png', type: 'image/png', bytes: image },
        { name: 'notes.md', bytes: bytes(9) },
      ],
      [/^What was dropped is not a file/],
    ];
    for (const [sentence, ...files] of few(wrong, 3)) {
      await drop(page, ...files);
      await page.getByRole('alert').getByText(sentence).waitFor();
      await button(page, 'Dismiss').click();
    }
    expect(await steps(page)).toBe(1);
    expect(await saved(page, 'Save model')).toEqual(model);
    expect(await page.locator('#data').textContent()).toMatch(/^mnist-10k: 10,000 rows/);
  });

  test.runIf(long)('a model for other rows is refused, until there are such rows', async () => {
    const page = await handedOn('h_dims=6');
    await drop(page, {
      name: 'rows.npy',
      bytes: npy(
        [20, 16],
        new Float32Array(320).map((_, i) => Math.sin(i)),
      ),
    });
    await page.getByText('Opened rows.npy: 20 rows of 16 values.').waitFor();
    await page.waitForFunction(
      () => document.querySelector('#samples canvas')!.getAttribute('width') === '16',
    );
    // A square number of floats makes no image.
    await page
      .getByText(
        'rows.npy: 20 rows of 16 values. They are drawn as strips; a file of 8-bit [rows, height, width] is',
      )
      .waitFor();
    // Large, so that it would show in the figure of memory if it stayed on the device.
    const hidden = page.getByLabel('Hidden sizes h_dims');
    await hidden.fill('3000');
    await hidden.press('Enter');
    await page.getByText('1 to 100 of 3000').waitFor();
    await button(page, 'One epoch').click();
    await trained(page, 1);
    const model = await saved(page, 'Save model');
    await hidden.fill('6');
    await hidden.press('Enter');
    await page.getByLabel('Data set dataset').selectOption('mnist-10k');
    await page.getByText('Changed: h_dims, the data.').waitFor();
    await button(page, 'Reset').click();
    await trained(page, 0);
    const memory = async () => Number.parseFloat((await page.locator('#memory').textContent())!);
    const before = await memory();
    for (let time = 1; time <= 6; time++) {
      await drop(page, { name: 'sixteen.safetensors', bytes: model });
      await page
        .getByRole('alert')
        .getByText('The rows of mnist-10k have 784 values, and the model takes 16.')
        .waitFor();
    }
    // MiB: six such models have more than two, and showing the latents takes less than one.
    expect((await memory()) - before).toBeLessThan(1.5);
    await button(page, 'One step').click();
    await trained(page, 1);
  });

  test.runIf(long)('a set of images becomes rows', async () => {
    const page = await handedOn('h_dims=6');
    const image = { type: 'image/png', bytes: await png(page, 6, 5) };
    await drop(
      page,
      { name: 'a.png', ...image },
      { name: 'what.txt', bytes: Buffer.from('one\ntwo\nthree') },
      { name: 'b.png', ...image },
      { name: 'c.png', ...image },
    );
    await page.getByText('Opened 3 images: 3 rows of 5 × 6 values, with labels.').waitFor();
    await page.waitForFunction(
      () => document.querySelector('#samples canvas')!.getAttribute('width') === '6',
    );
    const captions = await page.locator('#samples figure:has(canvas:visible) figcaption').allTextContents();
    expect(captions.toSorted()).toEqual(['one', 'three', 'two']);
    await button(page, 'One epoch').click();
    await trained(page, 1);

    // One in colour makes colours of all.
    await drop(
      page,
      { name: 'red.png', type: 'image/png', bytes: await png(page, 6, 5, 'rgb(200, 40, 10)') },
      { name: 'grey.png', ...image },
    );
    await page.getByText('Opened 2 images: 2 rows of 5 × 6 × 3 values.').waitFor();
    await button(page, 'Reset').click();
    await expect.poll(() => steps(page)).toBe(0);
    const pixels = () =>
      page.evaluate(() => {
        const context = new OffscreenCanvas(6, 5).getContext('2d', { willReadFrequently: true })!;
        return [...document.querySelectorAll<HTMLCanvasElement>('#samples canvas')].flatMap((canvas) => {
          context.drawImage(canvas, 0, 0);
          return [0, 5].map((x) => context.getImageData(x, 0, 1, 1).data.join());
        });
      });
    await expect
      .poll(pixels)
      .toEqual(expect.arrayContaining(['200,40,10,255', '0,0,0,255', '255,255,255,255']));
    await button(page, 'One epoch').click();
    await trained(page, 1);
  });

  test('a destroyed device is opened again, and training goes on from the last snapshot', async () => {
    const page = await withDevice('h_dims=6&epochs=1000');
    const destroy = () => page.evaluate('opened.at(-1).destroy()');
    await button(page, 'One step').click();
    await trained(page, 1);
    const model = await saved(page, 'Save model');
    // While nothing is going on.
    await destroy();
    await page
      .getByText('The graphics device was lost. It is open again, and the model is as it was after step 1.')
      .waitFor();
    expect(await saved(page, 'Save model')).toEqual(model);
    // While it trains.
    await button(page, 'Train').click();
    await page.waitForFunction(() => Number(document.querySelector('#steps-done')!.textContent) > 4);
    // A copy of the model is made every four seconds: they pass at once. It is there some steps later.
    await page.evaluate(`{
      const { now } = Performance.prototype;
      Performance.prototype.now = function () { return now.call(this) + 5000; };
    }`);
    const copied = (await steps(page)) + 100;
    await page.waitForFunction(
      (least) => Number(document.querySelector('#steps-done')!.textContent!.replaceAll(',', '')) > least,
      copied,
    );
    await page.waitForTimeout(500);
    await destroy();
    const news = page.getByText(/It is open again, and training goes on from step [\d,]+\./);
    const from = Number(/step ([\d,]+)/.exec((await news.textContent())!)![1].replaceAll(',', ''));
    expect(from).toBeGreaterThan(1);
    await page.waitForFunction(
      (least) => Number(document.querySelector('#steps-done')!.textContent!.replaceAll(',', '')) > least,
      Math.max(from, await steps(page)) + 3,
    );
    await button(page, 'Pause').click();
    expect(await page.evaluate('opened.length')).toBe(3);
  });

  test.runIf(long)(
    'a device that is destroyed just before Train or Reset is opened again once, and does what was asked',
    async () => {
      const page = await withDevice('h_dims=6');
      const untrained = await saved(page, 'Save model');
      await button(page, 'One step').click();
      await trained(page, 1);
      await page.evaluate("opened.at(-1).destroy(); document.querySelector('#train').click()");
      await page.getByText('It is open again, and training goes on from step 1.').waitFor();
      await page.waitForFunction(() => Number(document.querySelector('#steps-done')!.textContent) > 4);
      await button(page, 'Pause').click();
      await button(page, 'Train').waitFor();
      expect(await page.evaluate('opened.length')).toBe(2);

      await page.evaluate("opened.at(-1).destroy(); document.querySelector('#reset').click()");
      await trained(page, 0);
      expect(await saved(page, 'Save model')).toEqual(untrained);
      await button(page, 'One step').click();
      await trained(page, 1);
      expect(await page.evaluate('opened.length')).toBe(3);
      expect(await page.locator('.trouble').count()).toBe(0);
    },
  );

  test.runIf(long)(
    'a device that is lost before the first copy of a model is made has it made again',
    async () => {
      const page = await open({ settings: 'h_dims=6' });
      const untrained = await saved(page, 'Save model');
      // As of a large model, copies of the weights are still under way when the device is lost.
      await page.evaluate(`{
      const { mapAsync } = GPUBuffer.prototype;
      GPUBuffer.prototype.mapAsync = function (...options) {
        const own = mapAsync.apply(this, options);
        if (this.size < 6 * 784 * 4 || this.size > 8 * 784 * 4) return own;
        own.catch(() => {});
        return opened.at(-1).lost.then(() => { throw new DOMException('lost'); });
      };
      globalThis.undo = () => { GPUBuffer.prototype.mapAsync = mapAsync; };
    }`);
      await button(page, 'Reset').click();
      await trained(page, 0);
      await page.waitForTimeout(500);
      await page.evaluate('undo(); opened.at(-1).destroy()');
      await page
        .getByText('The graphics device was lost. It is open again, and the model is as it was after step 0.')
        .waitFor();
      expect(await saved(page, 'Save model')).toEqual(untrained);
      await button(page, 'One step').click();
      await trained(page, 1);
    },
  );

  test.runIf(long)(
    'a loss that is not finite ends training, which goes on from the last copy with another learning rate',
    async () => {
      const page = await handedOn('h_dims=6&lr=1e30');
      await button(page, 'One epoch').click();
      await page
        .getByRole('alert')
        .getByText(/^The loss stopped being finite in epoch 1 .* Train goes on from step 0\.$/)
        .waitFor();
      await trained(page, 0);
      await page.getByLabel('Learning rate lr').fill('0.001');
      await page.getByLabel('Learning rate lr').press('Enter');
      await button(page, 'One step').click();
      await trained(page, 1);
      const resumed = await savedCurves(page);
      expect(resumed).toMatchObject([{ step: 1, lr: 0.001 }]);
      // As a new model.
      await button(page, 'Reset').click();
      await trained(page, 0);
      await button(page, 'One step').click();
      await trained(page, 1);
      expect(await savedCurves(page)).toEqual(resumed);
    },
  );

  test.runIf(long)('a device that has failed, but is not lost, is opened again with Reset', async () => {
    const page = await withDevice('h_dims=6');
    // All is measured and drawn: what follows comes after the first step.
    await expect.poll(() => page.locator('#dead').textContent()).toMatch(/ of 6$/);
    await page.waitForTimeout(500);
    // As where there was no memory for something; the engine does not trust such a device any more.
    await page.evaluate(`{
      const error = new GPUValidationError('for a test');
      opened.at(-1).dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error }));
    }`);
    // The drawings, too, fail on it, and find out only after Reset that the device is on its way out.
    await page.evaluate(`{
      const { destroy } = GPUDevice.prototype;
      GPUDevice.prototype.destroy = function () { setTimeout(() => destroy.call(this), 500); };
      globalThis.troubles = [];
      const observer = new MutationObserver(() => {
        const trouble = document.querySelector('.trouble span');
        if (trouble && troubles.push(trouble.textContent) === 1) document.querySelector('#reset').click();
      });
      observer.observe(document.querySelector('#messages'), { childList: true });
      globalThis.undo = () => {
        GPUDevice.prototype.destroy = destroy;
        observer.disconnect();
      };
    }`);
    await button(page, 'One step').click();
    await expect.poll(() => page.evaluate('opened.length')).toBe(2);
    expect(await page.evaluate('troubles')).toEqual([expect.stringMatching(/^The device refused a command/)]);
    await ready(page);
    await button(page, 'One step').click();
    await trained(page, 1);
    expect(await page.locator('.trouble').count()).toBe(0);
    await page.evaluate('undo()');
  });

  const without: [string, string, RegExp][] = [
    [
      'no WebGPU',
      'delete Navigator.prototype.gpu',
      /^This browser has no WebGPU, .* Open it in a current Chrome/,
    ],
    [
      'no adapter',
      'GPU.prototype.requestAdapter = async () => null',
      /^No WebGPU adapter was found. Switch on graphics acceleration/,
    ],
    [
      'an adapter that gives no device',
      "GPUAdapter.prototype.requestDevice = async () => { throw new Error('It is in use.'); }",
      /^The adapter .* cannot be used now: It is in use\. Other programs may have taken all of it/,
    ],
    [
      'plain http',
      "Object.defineProperty(globalThis, 'isSecureContext', { value: false })",
      /only to pages served over https or from localhost/,
    ],
  ];
  // The first is what visitors meet most.
  test.each(long ? without : without.slice(0, 1))(
    'with %s it says so, and what to do',
    async (_, before, sentence) => {
      const page = await open({
        before: before.startsWith('Object') ? `${before}; delete Navigator.prototype.gpu` : before,
        device: false,
      });
      await page.getByRole('alert').getByText(sentence).waitFor();
      expect(await button(page, 'Train').isDisabled()).toBe(true);
      // None that needs a model can be pressed; the others throw nothing.
      for (const enabled of await page.locator('button:enabled').all()) {
        if (await enabled.isVisible()) {
          await enabled.click();
        }
      }
      expect(await page.locator('button:enabled:visible').count()).toBe(0);
    },
  );
});
