import { execFileSync } from 'node:child_process';
import { type Browser, firefox } from 'playwright-core';
import { findFirefox } from '../../scripts/setup/browser.mjs';

/** The first that these tests were tried with: WebGPU on Linux and WebDriver BiDi are young. */
const oldest = 153;

/** Where a Firefox is that can be tested; undefined where there is none, and the tests in it are skipped. */
export const firefoxPath: string | undefined = findTestable();

function findTestable(): string | undefined {
  const path = findFirefox();
  if (path && Number(/\d+/.exec(execFileSync(path, ['--version'], { encoding: 'utf8' }))) >= oldest) {
    return path;
  }
  const what = path
    ? `${path} is older than Firefox ${oldest}`
    : 'there is no Firefox on the PATH outside a snap';
  console.log(`The tests in Firefox are skipped: ${what}. On Debian, firefox-esr has it.`);
  return undefined;
}

/** Firefox as it comes from Mozilla or Debian, through WebDriver BiDi, with WebGPU on its software adapter. */
export async function launchFirefox(): Promise<Browser> {
  const browser = await firefox.launch({
    channel: 'moz-firefox',
    executablePath: firefoxPath!,
    firefoxUserPrefs: { 'dom.webgpu.enabled': true, 'gfx.webgpu.ignore-blocklist': true },
  });
  mend(browser);
  return browser;
}

/** What is sent to Firefox and what comes back, deep inside Playwright. */
interface Session {
  mended?: true;
  send(method: string, params: unknown): Promise<unknown>;
  dispatchMessage(message: { method?: string; params?: { navigation?: string | null; url?: string } }): void;
}

/**
 * Playwright 1.65 sends a command that Firefox 153 does not know, and looks for downloads by the navigation that they
 * belong to, which Firefox leaves open. Both are mended where messages pass.
 */
function mend(browser: Browser): void {
  // biome-ignore lint/suspicious/noExplicitAny: Playwright's insides have no types.
  const session = (browser as any)._connection?.toImpl?.(browser)?._browserSession;
  const prototype: Session | undefined = session && Object.getPrototypeOf(session);
  if (typeof prototype?.send !== 'function' || typeof prototype.dispatchMessage !== 'function') {
    throw new Error(
      'This Playwright is built otherwise than the one that test/support/firefox.ts mends, 1.65: see whether it needs that.',
    );
  }
  if (prototype.mended) {
    return;
  }
  const { send, dispatchMessage } = prototype;
  prototype.mended = true;
  prototype.send = function (method, params) {
    return method === 'emulation.setMediaFeaturesOverride'
      ? Promise.resolve({})
      : send.call(this, method, params);
  };
  prototype.dispatchMessage = function (message) {
    if (message.params && /^browsingContext\.download/.test(message.method ?? '')) {
      message.params.navigation ??= message.params.url ?? null;
    }
    dispatchMessage.call(this, message);
  };
}
