import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { owner } from '../../src/node/owner.js';
import { removeUnfinished, writeWhole } from '../../src/node/write-file.js';
import { temporaryFolder } from './data/folder.js';

const folder = temporaryFolder();
const posix = process.platform !== 'win32';

class Refused extends Error {}
const refuse = (why: string) => new Refused(why);
const words = (text: string) => [Buffer.from(text)];

describe('writeWhole', () => {
  it('leaves one file with all parts in order, and keeps the mode of the old one', async () => {
    const file = folder.write('whole', 'old');
    chmodSync(file, 0o640);
    async function* parts() {
      yield Buffer.from('one ');
      yield Buffer.from('two');
    }
    await writeWhole(file, parts(), refuse);
    expect(readFileSync(file, 'utf8')).toBe('one two');
    if (posix) expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder.path)).toEqual(['whole']);
  });

  it.skipIf(!posix)('follows a link, which stays one', async () => {
    const file = folder.write('linked', 'old');
    const link = join(folder.path, 'link');
    symlinkSync(file, link);
    await writeWhole(link, words('new'), refuse);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(file, 'utf8')).toBe('new');
  });

  it.skipIf(!posix)(
    'follows links to a file that is still to be, and says where they lead nowhere',
    async () => {
      const [first, second, file] = ['first', 'second', 'file'].map((name) => join(folder.path, name));
      symlinkSync('second', first);
      symlinkSync(file, second);
      await writeWhole(first, words('new'), refuse);
      expect([readlinkSync(first), readlinkSync(second), readFileSync(file, 'utf8')]).toEqual([
        'second',
        file,
        'new',
      ]);
      const circle = join(folder.path, 'circle');
      symlinkSync('circle', circle);
      await expect(writeWhole(circle, words('new'), refuse)).rejects.toThrow('its links lead in a circle');
      const dangling = join(folder.path, 'dangling');
      symlinkSync(join('nowhere', 'x'), dangling);
      await expect(writeWhole(dangling, words('new'), refuse)).rejects.toThrow('the folder does not exist');
    },
  );

  it.skipIf(!posix)('writes to a pipe or a device, and never replaces it', async () => {
    const pipe = join(folder.path, 'pipe');
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0);
    const reader = readFile(pipe, 'utf8');
    await writeWhole(pipe, words('through'), refuse);
    expect(await reader).toBe('through');
    expect(lstatSync(pipe).isFIFO()).toBe(true);
    // A pipe without a path, as in `sae encode ... --out /dev/stdout | wc`.
    const module = pathToFileURL(join(import.meta.dirname, '../../dist/node/write-file.js'));
    const script = `import { writeWhole } from '${module}'; await writeWhole('/dev/stdout', [Buffer.from('out')], Error);`;
    const { stdout } = spawnSync('sh', [
      '-c',
      '"$0" --input-type=module -e "$1" | cat',
      process.execPath,
      script,
    ]);
    expect(stdout.toString()).toBe('out');
    await expect(writeWhole('/dev/full', words('x'), refuse)).rejects.toEqual(
      new Refused('the disk is full'),
    );
    expect(lstatSync('/dev/full').isCharacterDevice()).toBe(true);
  });

  it('refuses a folder before it asks for anything', async () => {
    const asked = () => {
      throw new Error('asked');
    };
    const place = join(folder.path, 'folder');
    mkdirSync(place);
    await expect(writeWhole(place, { [Symbol.iterator]: asked }, refuse)).rejects.toEqual(
      new Refused('it is a folder'),
    );
  });

  it.skipIf(!posix)('a write that is cut short is a failure, and the old file stays', () => {
    const file = folder.write('short', 'the old one');
    const before = readdirSync(folder.path);
    // As on a disk that fills up, the system first writes a part, and says so only by its count of bytes.
    const script = `
      import { writeWhole } from '${new URL('../../dist/node/write-file.js', import.meta.url)}';
      await writeWhole(${JSON.stringify(file)}, [Buffer.alloc(70_000, 1)], (why) => why).catch(console.log);`;
    const shell = 'ulimit -f 48 && exec "$0" "$@"';
    const args = ['-c', shell, process.execPath, '--input-type=module', '-e', script];
    const { stdout } = spawnSync('bash', args, { encoding: 'utf8' });
    expect(stdout).toBe('it would be larger than a file may be here\n');
    expect(readFileSync(file, 'utf8')).toBe('the old one');
    expect(readdirSync(folder.path)).toEqual(before);
  });

  it('a process that exits meanwhile takes away what it has written', () => {
    const file = folder.write('exits', 'the old one');
    const before = readdirSync(folder.path);
    const script = `
      import { readdirSync } from 'node:fs';
      import { writeWhole } from '${new URL('../../dist/node/write-file.js', import.meta.url)}';
      async function* parts() {
        yield Buffer.alloc(1000);
        console.log(readdirSync(${JSON.stringify(folder.path)}).length);
        process.exit(3);
      }
      await writeWhole(${JSON.stringify(file)}, parts(), (why) => why);`;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([3, `${before.length + 1}\n`]);
    expect(readFileSync(file, 'utf8')).toBe('the old one');
    expect(readdirSync(folder.path)).toEqual(before);
  });
});

describe('unfinished files', () => {
  it.skipIf(!posix)('of a dead process are removed at once, and others only when they are old', async () => {
    const place = join(folder.path, 'pictures');
    mkdirSync(place);
    const [machine] = owner().split('-');
    // No process has such a number.
    const dead = `plot.png.${machine}-${2 ** 22 + 1}-0.tmp`;
    const others = [
      `plot.png.${machine}-${process.ppid}-0.tmp`,
      `plot.png.0123abcd-${2 ** 22 + 1}-0.tmp`,
      'plot.png.0123abcd.tmp',
      'report.0123abcd.tmp',
    ];
    for (const name of [dead, ...others]) writeFileSync(join(place, name), 'cut');
    await removeUnfinished(place, ['plot.png'], 60_000);
    expect(readdirSync(place).sort()).toEqual([...others].sort());
    await removeUnfinished(place, ['plot.png']);
    expect(readdirSync(place)).toEqual(['report.0123abcd.tmp']);
  });
});
