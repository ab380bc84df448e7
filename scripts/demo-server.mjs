// What `npm run demo` adds to Vite's server of the built page: it answers to its own name alone, with files of its folder alone, and
// has browsers hold the page to the strictest rules that they have.
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';

/**
 * The headers of answers: the policy that a page itself names, and what only headers can say. What is no page has those of the first one.
 * @param {string} folder of the site
 * @returns {(url: string) => Record<string, string>}
 */
export function strictHeaders(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const pages = files.filter((file) => file.isFile() && file.name.endsWith('.html'));
  const headers = new Map(
    pages.map(({ parentPath, name }) => {
      const file = join(parentPath, name);
      const path = `/${relative(folder, file).split(sep).join('/')}`;
      return [path, headersOf(readFileSync(file, 'utf8'))];
    }),
  );
  const first = headers.get('/index.html');
  if (!first) throw new Error('There is no index.html.');
  return (url) => {
    const own = URL.canParse(url, 'http://localhost') && new URL(url, 'http://localhost').pathname;
    return headers.get(own) ?? first;
  };
}

function headersOf(html) {
  const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(html)?.[1];
  if (!policy) throw new Error('The page names no Content-Security-Policy.');
  return {
    'content-security-policy': `${policy}; frame-ancestors 'none'`,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-embedder-policy': 'require-corp',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
}

/** @returns {import('vite').Plugin} */
export function demoServer() {
  return {
    name: 'demo-server',
    // No other page may read what is served; and names are checked here, more strictly than Vite does.
    config: () => ({ preview: { cors: false, allowedHosts: true } }),
    configurePreviewServer(server) {
      const { root, build } = server.config;
      const folder = realpathSync(resolve(root, build.outDir));
      const headersFor = strictHeaders(folder);
      server.middlewares.use((request, response, next) => {
        for (const [name, value] of Object.entries(headersFor(request.url))) response.setHeader(name, value);
        const refuse = (status, why) => {
          response.writeHead(status, { 'content-type': 'text/plain' }).end(`${why}\n`);
        };
        if (!isOwnName(request.headers.host, server.resolvedUrls)) {
          refuse(403, 'This server answers to its own name alone: open the address that it printed.');
        } else if (request.method !== 'GET' && request.method !== 'HEAD') {
          response.setHeader('allow', 'GET, HEAD');
          refuse(405, 'This server sends files, and takes nothing.');
        } else if (leadsOut(folder, request.url)) {
          refuse(404, 'There is no such file.');
        } else next();
      });
    },
  };
}

const loopback = ['localhost', '127.0.0.1', '[::1]'];

/** A page elsewhere could have its own name lead to this machine, and would then read what is here as its own. */
function isOwnName(host, urls) {
  if (host === undefined || !URL.canParse(`http://${host}`)) return false;
  const bound = [...(urls?.local ?? []), ...(urls?.network ?? [])].map((url) => new URL(url).hostname);
  return [...loopback, ...bound].includes(new URL(`http://${host}`).hostname);
}

/** Whether what is asked for is not in the folder, or only by a link. What is not there at all is left to the server. */
function leadsOut(folder, url) {
  try {
    const path = decodeURIComponent(new URL(url, 'http://localhost').pathname);
    const file = realpathSync(join(folder, path));
    return file !== folder && !file.startsWith(folder + sep);
  } catch (error) {
    return error.code !== 'ENOENT' && error.code !== 'ENOTDIR';
  }
}
