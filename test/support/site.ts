import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

/** Builds the site once for all tests of the page, into the folder that SAE_SITE names. */
export default async function setup(): Promise<(() => void) | undefined> {
  if (process.env.SAE_SITE !== undefined) {
    // Another project of this run has built it.
    return undefined;
  }
  const outDir = mkdtempSync(join(tmpdir(), 'sae-site-'));
  process.env.SAE_SITE = outDir;
  await build({ configFile, logLevel: 'warn', build: { outDir, emptyOutDir: true } });
  return () => rmSync(outDir, { recursive: true });
}
