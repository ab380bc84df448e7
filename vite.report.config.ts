import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { licenseTexts } from './scripts/licenses.mjs';

/** The viewer that `sae report` puts its data into: one file, dist/report/template.html. A part of `npm run build`. */
export default defineConfig({
  root: fileURLToPath(new URL('src/report', import.meta.url)),
  plugins: [oneFile()],
  build: {
    outDir: fileURLToPath(new URL('dist/report', import.meta.url)),
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: false,
    cssCodeSplit: false,
    // The chart library takes most of it.
    chunkSizeWarningLimit: 1100,
  },
});

/** Puts script and style into the HTML, and a policy that lets run and be styled by nothing else. */
function oneFile(): Plugin {
  return {
    name: 'one-file',
    enforce: 'post',
    generateBundle(_options, bundle) {
      let script = '';
      let style = '';
      const modules: string[] = [];
      for (const [name, part] of Object.entries(bundle)) {
        if (part.type === 'chunk') {
          script += part.code;
          modules.push(...part.moduleIds);
        } else if (name.endsWith('.css')) style += part.source;
        if (!name.endsWith('.html')) delete bundle[name];
      }
      // A script's text ends at "</script"; after "<!--" it would end elsewhere.
      script = script.replaceAll('</script', '<\\/script').replaceAll('<!--', '\\x3c!--');
      const policy = `default-src 'none'; script-src '${hash(script)}'; style-src '${hash(style)}'; base-uri 'none'; form-action 'none'`;
      const licenses = licenseTexts(modules);
      if (/--!?>/.test(licenses)) throw new Error('A licence would end the comment that it is in.');
      const page = bundle['index.html'];
      if (page?.type !== 'asset') throw new Error('Vite made no HTML.');
      const html = String(page.source)
        .replaceAll(/\s*<(script type="module"|link rel="stylesheet")[^>]*>(<\/script>)?/g, '')
        .replace(
          '<meta charset="utf-8" />',
          (charset) => `${charset}\n    <meta http-equiv="Content-Security-Policy" content="${policy}" />`,
        )
        .replace('</html>', (end) => `  <!--\n\n${licenses}\n\n-->\n${end}`)
        .replace(
          '</head>',
          (end) => `  <style>${style}</style>\n    <script type="module">${script}</script>\n  ${end}`,
        );
      delete bundle['index.html'];
      this.emitFile({ type: 'asset', fileName: 'template.html', source: html });
    },
  };
}

const hash = (text: string) => `sha256-${createHash('sha256').update(text).digest('base64')}`;
