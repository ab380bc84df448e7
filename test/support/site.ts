import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'vite';

const configFile = fileURLToPath(new URL('../../vite.config.ts', import.meta.url));

/** What the tested site has in the place of files of the engine, by the ends of their names: see `oneTile` and `unchecked` of page.ts. */
const standIns = Object.entries({ '/candidates.js': 'page-tiles.ts', '/passed.js': 'page-checks.ts' }).map(
  ([end, file]) => ({ end, file: fileURLToPath(new URL(file, import.meta.url)) }),
);
const standing: Plugin = {
  name: 'standing-in',
  enforce: 'pre',
  resolveId: (source, importer) =>
    standIns.find(({ end, file }) => source.endsWith(end) && importer !== file)?.file,
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
    plugins: [standing],
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true, license },
  });
  return () => rmSync(outDir, { recursive: true });
}
