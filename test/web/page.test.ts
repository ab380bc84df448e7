import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { readWords10k } from '../../src/node/data/words.js';
import { sampleRows } from '../../src/sae/index.js';
import { npy, readSafetensors, temporaryFolder } from '../cli/sae.js';
import { violations } from '../support/axe.js';
import { long } from '../support/long.js';
import {
  builtPage,
  button,
  chromiumPath,
  drop,
  picture,
  saved,
  savedPicture,
  shownPictures,
  trained,
} from '../support/page.js';
import { makeReport, reportBytes } from '../support/report.js';

describe.skipIf(!chromiumPath)('the page', () => {
  const { handedOn } = builtPage();
  const folder = temporaryFolder();

  /** axe finds nothing and nothing is cut off, on screens of these sizes, light and dark; in short, on the last of them, in the dark. */
  async function look(
    page: Page,
    what: string,
    sizes: readonly (readonly [number, number])[],
  ): Promise<void> {
    // Without transitions, which pass through colours of less contrast.
    await page.emulateMedia({ reducedMotion: 'reduce' });
    for (const colorScheme of long ? (['light', 'dark'] as const) : (['dark'] as const)) {
      for (const [width, height] of long ? sizes : sizes.slice(-1)) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height });
        expect(await violations(page), `${what}, ${colorScheme}, ${width} wide`).toEqual([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
      }
    }
  }

  test('axe finds nothing and nothing is cut off: on a desk and a phone, light and dark, with a fault or without', async () => {
    const page = await handedOn('h_dims=12');
    const sizes = [
      [1280, 800],
      [360, 740],
      [320, 256],
    ] as const;
    if (long) await look(page, 'untrained', sizes);
    await button(page, 'One step').click();
    await trained(page, 1);
    // What the loss is made of adds up to it, and the error among it is the one that is shown beside it.
    const sum = (await page.locator('#loss-sum').textContent())!;
    const [, loss, mse, kl, constant] =
      /^loss ([\d.]+) = mse ([\d.]+) \+ sparsity_lambda · kl ([\d.]+) \+ a constant of kl ([\d.]+)$/
        .exec(sum)!
        .map(Number);
    expect(mse + kl + constant).toBeCloseTo(loss, 2);
    expect(mse).toBeCloseTo(Number(await page.locator('#mse').textContent()), 2);
    await page.getByLabel('Explain the settings').check();
    await page.getByText('rows per training step').waitFor();
    await page.getByLabel('Seed seed').fill('-1');
    await page.getByLabel('Seed seed').press('Enter');
    await page.getByText('seed must be a whole number from 0').waitFor();
    await drop(page, { name: 'notes.md', bytes: Buffer.from('some words') });
    await page.getByRole('alert').getByText('notes.md is neither').waitFor();
    await look(page, 'trained, with faults, explained', sizes);
    await page.getByLabel('Explain the settings').uncheck();
    expect(await page.getByText('rows per training step').isVisible()).toBe(false);
  });

  test.runIf(long)('words are fetched when they are chosen, and shown in the place of pictures', async () => {
    const page = await handedOn('h_dims=12');
    const fetched = () =>
      page.evaluate(
        () =>
          performance.getEntriesByType('resource').filter(({ name }) => name.includes('words-10k')).length,
      );
    expect(await fetched()).toBe(0);
    await page.getByLabel('Data set dataset').selectOption('words-10k');
    await page.getByRole('heading', { name: 'Words and their reconstructions' }).waitFor();
    expect(await fetched()).toBe(2);
    expect(page.url()).toContain('#dataset=words-10k&h_dims=12&');
    const words = await readWords10k();
    const labels = words.labels!;
    expect(await page.locator('#samples figcaption').allTextContents()).toEqual(
      sampleRows(10_000, 10, 1).map((row) => labels[row]),
    );
    await button(page, 'One step').click();
    await trained(page, 1);
    const { tensors } = readSafetensors(folder.write('words.safetensors', await saved(page, 'Save model')));
    /** The words with the largest activation, strongest first. */
    const strongest = (latent: number, count: number) => {
      const weights = tensors['encoder.0.weight'].subarray(100 * latent, 100 * (latent + 1));
      const bias = tensors['encoder.0.bias'][latent];
      return Array.from({ length: words.rows }, (_, row) => {
        const activation = weights.reduce((sum, weight, i) => sum + weight * words.data[100 * row + i], bias);
        return { activation, word: labels[row] };
      })
        .sort((a, b) => b.activation - a.activation)
        .slice(0, count);
    };
    const tiles = Array.from({ length: 12 }, (_, latent) =>
      strongest(latent, 4)
        .map(({ word }) => word)
        .join(' · '),
    );
    await expect.poll(() => page.locator('#features label').allInnerTexts()).toEqual(tiles);
    const top = strongest(0, 16).map(({ word, activation }) => `${word} ${activation.toPrecision(3)}`);
    await expect.poll(() => page.locator('#top-rows figcaption').allTextContents()).toEqual(top);
    expect(await page.locator('#top-rows canvas:visible, #features canvas:visible').count()).toBe(0);
    await page.getByRole('radio', { name: `Latent 1: ${tiles[0]}` }).waitFor();
    expect(await page.getByLabel('Word', { exact: true }).inputValue()).toBe('the');
    await look(page, 'words', [
      [1280, 800],
      [390, 844],
      [320, 256],
    ]);
  });

  test.runIf(long)(
    'labels travel with their rows, may come later, and are text whatever is in them',
    async () => {
      const page = await handedOn('h_dims=4');
      const markup = ['<img src=x onerror=alert(1)>', '</span><script>alert(2)</script>', '& <b>'];
      const values = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
      await drop(
        page,
        { name: 'rows.npy', bytes: npy([3, 4], values) },
        { name: 'what.jsonl', bytes: Buffer.from(markup.map((label) => JSON.stringify(label)).join('\n')) },
      );
      await page.getByText('Opened rows.npy: 3 rows of 4 values, with labels.').waitFor();
      const captions = async () =>
        (await page.locator('#samples figure:visible figcaption').allTextContents()).toSorted();
      await expect.poll(captions).toEqual(markup.toSorted());
      await page.locator('#top-rows figcaption:visible').first().waitFor();
      expect(await page.locator('#top-rows, #features, #latents').locator('img, script, b').count()).toBe(0);
      await button(page, 'One step').click();
      await trained(page, 1);
      await drop(page, { name: 'words.csv', bytes: Buffer.from('id,label\n0,a\n1,"b, c"\n2,d\n') });
      await page.getByText('Opened the labels of rows.npy: 3 rows of 4 values, with labels.').waitFor();
      await expect.poll(captions).toEqual(['a', 'b, c', 'd']);
      await expect
        .poll(() => page.locator('#features label').first().innerText())
        .toMatch(/^(a|b, c|d|dead)/);
      // No new model is needed for them.
      expect(await page.locator('#restart-note').textContent()).toMatch(/^Once a model is trained/);
      expect(await page.locator('#steps-done').textContent()).toBe('1');
    },
  );

  test.runIf(long)(
    'a report’s data are shown in a tab of the page’s own viewer, and nothing of the file runs',
    async () => {
      const page = await handedOn('h_dims=6');
      const markup = '<img src=x onerror=alert(1)></script><script>alert(2)</script>';
      const made = await reportBytes(
        await makeReport({
          latents: [40, 30],
          labels: [markup, 'salt'],
          title: `${markup} of salt`,
        }),
      );
      // Whatever the file has besides its data would run if it were opened by itself.
      const hostile = made.toString().replace('<body>', '<body onload="alert(3)"><script>alert(4)</script>');
      await drop(page, { name: 'report.html', bytes: Buffer.from(hostile) });
      await page.getByText(`Opened report.html, a report of 2 models: “${markup} of salt”.`).waitFor();
      const opened = page.waitForEvent('popup');
      await button(page, 'Show it in a tab').click();
      const tab = await opened;
      const shows = async () => {
        await tab.getByRole('heading', { level: 1, name: 'Overview of sae-topk-1.safetensors' }).waitFor();
        expect(await tab.locator('#report-title').textContent()).toBe(`${markup} of salt`);
      };
      await shows();
      await tab.keyboard.press('l');
      await tab.getByRole('grid', { name: 'Latents' }).getByText(markup.slice(0, 30)).first().waitFor();
      await tab.goBack();
      await tab.reload();
      await shows();
      expect(await tab.locator('script[src], img, body[onload]').count()).toBe(0);
      await tab.close();

      // A page that knows of no report for it, as after it was loaded anew.
      const other = page.waitForEvent('popup');
      await page.evaluate((url) => void open(url), tab.url().replace(/#.*/, ''));
      const empty = await other;
      await empty.getByRole('alert').getByText('for the page that opened it, which is closed').waitFor();
      await empty.close();
    },
  );

  test.runIf(long)('everything that matters works by keyboard', async () => {
    const page = await handedOn('h_dims=12');
    const focused = () =>
      page.evaluate(() => {
        const { activeElement: element } = document;
        return element?.id || element?.ariaLabel;
      });
    const seen: unknown[] = [];
    for (let i = 0; i < 70; i++) {
      await page.keyboard.press('Tab');
      seen.push(await focused());
    }
    for (const id of [
      'train',
      'step',
      'Latent 1',
      'another',
      'Activation of latent 1',
      'lr',
      'h_dims',
      'dataset',
      'open',
      'save-model',
    ]) {
      expect(seen).toContain(id);
    }
    await button(page, 'One step').focus();
    await page.keyboard.press('Enter');
    await trained(page, 1);
    await page.getByRole('radio', { name: 'Latent 1', exact: true }).focus();
    await page.keyboard.press('ArrowRight');
    expect(await focused()).toBe('Latent 2');
    await page.getByRole('heading', { name: 'Latent 2' }).waitFor();
  });

  test.runIf(long)('what is pressed by keyboard keeps the focus, or hands it on', async () => {
    const page = await handedOn('h_dims=150');
    const focused = () => page.evaluate(() => document.activeElement!.id || document.activeElement!.tagName);
    await button(page, 'One step').focus();
    for (let step = 1; step <= 3; step++) {
      await page.keyboard.press('Enter');
      await trained(page, step);
      expect(await focused()).toBe('step');
    }
    await button(page, 'Next').focus();
    await page.keyboard.press('Enter');
    await page.getByText('101 to 150 of 150').waitFor();
    await page.keyboard.press('Enter');
    expect(await page.locator('#feature-range').textContent()).toBe('101 to 150 of 150');
    expect(await focused()).toBe('feature-next');
    await page
      .getByRole('checkbox', { name: /^Latent/ })
      .first()
      .uncheck();
    await button(page, 'Undo changes').press('Enter');
    expect(await focused()).toBe('latents-title');
    await button(page, 'Undo changes').waitFor({ state: 'hidden' });
    await drop(page, { name: 'notes.md', bytes: Buffer.from('some words') });
    await button(page, 'Dismiss').press('Enter');
    expect(await focused()).toBe('MAIN');
    await button(page, 'Previous').click();
    await page.getByRole('radio', { name: 'Latent 2', exact: true }).focus();
    await page.getByLabel('Hidden sizes h_dims').evaluate((field) => {
      (field as HTMLInputElement).value = '5';
      field.dispatchEvent(new Event('change'));
      document.querySelector<HTMLButtonElement>('#reset')!.click();
    });
    await page.waitForFunction(() => document.querySelectorAll('#features label').length === 5);
    expect(await page.evaluate(() => document.activeElement!.ariaLabel)).toBe('Latent 1');
  });

  test.runIf(long)('on a phone what has the focus is not under the bar that stays', async () => {
    const page = await handedOn('h_dims=12');
    await page.setViewportSize({ width: 360, height: 740 });
    for (const id of ['clear', 'lr', 'seed']) {
      const below = await page.evaluate((id) => {
        const bar = document.querySelector('#transport')!;
        const field = document.getElementById(id)!;
        // As where one jumps to something above.
        field.scrollIntoView({ block: 'start' });
        return field.getBoundingClientRect().top - bar.getBoundingClientRect().bottom;
      }, id);
      expect(below, id).toBeGreaterThanOrEqual(0);
    }
  });

  test.runIf(long)(
    'a latent is shown at once, from what is at hand, and among the bars in any case',
    async () => {
      const page = await handedOn('h_dims=150');
      await page.getByText(/^(Active for|Active for no row)/).waitFor();
      const labels = await page
        .locator('#latents input[type=range]')
        .evaluateAll((ranges) => ranges.map(({ ariaLabel }) => ariaLabel!));
      expect(labels.length).toBe(30);
      const latents = labels.map((label) => Number(label.split(' ').at(-1)));
      const other = Array.from({ length: 100 }, (_, i) => i + 1).find((latent) => !latents.includes(latent))!;
      // No frame and no device comes between the click and this.
      const shown = await page.evaluate((other) => {
        const radio = document.querySelector<HTMLInputElement>(`[aria-label="Latent ${other}"]`)!;
        radio.click();
        const look = (canvas: Element | null) => (canvas as HTMLCanvasElement).toDataURL();
        return {
          title: document.querySelector('#inspector-title')!.textContent,
          same:
            look(document.querySelector('#latent-decoder')) ===
            look(radio.parentElement!.querySelector('canvas')),
          density: document.querySelector('#density')!.textContent,
          rows: getComputedStyle(document.querySelector('#top-rows')!).visibility,
        };
      }, other);
      expect(shown).toEqual({
        title: `Latent ${other}`,
        same: true,
        density: expect.stringMatching(/^Active for/),
        rows: 'visible',
      });
      await page.getByRole('slider', { name: `Activation of latent ${other}`, exact: true }).waitFor();
      await page.getByText(/^Active for /).waitFor();
      expect(await page.locator('#latents li:visible').count()).toBe(30);
    },
  );

  test.runIf(long)('while it trains nothing is announced, only that it began and ended', async () => {
    const page = await handedOn('h_dims=12');
    await page.waitForTimeout(300);
    await page.evaluate(() => {
      const said: string[] = [];
      Object.assign(globalThis, { said });
      new MutationObserver((changes) => {
        for (const { target } of changes) {
          const place = target instanceof Element ? target : target.parentElement!;
          const live = place.closest('output, [aria-live], [role=status], [role=alert]');
          if (live) {
            said.push(`${live.id || live.tagName}: ${live.textContent}`);
          }
        }
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await button(page, 'Train').click();
    await page.waitForFunction(() => Number(document.querySelector('#steps-done')!.textContent) > 20);
    await button(page, 'Pause').click();
    await button(page, 'Train').waitFor();
    const said = await page.evaluate(() => (globalThis as unknown as { said: string[] }).said);
    expect(said).toEqual([
      'announcement: Training.',
      expect.stringMatching(/^announcement: Paused at step \d+, loss \d+\.\d{3}\.$/),
    ]);
  });

  test('a latent shows its directions, how often it is active and its top-activating rows', async () => {
    const page = await handedOn('h_dims=12');
    await page.locator('#latent-decoder[width="28"]').waitFor();
    const first = await picture(page, '#latent-decoder');
    await page.getByRole('radio', { name: 'Latent 3' }).click();
    await page.getByRole('heading', { name: 'Latent 3' }).waitFor();
    await expect.poll(() => picture(page, '#latent-decoder')).not.toBe(first);
    await page.waitForFunction(() =>
      /^(Active for [\d.]+% of the rows|Active for no row)/.test(
        document.querySelector('#density')!.textContent!,
      ),
    );
    const drawn = await picture(page, '#features label:nth-child(3) canvas');
    await page.getByRole('radio', { name: 'encoder' }).check();
    await expect.poll(() => picture(page, '#features label:nth-child(3) canvas')).not.toBe(drawn);
    const activations = await page
      .locator('#top-rows canvas:not([hidden])')
      .evaluateAll((canvases) => canvases.map((canvas) => Number(canvas.ariaLabel!.split(' ').at(-1))));
    expect(activations.length).toBeGreaterThan(3);
    expect(activations).toEqual(activations.toSorted((a, b) => b - a));
  });

  test('a drawing is reconstructed as the pen moves, and by latents that are changed or switched off', async () => {
    const page = await handedOn('h_dims=12');
    await page.evaluate(`{
      const { mapAsync } = GPUBuffer.prototype;
      globalThis.reads = Promise.resolve();
      GPUBuffer.prototype.mapAsync = function (...options) {
        return reads.then(() => mapAsync.apply(this, options));
      };
    }`);
    await button(page, 'Clear').click();
    await page.locator('#pad').scrollIntoViewIfNeeded();
    const empty = await picture(page, '#pad');
    const { x, y, width, height } = (await page.locator('#pad').boundingBox())!;
    await page.mouse.move(x + 0.3 * width, y + 0.2 * height);
    await page.mouse.down();
    // Ink needs nothing from the device, which gives nothing for a while.
    await page.evaluate('globalThis.reads = new Promise((resolve) => { globalThis.release = resolve; }); 0');
    await page.mouse.move(x + 0.6 * width, y + 0.5 * height, { steps: 5 });
    await expect.poll(() => picture(page, '#pad')).not.toBe(empty);
    const half = await picture(page, '#pad');
    await page.mouse.move(x + 0.4 * width, y + 0.8 * height, { steps: 5 });
    await expect.poll(() => picture(page, '#pad')).not.toBe(half);
    await page.mouse.up();
    await page.evaluate('release()');
    await page.waitForTimeout(500);
    const own = await picture(page, '#pad-output');

    const bar = page.getByRole('slider', { name: /^Activation of latent/ }).first();
    const name = (await bar.getAttribute('aria-label'))!;
    await bar.press('End');
    await expect.poll(() => picture(page, '#pad-output')).not.toBe(own);
    const raised = await picture(page, '#pad-output');
    const latent = name.split(' ').at(-1);
    await page.getByRole('checkbox', { name: `Latent ${latent} on`, exact: true }).uncheck();
    await expect.poll(() => picture(page, '#pad-output')).not.toBe(raised);
    expect(await page.getByRole('slider', { name, exact: true }).inputValue()).toBe('0');
    await button(page, 'Undo changes').click();
    await expect.poll(() => picture(page, '#pad-output')).toBe(own);

    await button(page, 'One from the data').click();
    await expect.poll(() => picture(page, '#pad-output')).not.toBe(own);
  });

  test.runIf(long)('every picture can be saved', async () => {
    const page = await handedOn('h_dims=12');
    await button(page, 'One step').click();
    await trained(page, 1);
    await button(page, 'One step').click();
    await trained(page, 2);
    await page.locator('#top-rows canvas:visible').first().waitFor();
    const sheets = {
      // First all originals, then all reconstructions.
      'digits and reconstructions': ['#samples canvas:nth-child(odd)', '#samples canvas:nth-child(even)'],
      latents: ['#features canvas'],
      'drawing and reconstruction': ['#pad', '#pad-output'],
      'this latent': ['#latent-decoder', '#latent-encoder', '#top-rows canvas'],
    };
    for (const [name, selectors] of Object.entries(sheets)) {
      const look = async () =>
        (await Promise.all(selectors.map((selector) => shownPictures(page, selector)))).flat();
      let shown = await look();
      let sheet = await savedPicture(page, `Save ${name} as PNG`);
      // Another look at the model may have come between.
      const differs = (again: typeof shown) => again.some(({ data }, i) => !shown[i]?.data.equals(data));
      for (let again = await look(); differs(again); again = await look()) {
        shown = again;
        sheet = await savedPicture(page, `Save ${name} as PNG`);
      }
      expect(shown.length, name).toBeGreaterThan(1);
      // Beside one another from the left upper corner on, each value a square; as many in a row as fit.
      const gap = 8;
      const [first] = shown;
      const scale = Math.max(1, Math.round(112 / Math.max(first.width, first.height)));
      const [w, h] = [first.width * scale, first.height * scale];
      const columns = (sheet.width - gap) / (w + gap);
      expect([columns % 1, sheet.height], name).toEqual([
        0,
        Math.ceil(shown.length / columns) * (h + gap) + gap,
      ]);
      shown.forEach(({ width, height, pixel }, i) => {
        const left = gap + (i % columns) * (w + gap);
        const top = gap + Math.floor(i / columns) * (h + gap);
        for (let value = 0; value < width * height; value += 1) {
          const x = left + ((value % width) + 0.5) * (w / width);
          const y = top + (Math.floor(value / width) + 0.5) * (h / height);
          const expected = pixel(value % width, Math.floor(value / width));
          const found = sheet.pixel(Math.floor(x), Math.floor(y));
          if (expected.join() !== found.join()) expect.fail(`${name}, ${i}: ${found}, not ${expected}`);
        }
      });
      // More than paper.
      expect(new Set(shown.flatMap(({ data }) => [...data])).size, name).toBeGreaterThan(10);
    }
    const { width, height, pixel } = await savedPicture(page, 'Save loss curves as PNG');
    const seen = new Map<string, number>();
    for (let i = 0; i < width * height; i++) {
      const colour = pixel(i % width, Math.floor(i / width)).join();
      seen.set(colour, (seen.get(colour) ?? 0) + 1);
    }
    // The style sheet's --loss and --mse.
    for (const colour of ['0,103,168', '192,74,0']) {
      expect(seen.get(colour) ?? 0, colour).toBeGreaterThan(20);
    }
  });
});
