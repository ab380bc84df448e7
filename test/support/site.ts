import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

const tiles = fileURLToPath(new URL('page-tiles.ts', import.meta.url));
/** What the tested site has besides: see `oneTile` of page.ts. */
const pageTiles: Plugin = {
  name: 'page-tiles',
  enforce: 'pre',
  resolveId: (source, importer) =>
    source.endsWith('/candidates.js') && importer !== tiles ? tiles : undefined,
};

/** Builds the site once for all tests of the page, into the folder that SAE_SITE names. */
export default async function setup(): Promise<(() => void) | undefined> {
  if (process.env.SAE_SITE !== undefined) {
    // Another project of this run has built it.
    return undefined;
  }
  const outDir = mkdtempSync(join(tmpdir(), 'sae-site-'));
  process.env.SAE_SITE = outDir;
  // What Vite itself finds of licences, for a test.
  const license = { fileName: 'vite-licenses.json' };
  await build({
    configFile,
    plugins: [pageTiles],
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true, license },
  });
  return () => rmSync(outDir, { recursive: true });
}
