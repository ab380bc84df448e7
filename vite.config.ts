import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { demoServer } from './scripts/demo-server.mjs';
import { dataLicenses, licenseTexts } from './scripts/licenses.mjs';

/** The page: `npm run demo` and `npm run build:web`. */
export default defineConfig({
  root: fileURLToPath(new URL('src/web', import.meta.url)),
  // Works from any folder of any host.
  base: './',
  // What is not there is a 404, not the page once more.
  appType: 'mpa',
  build: {
    outDir: fileURLToPath(new URL('dist/web', import.meta.url)),
    emptyOutDir: true,
    // Every browser with WebGPU has them.
    target: 'es2023',
    modulePreload: { polyfill: false },
    // Nothing as data: addresses, which the page's Content-Security-Policy forbids.
    assetsInlineLimit: 0,
    // The chart library takes most of it.
    chunkSizeWarningLimit: 1100,
  },
  plugins: [demoServer(), licenses()],
  preview: { host: '127.0.0.1' },
});

/** licenses.txt: the texts of the licences of all that the page is made of. */
function licenses(): Plugin {
  return {
    name: 'licenses',
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((part) => (part.type === 'chunk' ? part.moduleIds : []));
      const source = `${licenseTexts(modules)}\n\n${dataLicenses()}\n`;
      this.emitFile({ type: 'asset', fileName: 'licenses.txt', source });
    },
  };
}
