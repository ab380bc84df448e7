import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { DataError } from '../../sae/errors.js';
import { type Element, elements, grouped, product } from '../../sae/rows/formats/array.js';
import type { OpenedRows, OpenOptions, RowFormat } from '../../sae/rows/formats/file.js';
import { openedArray } from '../../sae/rows/formats/headed.js';
import { type NamedArray, pickArray, pickedNote } from '../../sae/rows/formats/named.js';
import type { Hdf5Answer, Hdf5Dataset, Hdf5Request, Slab } from './hdf5-worker.js';

const signature = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');

/** The classes of HDF5's types that are numbers. */
const [integers, floats] = [0, 1];
/** Filters that the library has: deflate, shuffle, fletcher32, nbit and scaleoffset. */
const known = [1, 2, 3, 5, 6];
/** Values have at most this many times the file's bytes: any number of values that were never written takes none of them. */
const mostExpansion = 2 ** 15;

/** HDF5: a data set of two dimensions or more. */
export const hdf5: RowFormat = {
  name: 'HDF5',
  article: 'an',
  endings: /\.(h5|hdf5)$/i,
  named: true,
  recognizes: (head) => signature.every((byte, i) => head[i] === byte),
  open: ({ name }, options) => openHdf5(name, name, options),
};

/** A data set of the file. */
interface Member extends NamedArray {
  readonly element: Element | undefined;
  /** What its values are packed with that the library cannot unpack. */
  readonly packed: string | undefined;
}

/**
 * A data set of an HDF5 file as rows. The library opens the file itself, in a thread and a memory of its own, and gives the bytes of any part.
 * @param path of the file. @param file its name in messages.
 * @throws DataError.
 */
export async function openHdf5(path: string, file: string, options: OpenOptions): Promise<OpenedRows> {
  const fail = (sentence: string, cause?: unknown): never => {
    throw new DataError(`${file} is not an HDF5 file that can be read: ${sentence}`, { cause });
  };
  const answerTo = async (values?: Hdf5Request['values']) => {
    const answer = await asked({ path, file, ...(values && { values }) });
    if (answer === undefined)
      return fail('it is damaged so that reading it does not end. Copy or write it again.');
    if ('refused' in answer) throw new DataError(answer.refused);
    if ('damaged' in answer) {
      return fail('it is truncated or damaged. Copy or write it again.', new Error(answer.damaged));
    }
    if ('elsewhere' in answer) {
      return fail(
        `what is in it lies in another file, ${answer.elsewhere}, which is not read. Write it into one file.`,
      );
    }
    return answer;
  };
  const { datasets } = (await answerTo()) as { datasets: readonly Hdf5Dataset[] };
  const arrays = datasets.map(({ name, metadata, filters }): Member => {
    const element = elementOf(metadata);
    const { shape } = metadata;
    const packed = filters.find(({ id }) => !known.includes(id))?.name;
    const type = element ?? `class ${metadata.type} of ${metadata.size} bytes`;
    const float = metadata.type === floats;
    const readable = element !== undefined && shape !== null;
    return { name, shape: shape ?? [], type, element, packed, readable, float };
  });
  const picked = pickArray(arrays, options.tensor, file);
  const { name, shape, packed } = picked;
  if (packed)
    fail(`${name} is packed with ${packed}, which cannot be unpacked here. Write it with gzip, or without.`);
  const element = picked.element!;
  const { bytes: size } = elements[element];
  const bytes = product(shape) * size;
  const { size: fileBytes } = statSync(path);
  if (bytes > mostExpansion * fileBytes) {
    fail(
      `${name} claims ${grouped(bytes)} bytes of values, and its ${grouped(fileBytes)} bytes cannot hold that. It is damaged, or its values ` +
        'were never written.',
    );
  }
  // The library turns the bytes of others round.
  const header = { element, littleEndian: true, fortranOrder: false, shape, headerBytes: 0 };
  const read = async (begin: number, into: Uint8Array) => {
    const parts = [...slabs(shape, begin / size, (begin + into.length) / size)];
    const { values } = (await answerTo({ name, size, slabs: parts })) as { values: readonly Uint8Array[] };
    let filled = 0;
    for (const part of values) {
      into.set(part, filled);
      filled += part.length;
    }
  };
  const source = arrays.length > 1 ? `${file}, data set ${name},` : file;
  const stored = { bytes, packed: undefined };
  const opened = openedArray(source, header, stored, options, 'HDF5', { read, within: ' of the data set' });
  return {
    ...opened,
    notes: [...pickedNote(arrays, picked, options.tensor, file, 'data sets'), ...opened.notes],
  };
}

function elementOf({ type, size, signed, vlen }: Hdf5Dataset['metadata']): Element | undefined {
  if (vlen) return undefined;
  if (type === floats) return ({ 2: 'f16', 4: 'f32', 8: 'f64' } as const)[size as 2 | 4 | 8];
  const sizes = { 1: ['u8', 'i8'], 2: ['u16', 'i16'], 4: ['u32', 'i32'] } as const;
  return type === integers ? sizes[size as 1 | 2 | 4]?.[signed ? 1 : 0] : undefined;
}

/** The values from `begin` up to, not including, `end`, in the order in which the last index runs fastest, as parts of an array. */
function* slabs(shape: readonly number[], begin: number, end: number): Generator<Slab> {
  const [, ...inner] = shape;
  const each = product(inner);
  let at = begin;
  while (at < end) {
    const first = Math.floor(at / each);
    if (at % each === 0 && end - at >= each) {
      const count = Math.floor((end - at) / each);
      yield { offset: [first, ...inner.map(() => 0)], count: [count, ...inner] };
      at += count * each;
    } else {
      const last = Math.min(end, (first + 1) * each);
      for (const { offset, count } of slabs(inner, at - first * each, last - first * each)) {
        yield { offset: [first, ...offset], count: [1, ...count] };
      }
      at = last;
    }
  }
}

/** Found from `src/node/data` and from `dist/node/data`. */
const program = new URL('../../../dist/node/data/hdf5-worker.js', import.meta.url);
/** Milliseconds for some megabytes of values, also from a slow disk of another machine. */
const patience = 30_000;

let thread: Worker | undefined;
/** Questions take turns. */
let last: Promise<unknown> = Promise.resolve();

/** The answer of the thread with the library, or undefined where it gives none: damage can keep it busy without end. It is then ended. */
function asked(request: Hdf5Request): Promise<Hdf5Answer | undefined> {
  const answer = last.then(
    () =>
      new Promise<Hdf5Answer | undefined>((resolve) => {
        thread ??= new Worker(program);
        const asking = thread;
        const done = (found: Hdf5Answer | undefined) => {
          clearTimeout(timer);
          asking.off('message', done).off('error', failed);
          // An idle thread keeps no process.
          asking.unref();
          resolve(found);
        };
        const end = (found: Hdf5Answer | undefined) => {
          thread = undefined;
          done(found);
          void asking.terminate();
        };
        const failed = (error: Error) => end({ damaged: error.message });
        const timer = setTimeout(() => end(undefined), patience);
        asking.ref();
        asking.on('message', done).on('error', failed);
        asking.postMessage(request);
      }),
  );
  last = answer;
  return answer;
}
