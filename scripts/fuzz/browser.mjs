import { existsSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../setup/run.mjs';

const entries = { page: 'src/web/browser/files.ts', report: 'src/report/data.ts' };

/**
 * Compiles what reads files in the page and in reports' viewer, for Node. The engine in it is that of dist.
 * @param outDir where the modules go.
 */
export async function buildForNode(outDir) {
  const { build } = await import('vite');
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    plugins: [
      {
        name: 'engine-of-dist',
        enforce: 'pre',
        resolveId(id, importer) {
          if (!importer || !id.startsWith('.')) return undefined;
          const path = relative(join(root, 'src'), resolve(importer, '..', id));
          const built = join(root, 'dist', path);
          return /^(sae|gpu)\b/.test(path.split(sep).join('/')) && existsSync(built)
            ? { id: pathToFileURL(built).href, external: true }
            : undefined;
        },
      },
    ],
    build: { ssr: true, outDir, emptyOutDir: true, minify: false, rollupOptions: { input: entries } },
  });
}
