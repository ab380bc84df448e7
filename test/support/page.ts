import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { strictHeaders } from '../../scripts/demo-server.mjs';
import { findChromium } from '../../scripts/setup/browser.mjs';

/** Where a Chromium is; undefined where there is none, and the tests in a browser are skipped. */
export const chromiumPath: string | undefined = findChromium();
if (!chromiumPath) {
  console.log('The tests in Chromium are skipped: there is none on the PATH.');
}

/** Chromium with WebGPU on its software adapter, and without its own traffic. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath!,
    args: [
      '--headless',
      '--no-sandbox',
      '--enable-unsafe-webgpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Has the page wait for its device until `release` is called in it. */
export const heldBack = `{
  const { requestDevice } = GPUAdapter.prototype;
  const released = new Promise((resolve) => { globalThis.release = resolve; });
  GPUAdapter.prototype.requestDevice = async function (...options) {
    await released;
    return requestDevice.apply(this, options);
  };
}`;

/**
 * Run in a page before its own script, has all its products take one small tile, so that models of other sizes need nothing compiled.
 * Those that visitors get take SwiftShader up to five seconds for each size.
 */
export const oneTile = `globalThis.oneTile = {
  family: 'register', tile_rows: 1, tile_columns: 2, threads_rows: 4, threads_columns: 1,
};`;

/** Run in a page before its own script, has it know nothing of the adapter, as at a first visit: it then checks it. */
export const unchecked = 'globalThis.unchecked = true;';

export interface OpenOptions extends BrowserContextOptions {
  /** Settings in the address, such as `h_dims=8&seed=3`. */
  readonly settings?: string;
  /** Runs in the page before its own script. */
  readonly before?: string;
  /** False where there is no device to wait for. */
  readonly device?: boolean;
}

const desk = { width: 1280, height: 800 };

/**
 * The built site, served by a plain server from a folder below its root, and a browser, for one test file.
 * @param always runs in every page before its own script; '' for a page as visitors get it.
 */
export function builtPage(launch: () => Promise<Browser> = launchChromium, always = oneTile) {
  const folder = process.env.SAE_SITE!;
  // As `npm run demo` serves it.
  const headersFor = strictHeaders(folder);
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://host').pathname.replace(/^\/any\/folder\//, '/');
    const file = join(folder, path === '/' ? 'index.html' : path);
    if (!file.startsWith(folder) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const type = types[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { ...headersFor(path), 'content-type': type });
    response.end(readFileSync(file));
  });
  let address = '';
  let browser: Browser;
  let shared: Page | undefined;
  const faults: string[] = [];

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/any/folder/`;
    browser = await launch();
  });
  // Whatever a test is about: nothing on the console, and nothing asked of anybody else.
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') {
      shared = undefined;
    }
    for (const context of browser.contexts()) {
      if (context !== shared?.context()) {
        await context.close();
      }
    }
    expect(faults.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser.close();
    server.close();
  });

  async function open({
    settings = '',
    before = '',
    device = true,
    ...options
  }: OpenOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: desk, ...options });
    // Also of the tabs that the page opens.
    context.on('page', (page) => {
      page.setDefaultTimeout(60_000);
      page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`));
      page.on('dialog', (dialog) => {
        faults.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
    });
    context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
    });
    context.on('request', (request) => {
      const url = request.url();
      // A test may look at a file that the page has saved.
      if (!url.startsWith(address) && !/^(blob|file):/.test(url)) faults.push(`request: ${url}`);
    });
    context.on('response', (response) => {
      if (!response.ok()) faults.push(`${response.status()}: ${response.url()}`);
    });
    const page = await context.newPage();
    // Chromium tells of some only to its developer tools.
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`forbidden by ${violatedDirective}: ${blockedURI}`);
      });
    });
    await page.addInitScript(`${always};${before}`);
    await page.goto(`${address}#${settings}`);
    if (device) {
      await ready(page);
    }
    return page;
  }

  /**
   * A page as `open` gives one, which a file's tests hand on to each other: its device has compiled most of what the next
   * one needs, which takes seconds. The address is new, the data are the digits, and the model is a new one. A test that fails keeps
   * its page to itself.
   */
  async function handedOn(settings = ''): Promise<Page> {
    if (!shared) {
      shared = await open({ settings });
      return shared;
    }
    const page = shared;
    await page.setViewportSize(desk);
    await page.emulateMedia({ colorScheme: null, reducedMotion: null });
    // At once: a click from here could come when training has just ended, and begin it again.
    await page.evaluate(() => {
      const train = document.querySelector<HTMLButtonElement>('#train')!;
      if (train.textContent!.trim() === 'Pause') train.click();
    });
    await button(page, 'Train').waitFor();
    // A model that has been trained stays until Reset is pressed, and has its steps shown until another one is there.
    if ((await steps(page)) === 0) {
      await button(page, 'One step').click();
      await trained(page, 1);
    }
    await page.getByLabel('Data set dataset').selectOption('mnist-10k');
    await page.evaluate(
      (hash) =>
        new Promise<void>((resolve) => {
          if (location.hash === hash) return resolve();
          addEventListener('hashchange', () => resolve(), { once: true });
          location.hash = hash;
        }),
      `#${settings}`,
    );
    // What is drawn of a model gives this its size again: first of the old one, if that is still under way.
    const output = page.locator('#pad-output');
    do {
      await output.evaluate((canvas) => canvas.removeAttribute('width'));
      await page.waitForTimeout(200);
    } while ((await output.getAttribute('width')) !== null);
    await button(page, 'Reset').click();
    await trained(page, 0);
    await ready(page);
    for (const dismiss of await button(page, 'Dismiss').all()) {
      await dismiss.click();
    }
    await page.evaluate(() => {
      scrollTo(0, 0);
      (document.activeElement as HTMLElement | null)?.blur();
    });
    return page;
  }

  /**
   * KiB that the page's process and the one of its device have written for themselves: what they share with other
   * browsers, which come and go meanwhile, does not count.
   */
  async function memory(): Promise<number> {
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    const own = processInfo.filter(({ type }) => /^(renderer|gpu)/i.test(type));
    const kinds = [/^Anonymous:\s+(\d+)/m, /^Pss_Shmem:\s+(\d+)/m];
    const sizes = own.flatMap(({ id }) => {
      const text = readFileSync(`/proc/${id}/smaps_rollup`, 'utf8');
      return kinds.map((kind) => Number(kind.exec(text)![1]));
    });
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  return { open, handedOn, memory };
}

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  // As Apache serves it.
  '.gz': 'application/gzip',
};

/** Waits until there is a model, and what it makes of the drawing has been drawn. */
export async function ready(page: Page): Promise<void> {
  await page.waitForFunction(
    () =>
      !document.querySelector<HTMLButtonElement>('#train')!.disabled &&
      document.querySelector('#pad-output')!.hasAttribute('width'),
  );
}

export function button(page: Page, name: string | RegExp) {
  return page.getByRole('button', { name, exact: typeof name === 'string' });
}

/** Steps done, as the page says. */
export async function steps(page: Page): Promise<number> {
  return Number((await page.locator('#steps-done').textContent())!.replaceAll(',', ''));
}

/** Waits until so many steps are done and training has ended. */
export async function trained(page: Page, count: number, timeout = 100_000): Promise<void> {
  await page.waitForFunction(
    (count) =>
      document.querySelector('#train')!.textContent!.trim() === 'Train' &&
      document.querySelector('#steps-done')!.textContent!.replaceAll(',', '') === String(count),
    count,
    { timeout },
  );
}

/** Presses a button that saves a file, and gives its bytes. */
export async function saved(page: Page, name: string): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent('download'), button(page, name).click()]);
  return readFileSync(await download.path());
}

/** Presses a button that saves a PNG, and gives its size in pixels. */
export async function savedPicture(page: Page, name: string) {
  const bytes = await saved(page, name);
  expect(bytes.subarray(1, 4).toString()).toBe('PNG');
  return decodePicture(bytes);
}

/** Those canvases that are shown, in the order of the page. */
export async function shownPictures(page: Page, selector: string) {
  const urls = await page
    .locator(selector)
    .evaluateAll((canvases) =>
      (canvases as HTMLCanvasElement[])
        .filter((canvas) => canvas.checkVisibility({ visibilityProperty: true }))
        .map((canvas) => canvas.toDataURL()),
    );
  return Promise.all(urls.map((url) => decodePicture(Buffer.from(url.split(',')[1], 'base64'))));
}

/** A PNG's pixels as red, green and blue. */
async function decodePicture(png: Buffer) {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const pixel = (x: number, y: number) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
  return { width, height, data, pixel };
}

/** The curves as the page saves them: a record a line. */
export async function savedCurves(page: Page): Promise<Record<string, number>[]> {
  const [names, ...lines] = (await saved(page, 'Save curves')).toString().trim().split('\n');
  return lines.map((line) =>
    Object.fromEntries(line.split(',').map((value, i) => [names.split(',')[i], Number(value)])),
  );
}

/** What a canvas shows, as text to compare. */
export function picture(page: Page, selector: string): Promise<string> {
  return page
    .locator(selector)
    .first()
    .evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
}

/** Drops a folder of this computer on the page. */
export async function dropFolder(page: Page, path: string): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await devtools.send('Input.dispatchDragEvent', { type, x: 100, y: 100, data });
  }
  await devtools.detach();
}

/** Drops files on the page, as from a folder. */
export async function drop(
  page: Page,
  ...files: { name: string; type?: string; bytes: Uint8Array }[]
): Promise<void> {
  const contents = files.map(({ name, type = '', bytes }) => ({
    name,
    type,
    base64: Buffer.from(bytes).toString('base64'),
  }));
  await page.evaluate((contents) => {
    const transfer = new DataTransfer();
    for (const { name, type, base64 } of contents) {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      transfer.items.add(new File([bytes], name, { type }));
    }
    document
      .querySelector('main')!
      .dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true }));
  }, contents);
}
