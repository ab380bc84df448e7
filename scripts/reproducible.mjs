// Packs the last commit twice, from clones in folders, time zones and with file modes of their own, and compares the bytes:
//   node scripts/reproducible.mjs [FOLDER]
// Where they are the same, the package goes into FOLDER, which is `release` where it is not given. With another release of Node, or on another kind of
// processor, zlib may pack the same bytes in another way: the SHA-256 of each file in the package is then the same, but for mnist-10k.idx.gz.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { root, SetupError, say } from './setup/run.mjs';

/** Packs the last commit twice. @returns {string} the package's file, in `folder`. @throws SetupError where the two differ */
export function packTwice(folder) {
  const temporary = mkdtempSync(join(tmpdir(), 'sae-packs-'));
  const mask = process.umask();
  try {
    const one = packClone(join(temporary, 'one'), { TZ: 'UTC' });
    process.umask(0o077);
    const other = packClone(join(temporary, 'another place/of another length'), {
      TZ: 'Asia/Kathmandu',
      LANG: 'C',
    });
    process.umask(mask);
    if (!readFileSync(one).equals(readFileSync(other))) {
      const names = differences(unpacked(one), unpacked(other));
      throw new SetupError(
        `Two packages of one commit differ: ${names.join(', ') || 'in how they are packed'}.`,
      );
    }
    mkdirSync(folder, { recursive: true });
    const file = join(folder, basename(one));
    copyFileSync(one, file);
    return file;
  } finally {
    process.umask(mask);
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** The integrity of a file, as npm writes it. */
export function integrity(file) {
  return `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;
}

function packClone(clone, env) {
  const run = (command, args, cwd) => {
    const shell = process.platform === 'win32' && command === 'npm';
    const options = { cwd, shell, encoding: 'utf8', env: { ...process.env, ...env } };
    const { status, stdout, stderr } = spawnSync(command, args, options);
    if (status !== 0) throw new SetupError(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  };
  say(`Packing in ${clone} ...`);
  run('git', ['clone', '--quiet', root, clone], root);
  run('npm', ['ci', '--include=dev', '--ignore-scripts'], clone);
  run('npm', ['pack', '--pack-destination', clone], clone);
  return join(
    clone,
    readdirSync(clone).find((name) => name.endsWith('.tgz')),
  );
}

/** The files in a package, with their modes and SHA-256. */
function unpacked(file) {
  const folder = `${file}.files`;
  mkdirSync(folder);
  spawnSync('tar', ['-xpzf', file, '-C', folder]);
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return new Map(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
      return [path.slice(folder.length + 1), `${statSync(path).mode} ${hash}`];
    }),
  );
}

function differences(one, other) {
  return [...new Set([...one.keys(), ...other.keys()])].filter((path) => one.get(path) !== other.get(path));
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  try {
    const file = packTwice(resolve(argv[2] ?? join(root, 'release')));
    say(`The same bytes twice: ${file}, ${integrity(file)}`);
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}
