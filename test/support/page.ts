import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { findChromium } from '../../scripts/setup/browser.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where a Chromium is; undefined where there is none, and the tests in a browser are skipped. */
export const chromiumPath: string | undefined = findChromium();
if (!chromiumPath) {
  console.log('The tests in a browser are skipped: there is no Chromium on the PATH.');
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

export interface OpenOptions extends BrowserContextOptions {
  /** Settings in the address, such as `h_dims=8&seed=3`. */
  readonly settings?: string;
  /** Runs in the page before its own script. */
  readonly before?: string;
  /** False where there is no device to wait for. */
  readonly device?: boolean;
}

/** The built site, served by a plain server from a folder below its root, and a browser, for one test file. */
export function builtPage() {
  const folder = mkdtempSync(join(tmpdir(), 'sae-web-'));
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://host').pathname.replace(/^\/any\/folder\//, '');
    const file = join(folder, path === '' ? 'index.html' : path);
    if (!file.startsWith(folder) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' });
    response.end(readFileSync(file));
  });
  let address = '';
  let browser: Browser;
  const faults: string[] = [];

  beforeAll(async () => {
    const configFile = join(root, 'vite.config.ts');
    await build({ configFile, logLevel: 'warn', build: { outDir: folder, emptyOutDir: true } });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/any/folder/`;
    browser = await launchChromium();
  });
  // Whatever a test is about: nothing on the console, and nothing asked of anybody else.
  afterEach(async () => {
    for (const context of browser.contexts()) {
      await context.close();
    }
    expect(faults.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await browser.close();
    server.close();
    rmSync(folder, { recursive: true });
  });

  async function open({ settings = '', before, device = true, ...options }: OpenOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(address) && !url.startsWith('blob:')) faults.push(`request: ${url}`);
    });
    page.on('response', (response) => {
      if (!response.ok()) faults.push(`${response.status()}: ${response.url()}`);
    });
    // Chromium tells of some only to its developer tools.
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`forbidden by ${violatedDirective}: ${blockedURI}`);
      });
    });
    if (before) {
      await page.addInitScript(before);
    }
    await page.goto(`${address}#${settings}`);
    if (device) {
      await ready(page);
    }
    return page;
  }

  /** KiB that the page's process and the one of its device have for themselves, shared pages in shares. */
  async function memory(): Promise<number> {
    const session = await browser.newBrowserCDPSession();
    const { processInfo } = await session.send('SystemInfo.getProcessInfo');
    await session.detach();
    const own = processInfo.filter(({ type }) => /^(renderer|gpu)/i.test(type));
    const sizes = own.map(
      ({ id }) => /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))![1],
    );
    return sizes.reduce((sum, size) => sum + Number(size), 0);
  }

  return { open, memory };
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
export async function trained(page: Page, count: number): Promise<void> {
  await page.waitForFunction(
    (count) =>
      document.querySelector('#train')!.textContent!.trim() === 'Train' &&
      document.querySelector('#steps-done')!.textContent!.replaceAll(',', '') === String(count),
    count,
    { timeout: 100_000 },
  );
}

/** Presses a button that saves a file, and gives its bytes. */
export async function saved(page: Page, name: string): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent('download'), button(page, name).click()]);
  return readFileSync(await download.path());
}

/** Presses a button that saves a PNG, and gives its size in pixels. */
export async function savedPicture(page: Page, name: string): Promise<{ width: number; height: number }> {
  const bytes = await saved(page, name);
  expect(bytes.subarray(1, 4).toString()).toBe('PNG');
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
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
