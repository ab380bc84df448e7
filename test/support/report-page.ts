import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { NamedArray, Report } from '../../src/sae/insight/report/pack.js';
import { launchChromium } from './page.js';
import { type MadeOptions, writeMadeReport } from './report.js';

/** Reports in files of a folder, and a browser that opens them from there, for one test file. */
export function openedReports(launch: () => Promise<Browser> = launchChromium) {
  let browser: Browser;
  let folder: string;
  const faults: string[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sae-report-'));
    browser = await launch();
  });
  // Whatever a test is about: nothing on the console, nothing asked of anybody, nothing that the policy forbids.
  afterEach(() => expect(faults.splice(0)).toEqual([]));
  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true });
  });

  /** Writes a made-up report. */
  async function write(name: string, options: MadeOptions): Promise<{ path: string; report: Report }> {
    const path = join(folder, `${name}.html`);
    return { path, report: await writeMadeReport(path, options) };
  }

  function writeText(name: string, text: string): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** Opens a report from disk at an address, and waits for its heading. */
  async function open(path: string, hash = '', options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(`${pathToFileURL(path)}`)) faults.push(`request: ${request.url()}`);
    });
    page.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    // Chromium tells of some only to its developer tools.
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        console.error(`forbidden by ${violatedDirective}: ${blockedURI}`);
      });
    });
    await page.goto(`${pathToFileURL(path)}#${hash}`);
    await page.locator('h1, [role=alert]').waitFor();
    return page;
  }

  return { write, writeText, open, faults };
}

/** An array of a model of a report, by name. */
export function arrayOf(report: Report, model: number, name: string): NamedArray['values'] {
  return report.models[model].find((array) => array.name === name)!.values;
}

/** Goes to another address of the report that is open, and waits for its view. */
export async function goTo(page: Page, hash: string, heading: string | RegExp): Promise<void> {
  await page.evaluate((hash) => {
    location.hash = hash;
  }, hash);
  await page.getByRole('heading', { level: 1, name: heading }).waitFor();
}
