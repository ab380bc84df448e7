import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { globSync } from 'tinyglobby';

export const folder = dirname(fileURLToPath(import.meta.url));
const fixtures = resolve(folder, '../fixtures');

/** Files of test/fixtures, by patterns, as a seed each. @param longest without those of more bytes. */
export function fixture(patterns, longest = 16_384) {
  return globSync(patterns, { cwd: fixtures })
    .sort()
    .map((name) => readFileSync(join(fixtures, name)))
    .filter(({ length }) => length <= longest);
}

/** The files of a folder of test/fixtures as one seed, by names that match. */
export function fixtureFolder(name, matching = /./) {
  const files = readdirSync(join(fixtures, name), { withFileTypes: true });
  return pack(
    files
      .filter((file) => file.isFile() && matching.test(file.name))
      .map((file) => [file.name, readFileSync(join(fixtures, name, file.name))]),
  );
}

/** Files by their names as one input: of each a line with its name, the length of its bytes as u32, and these. */
export function pack(files) {
  return Buffer.concat(
    [...files].flatMap(([name, content]) => {
      const bytes = Buffer.from(content);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [Buffer.from(`${name}\n`), length, bytes];
    }),
  );
}

/** The files of such an input, whatever it is: what is cut ends where the input does. */
export function unpack(input) {
  const files = new Map();
  for (let at = 0; at < input.length && files.size < 16; ) {
    const end = input.indexOf(0x0a, at);
    if (end < 0 || end + 5 > input.length) break;
    const begin = end + 5;
    const length = Math.min(input.readUInt32LE(end + 1), input.length - begin);
    // No system has longer names.
    files.set(input.toString('utf8', at, Math.min(end, at + 255)), input.subarray(begin, begin + length));
    at = begin + length;
  }
  return files;
}

/** A folder on a disk in memory, where there is one. */
let place;

/** Writes the files of an input into an empty folder; where names would lead out of it, under what is left of them. */
export function onDisk(input) {
  if (!place) {
    place = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sae-fuzz-'));
    process.on('exit', () => rmSync(place, { recursive: true, force: true }));
  }
  rmSync(place, { recursive: true, force: true });
  mkdirSync(place);
  for (const [name, bytes] of unpack(input)) {
    const own = basename(name.replace(/[^\w.-]/g, '_')).slice(0, 100);
    if (!['', '.', '..'].includes(own)) writeFileSync(join(place, own), bytes);
  }
  return place;
}
