// The page in Chromium: its training is begun, changed and paused ten thousand times.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { findChromium } from '../setup/browser.mjs';

const site = fileURLToPath(new URL('../../dist/web/', import.meta.url));
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wgsl': 'text/plain' };
const times = 10_000;
/** Bytes by which the page's memory may grow: curves have more points, up to a bound. */
const allowed = 8e6;

/** Begins and pauses the training, and changes its settings in between, so often. */
async function pauses(count) {
  const button = document.getElementById('train');
  const sliders = [...document.querySelectorAll('input[type=range]')].filter(({ disabled }) => !disabled);
  const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
  for (let i = 0; i < count; i++) {
    button.click();
    const slider = sliders[i % sliders.length];
    slider.value = `${Number(slider.min) + (Number(slider.max) - Number(slider.min)) * (0.3 + (i % 7) / 50)}`;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await turn();
    if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 40));
  }
  return Number(document.getElementById('steps-done').textContent.replace(/\D/g, ''));
}

export async function pausedPage(torture) {
  const executablePath = findChromium();
  if (!executablePath || !existsSync(join(site, 'index.html'))) {
    console.log(
      'soak: the page is left out: there is no Chromium, or no page (node scripts/setup.mjs --web)',
    );
    return;
  }
  const server = createServer((request, response) => {
    const path = new URL(request.url, 'http://host').pathname;
    const file = join(site, path === '/' ? 'index.html' : path);
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' });
    return response.end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const args = [
    '--headless',
    '--no-sandbox',
    '--enable-unsafe-webgpu',
    '--enable-precise-memory-info',
    '--js-flags=--expose-gc',
  ];
  const browser = await chromium.launch({ executablePath, args });
  try {
    const page = await browser.newPage();
    const faults = [];
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction(() => !document.getElementById('train').disabled, undefined, {
      timeout: 120_000,
    });
    const held = () =>
      page.evaluate(() => {
        globalThis.gc?.();
        return { bytes: performance.memory.usedJSHeapSize, elements: document.querySelectorAll('*').length };
      });
    const each = times / 20;
    let steps = 0;
    const samples = [];
    for (let done = 0; done < times; done += each) {
      steps = await page.evaluate(pauses, each);
      samples.push(await held());
    }
    // What is collected later comes and goes: the least of some counts. In the first part all is drawn for the first time.
    const least = (some) => ({
      bytes: Math.min(...some.map(({ bytes }) => bytes)),
      elements: Math.min(...some.map(({ elements }) => elements)),
    });
    const before = least(samples.slice(1, 7));
    const after = least(samples.slice(-6));
    torture.count('soak', 'page', 'pauses and changes', times);
    torture.count('soak', 'page', 'steps', steps);
    torture.count(
      'soak',
      'page',
      'heap',
      `${(before.bytes / 1e6).toFixed(1)} to ${(after.bytes / 1e6).toFixed(1)}`,
    );
    if (steps < times / 10) torture.lost('soak', 'page', `it trained ${steps} steps only`);
    if (faults.length > 0) torture.lost('soak', 'page', faults[0]);
    if (after.bytes > before.bytes + allowed)
      torture.lost('soak', 'page', `memory grew from ${before.bytes} to ${after.bytes}`);
    if (after.elements > before.elements + 50)
      torture.lost('soak', 'page', `elements grew from ${before.elements} to ${after.elements}`);
  } finally {
    await browser.close();
    server.close();
  }
}
