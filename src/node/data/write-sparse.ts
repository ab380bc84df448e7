import { dirname, resolve } from 'node:path';
import { needsI64, nonzeroValues, RowPointers, widened } from '../../sae/rows/csr.js';
import { npyHeader } from '../../sae/rows/formats/npy.js';
import { safetensorsHeader } from '../../sae/rows/formats/safetensors-header.js';
import { checkRoom } from '../folder.js';
import { TemporaryFile } from '../temporary-file.js';
import { writeWhole } from '../write-file.js';
import { type Blocks, checked, type RowsShape, unwritable } from './write-dense.js';

/** npz: as `scipy.sparse.save_npz` writes it, without compression. safetensors: the same arrays as tensors. */
export type SparseFormat = 'npz' | 'safetensors';

/**
 * Writes f32 rows as a matrix in CSR, block by block: the values that are not 0 as `data`, their columns as `indices`, and where
 * the values of each row begin as `indptr`, beside `shape`. Their number, which stands before them, is known at the end only: until
 * then they are in temporary files of the same disk, so that it needs room for them twice. After a failure the old file is
 * still there.
 * @param signal ends it; `blocks` has to look at it itself.
 * @returns how many values are not 0.
 * @throws DataError if it cannot be written; EngineError if there is no room for the file; the signal's reason; and
 *   whatever `blocks` throws.
 */
export async function writeSparse(
  file: string,
  format: SparseFormat,
  shape: RowsShape,
  blocks: Blocks,
  signal?: AbortSignal,
): Promise<number> {
  const folder = dirname(resolve(file));
  const failure = (why: string, cause: unknown) => unwritable(file, why, cause);
  let values = 0;
  async function* parts() {
    const spool = [0, 1, 2].map(() => TemporaryFile.make(folder, failure));
    try {
      for await (const block of checked(blocks, shape)) {
        const { data, indices, counts } = nonzeroValues(block, shape[1]);
        for (const [i, part] of [data, indices, counts].entries()) await spool[i].append(part);
        values += data.length;
      }
      const arrays = arraysOf(shape, values, spool);
      const bytes = arrays.reduce((all, { length, size }) => all + length * size, 0);
      await checkRoom(folder, bytes, file);
      for await (const part of format === 'npz' ? npzOf(arrays) : safetensorsOf(arrays)) {
        signal?.throwIfAborted();
        yield part;
      }
    } finally {
      for (const part of spool) part.close();
    }
  }
  await writeWhole(file, parts(), failure);
  return values;
}

/** An array of one dimension. */
interface FlatArray {
  readonly name: string;
  readonly length: number;
  readonly dtype: 'F32' | 'I32' | 'I64';
  /** Bytes a value. */
  readonly size: number;
  bytes(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** The arrays of the matrix, of which those of 64 bits come first. */
function arraysOf(
  shape: RowsShape,
  values: number,
  [data, indices, counts]: readonly TemporaryFile[],
): FlatArray[] {
  const wide = needsI64(values);
  const index = { dtype: wide ? 'I64' : 'I32', size: wide ? 8 : 4 } as const;
  return [
    {
      name: 'shape',
      length: 2,
      dtype: 'I64',
      size: 8,
      bytes: () => [new Uint8Array(BigInt64Array.from(shape, BigInt).buffer)],
    },
    {
      name: 'indptr',
      length: shape[0] + 1,
      ...index,
      async *bytes() {
        const pointers = new RowPointers(wide);
        yield new Uint8Array(pointers.first().buffer);
        for await (const { buffer } of counts.chunks()) {
          yield new Uint8Array(pointers.next(new Int32Array(buffer)).buffer);
        }
      },
    },
    {
      name: 'indices',
      length: values,
      ...index,
      async *bytes() {
        for await (const chunk of indices.chunks()) {
          yield wide ? new Uint8Array(widened(new Int32Array(chunk.buffer)).buffer) : chunk;
        }
      },
    },
    { name: 'data', length: values, dtype: 'F32', size: 4, bytes: () => data.chunks() },
  ];
}

const numpyTypes = { F32: '<f4', I32: '<i4', I64: '<i8' } as const;

/** The arrays as `numpy.savez` writes them, with the text `csr` by which SciPy knows what they are. */
async function* npzOf(arrays: readonly FlatArray[]): AsyncGenerator<Uint8Array> {
  // Of the libraries that write a ZIP archive as a stream, with members of more than 4 GiB, it is the smallest.
  const { makeZip } = await import('client-zip');
  // The same codes make the same file: a ZIP archive's first date stands for none.
  const lastModified = new Date(1980, 0, 1);
  const members = arrays.map(({ name, length, dtype, bytes }) => ({
    name: `${name}.npy`,
    lastModified,
    input: (async function* () {
      yield npyHeader([length], numpyTypes[dtype]);
      yield* bytes();
    })(),
  }));
  const csr = Buffer.concat([npyHeader([], '|S3'), Buffer.from('csr')]);
  yield* makeZip([{ name: 'format.npy', lastModified, input: csr }, ...members]);
}

async function* safetensorsOf(arrays: readonly FlatArray[]): AsyncGenerator<Uint8Array> {
  const tensors = arrays.map(({ name, dtype, length }) => ({ name, dtype, shape: [length] }));
  yield safetensorsHeader(tensors, new Map());
  for (const { bytes } of arrays) yield* bytes();
}
