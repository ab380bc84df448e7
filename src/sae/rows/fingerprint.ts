import { hexadecimal } from '../../gpu/shown.js';
import { blocks, inPieces } from './blocks.js';
import { type Rows, storedRows, valueBytes } from './source.js';

/** Of more bytes than this, a sample is read: all of a terabyte would take an hour. */
const readWhole = 2 ** 28;
/** Rows of the sample: runs that are spread evenly, from the first row to the last. */
const sampledRuns = 256;
const rowsOfRun = 64;

/**
 * What tells rows from others, however they are stored and wherever: the SHA-256, in hexadecimal digits, of their type, width,
 * number and values, as stored. Of more than 256 MiB, the values of 256 runs of 64 rows that are spread evenly count.
 * @throws DataError if a value is not finite, and what the source throws.
 */
export async function fingerprint(given: Rows): Promise<string> {
  const source = storedRows(given);
  const { rows, in_dims, type } = source;
  const rowBytes = in_dims * valueBytes[type];
  const digests = [await sha256(new TextEncoder().encode(`${type} ${in_dims} ${rows}`))];
  const runs = rows * rowBytes <= readWhole ? ([[0, rows]] as const) : spread(rows);
  for await (const { values } of blocks(source, inPieces(runs, rowBytes))) {
    digests.push(await sha256(values));
  }
  const all = new Uint8Array(digests.length * 32);
  for (const [i, digest] of digests.entries()) all.set(new Uint8Array(digest), i * 32);
  return hexadecimal(await sha256(all));
}

function* spread(rows: number): Generator<readonly [number, number]> {
  const each = Math.max(1, Math.min(rowsOfRun, Math.floor(rows / sampledRuns)));
  for (let run = 0; run < sampledRuns; run++) {
    const first = Math.round((run * (rows - each)) / (sampledRuns - 1));
    yield [first, first + each];
  }
}

function sha256(bytes: Uint8Array | Float32Array): Promise<ArrayBuffer> {
  return crypto.subtle.digest('SHA-256', bytes as BufferSource);
}
