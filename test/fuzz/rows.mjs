import { imageDecoder } from '../../dist/node/data/images.js';
import { readError, unpackedStream } from '../../dist/node/data/rows-file.js';
import { DataError } from '../../dist/sae/errors.js';
import { openRowFiles } from '../../dist/sae/rows/decode.js';
import { packingOf } from '../../dist/sae/rows/formats/packing.js';

/** Bytes of a piece of a stream: few, so that what is read spreads over several. */
const pieceBytes = 300;
/** Unpacked bytes that are read: a format may unpack a file to thousands of times its length, which takes as long. */
const most_bytes = 2 ** 21;

/** A file in memory, beside others by name. */
export function memoryFile(name, bytes, all = new Map()) {
  const packed = packingOf(bytes);
  return {
    name,
    bytes: bytes.length,
    packed,
    stream: (begin, end) => {
      const pieces = piecesOf(bytes.subarray(begin ?? 0, end));
      return packed ? unpackedStream(pieces, { bytes: bytes.length, packed }, name) : pieces;
    },
    async read(begin, into) {
      const part = bytes.subarray(begin, begin + into.length);
      // As on a disk.
      if (part.length < into.length) throw new DataError(`${name} was cut while it was read.`);
      into.set(part);
    },
    beside: async (other) => {
      const found = all.get(other);
      return found && memoryFile(other, found, all);
    },
    explain: (error) => readError(error, name),
  };
}

async function* piecesOf(bytes) {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

/** Reads all rows of files in each way there is: one after another, into memory, and from their places. */
export async function readRows(files, options = {}) {
  const sources = files.map((file) => async () => file);
  const given = { ...options, most_bytes, image_decoder: imageDecoder };
  const opened = await openRowFiles(sources, { ...given, nonfinite: 'keep' });
  let count = 0;
  for await (const piece of opened.pieces()) count += piece.length / opened.in_dims;
  if (opened.rows !== undefined && count !== opened.rows) {
    throw new Error(`It has ${opened.rows} rows, and ${count} were read.`);
  }
  if (opened.placed) {
    const { rows, read } = await opened.inPlace();
    const values = await read(Math.floor(rows / 2), rows);
    if (values.length !== (rows - Math.floor(rows / 2)) * opened.in_dims) throw new Error('Rows are cut.');
  }
  await (await openRowFiles(sources, given)).inMemory();
}

/** A target for a format of rows in one file. */
export function rowsTarget(name, seeds, target = {}) {
  const { options, ...others } = target;
  return { seeds, read: (input) => readRows([memoryFile(name, input)], options), ...others };
}
