import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const shell = process.platform === 'win32';

/**
 * A project of a user's, for one test file: this package as npm packs and unpacks it, beside the packages that are here.
 * What `dist` holds is packed as it is.
 */
export function installed() {
  const folder = mkdtempSync(join(tmpdir(), 'sae-installed-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
  const name = execFileSync('npm', pack, { cwd: root, encoding: 'utf8', shell }).trim();
  execFileSync('tar', ['-xzf', name], { cwd: folder });
  const own = join(modules, 'webgpu-sae');
  cpSync(join(folder, 'package'), own, { recursive: true });
  for (const other of readdirSync(join(root, 'node_modules'))) {
    if (!other.startsWith('.')) {
      symlinkSync(join(root, 'node_modules', other), join(modules, other), 'junction');
    }
  }
  return {
    folder,
    main: join(own, 'dist/cli/main.js'),
    /** Puts a copy of a package, or of its wanted files, in its link's place, for a test to damage. Gives the copy's folder. */
    own(other: string, wanted?: (file: string) => boolean): string {
      const copy = join(modules, other);
      rmSync(copy, { recursive: true });
      cpSync(join(root, 'node_modules', other), copy, { recursive: true, ...(wanted && { filter: wanted }) });
      return copy;
    },
  };
}
