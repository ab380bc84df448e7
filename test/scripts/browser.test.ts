import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { findChromium, findFirefox } from '../../scripts/setup/browser.mjs';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'browser-test-'));
  for (const name of ['one', 'two', 'snap']) mkdirSync(join(folder, name));
  vi.stubEnv('PATH', ['one', 'two', 'missing'].map((name) => join(folder, name)).join(delimiter));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** A program in the test's folder. */
function program(path: string, content = '#!/bin/sh\n'): string {
  const file = join(folder, path);
  writeFileSync(file, content);
  chmodSync(file, 0o755);
  return file;
}

describe.skipIf(process.platform === 'win32')('browsers', () => {
  it('are found on the PATH, where they can be run', () => {
    expect(findChromium()).toBeUndefined();
    expect(findFirefox()).toBeUndefined();
    chmodSync(program('one/firefox'), 0o644);
    chmodSync(program('one/chromium'), 0o644);
    expect(findFirefox()).toBeUndefined();
    const [firefox, chromium] = [program('two/firefox-esr'), program('two/google-chrome')];
    expect(findFirefox()).toBe(firefox);
    expect(findChromium()).toBe(chromium);
  });

  it('a Firefox in a snap is none: it takes no profile from the temporary folder', () => {
    program('one/firefox', '#!/bin/sh\nif [ -x /snap/bin/firefox ]; then exec /snap/bin/firefox "$@"; fi\n');
    symlinkSync(program('snap/firefox'), join(folder, 'one/firefox-esr'));
    expect(findFirefox()).toBeUndefined();
    const real = program('two/firefox');
    expect(findFirefox()).toBe(real);
  });
});
