// The thread in which `hdf5.ts` has HDF5 files read.

import { openSync } from 'node:fs';
import { devNull } from 'node:os';
import { resolve } from 'node:path';
import { parentPort } from 'node:worker_threads';
import type { Metadata } from 'h5wasm/node';
import { EngineError } from '../../gpu/errors.js';
import { product } from '../../sae/rows/formats/array.js';
import { optional } from './optional.js';

/** A part of an array: where it begins, and how much it has of each side. */
export interface Slab {
  readonly offset: readonly number[];
  readonly count: readonly number[];
}

/** What is asked for: all data sets of a file or, of one whose values have so many bytes, those of some parts. */
export interface Hdf5Request {
  readonly path: string;
  /** The file's name in messages. */
  readonly file: string;
  readonly values?: { readonly name: string; readonly size: number; readonly slabs: readonly Slab[] };
}

/** A data set, with the filters that it is packed with. */
export interface Hdf5Dataset {
  readonly name: string;
  readonly metadata: Pick<Metadata, 'type' | 'size' | 'signed' | 'vlen' | 'shape'>;
  readonly filters: readonly { readonly id: number; readonly name: string }[];
}

export type Hdf5Answer =
  | { readonly datasets: readonly Hdf5Dataset[] }
  | { readonly values: readonly Uint8Array[] }
  /** The other file in which something lies. */
  | { readonly elsewhere: string }
  | { readonly damaged: string }
  /** The engine's own sentence. */
  | { readonly refused: string };

/** The library's way to files. */
interface FileSystem {
  readonly streams: { nfd: number }[];
  open(path: string, flags: number, mode: number): unknown;
  readonly ErrnoError: new (code: number) => Error;
}

/** As the library has it: what is opened has to be a folder; there is no such file. */
const [directory, noEntry] = [65536, 44];

parentPort!.on('message', async (request: Hdf5Request) => {
  const answer = await answerTo(request).catch((error: Error) =>
    error instanceof EngineError ? { refused: error.message } : { damaged: error.message },
  );
  const parts = 'values' in answer ? answer.values : [];
  parentPort!.postMessage(
    answer,
    parts.map(({ buffer }) => buffer as ArrayBuffer),
  );
});

async function answerTo({ path, file, values }: Hdf5Request): Promise<Hdf5Answer> {
  const { ready, File, Dataset } = await optional(() => import('h5wasm/node'), {
    what: `${file} is an HDF5 file`,
    install: 'h5wasm@0.10',
  });
  const Module = await ready;
  const fs = Module.FS as unknown as FileSystem;
  // It writes to standard error what is wrong, at length. As exceptions, which it can throw instead, errors leave it unable to read
  // anything more.
  silent ??= openSync(devNull, 'w');
  fs.streams[2].nfd = silent;
  // Links, virtual data sets and raw values may name any file of this machine, and filters programs in folders for these.
  let elsewhere: string | undefined;
  const { open } = fs;
  fs.open = (other, flags, mode) => {
    if (resolve(other) === resolve(path)) return open(other, flags, mode);
    if ((flags & directory) === 0) elsewhere ??= other;
    throw new fs.ErrnoError(noEntry);
  };
  const opened = new File(path, 'r');
  try {
    if (opened.file_id < 0n) throw new Error('it cannot be opened');
    const answer = values ? { values: values.slabs.map((slab) => bytesOf(slab)) } : { datasets: datasets() };
    return elsewhere === undefined ? answer : { elsewhere };
  } catch (error) {
    if (elsewhere === undefined) throw error;
    return { elsewhere };
  } finally {
    fs.open = open;
    opened.close();
  }

  function datasets(): Hdf5Dataset[] {
    return opened.paths().flatMap((name) => {
      const member = opened.get(name);
      if (!(member instanceof Dataset)) return [];
      const { type, size, signed, vlen, shape } = member.metadata;
      const filters = member.filters.map(({ id, name }) => ({ id, name }));
      return [{ name, metadata: { type, size, signed, vlen, shape }, filters }];
    });
  }

  /** The bytes of a part of a data set as they are stored. */
  function bytesOf({ offset, count }: Slab): Uint8Array {
    const { name, size } = values!;
    const length = product(count) * size;
    const memory = Module._malloc(length);
    if (memory === 0) throw new Error('there is no memory');
    try {
      const status = Module.get_dataset_data(
        opened.file_id,
        name,
        count.map(BigInt),
        offset.map(BigInt),
        count.map(() => 1n),
        BigInt(memory),
      );
      if (status < 0) throw new Error('values cannot be read');
      return Module.HEAPU8.slice(memory, memory + length);
    } finally {
      Module._free(memory);
    }
  }
}

/** What the library's standard error goes to. */
let silent: number | undefined;
