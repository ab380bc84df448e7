import { openSync, statSync } from 'node:fs';
import { devNull } from 'node:os';
import { resolve } from 'node:path';
import type { Metadata } from 'h5wasm/node';
import { DataError } from '../../sae/errors.js';
import { type Element, elements, grouped, product } from '../../sae/rows/formats/array.js';
import type { OpenedRows, OpenOptions, RowFormat } from '../../sae/rows/formats/file.js';
import { openedArray } from '../../sae/rows/formats/headed.js';
import { type NamedArray, pickArray, pickedNote } from '../../sae/rows/formats/named.js';
import { optional } from './optional.js';

const signature = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');

/** The classes of HDF5's types that are numbers. */
const [integers, floats] = [0, 1];
/** Filters that the library has: deflate, shuffle, fletcher32, nbit and scaleoffset. */
const filters = [1, 2, 3, 5, 6];
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
 * A data set of an HDF5 file as rows. The library opens the file itself, in a memory of its own, and gives the bytes of any part.
 * @param path of the file. @param file its name in messages.
 * @throws DataError.
 */
export async function openHdf5(path: string, file: string, options: OpenOptions): Promise<OpenedRows> {
  const fail = (sentence: string, cause?: unknown): never => {
    throw new DataError(`${file} is not an HDF5 file that can be read: ${sentence}`, { cause });
  };
  const damagedUnless = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof DataError) throw error;
      if (error instanceof Elsewhere) {
        return fail(
          `what is in it lies in another file, ${error.message}, which is not read. Write it into one file.`,
        );
      }
      return fail('it is truncated or damaged. Copy or write it again.', error);
    }
  };
  const lib = await library(file);
  const arrays = damagedUnless(() =>
    lib.with(path, (opened) =>
      opened.paths().flatMap((name): Member[] => {
        const member = opened.get(name);
        if (!(member instanceof lib.Dataset)) return [];
        const { metadata } = member;
        const element = elementOf(metadata);
        const { shape } = metadata;
        const packed = member.filters.find(({ id }) => !filters.includes(id))?.name;
        const type = element ?? `class ${metadata.type} of ${metadata.size} bytes`;
        const float = metadata.type === floats;
        const readable = element !== undefined && shape !== null;
        return [{ name, shape: shape ?? [], type, element, packed, readable, float }];
      }),
    ),
  );
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
    damagedUnless(() =>
      lib.with(path, (opened) => {
        let filled = 0;
        for (const slab of slabs(shape, begin / size, (begin + into.length) / size)) {
          const bytes = opened.bytes(name, slab, product(slab.count) * size);
          if (!bytes)
            return fail(`its values from byte ${grouped(begin + filled)} of ${name} on cannot be read.`);
          into.set(bytes, filled);
          filled += bytes.length;
        }
      }),
    );
  };
  const source = arrays.length > 1 ? `${file}, data set ${name},` : file;
  const stored = { bytes, packed: undefined };
  const opened = openedArray(source, header, stored, options, 'HDF5', { read, within: ' of the data set' });
  return {
    ...opened,
    notes: [...pickedNote(arrays, picked, options.tensor, file, 'data sets'), ...opened.notes],
  };
}

function elementOf({ type, size, signed, vlen }: Metadata): Element | undefined {
  if (vlen) return undefined;
  if (type === floats) return ({ 2: 'f16', 4: 'f32', 8: 'f64' } as const)[size as 2 | 4 | 8];
  const sizes = { 1: ['u8', 'i8'], 2: ['u16', 'i16'], 4: ['u32', 'i32'] } as const;
  return type === integers ? sizes[size as 1 | 2 | 4]?.[signed ? 1 : 0] : undefined;
}

/** A part of an array: where it begins, and how much it has of each side. */
interface Slab {
  readonly offset: readonly number[];
  readonly count: readonly number[];
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

/** Values lie in another file, which the message names. */
class Elsewhere extends Error {}

/** As the library has it: what is opened has to be a folder; there is no such file. */
const [directory, noEntry] = [65536, 44];

/** What the library's standard error goes to. */
let silent: number | undefined;

async function library(file: string) {
  const { ready, File, Dataset } = await optional(() => import('h5wasm/node'), {
    what: `${file} is an HDF5 file`,
    install: 'h5wasm@0.10',
  });
  const Module = await ready;
  // It writes to standard error what is wrong, at length. As exceptions, which it can throw instead, errors leave it unable to read
  // anything more.
  const fs = Module.FS as unknown as FileSystem;
  const [, , stderr] = fs.streams;
  silent ??= openSync(devNull, 'w');
  stderr.nfd = silent;
  return {
    Dataset,
    /** Opens the file while something is done with it. */
    with<T>(path: string, work: (opened: Opened) => T): T {
      // Links, virtual data sets and raw values may name any file of this machine, and filters programs in folders for these.
      const elsewhere = new Set<string>();
      const { open } = fs;
      fs.open = (other, flags, mode) => {
        if (resolve(other) === resolve(path)) return open(other, flags, mode);
        if ((flags & directory) === 0) elsewhere.add(other);
        throw new fs.ErrnoError(noEntry);
      };
      const opened = new File(path, 'r');
      try {
        if (opened.file_id < 0n) throw new Error('it cannot be opened');
        const done = work({
          paths: () => opened.paths(),
          get: (name) => opened.get(name),
          bytes(name, { offset, count }, length) {
            const memory = Module._malloc(length);
            if (memory === 0) return undefined;
            try {
              const status = Module.get_dataset_data(
                opened.file_id,
                name,
                count.map(BigInt),
                offset.map(BigInt),
                count.map(() => 1n),
                BigInt(memory),
              );
              return status < 0 ? undefined : Module.HEAPU8.slice(memory, memory + length);
            } finally {
              Module._free(memory);
            }
          },
        });
        if (elsewhere.size === 0) return done;
      } catch (error) {
        if (elsewhere.size === 0) throw error;
      } finally {
        fs.open = open;
        opened.close();
      }
      throw new Elsewhere([...elsewhere][0]);
    },
  };
}

/** The library's way to files. */
interface FileSystem {
  readonly streams: { nfd: number }[];
  open(path: string, flags: number, mode: number): unknown;
  readonly ErrnoError: new (code: number) => Error;
}

/** An open file. */
interface Opened {
  /** The names of all that is in it. */
  paths(): string[];
  get(name: string): unknown;
  /** The bytes of a part of a data set as they are stored. */
  bytes(name: string, slab: Slab, length: number): Uint8Array | undefined;
}
