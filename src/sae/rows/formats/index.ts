import { alternatives } from './array.js';
import { arrow } from './arrow.js';
import { csv, tsv } from './csv.js';
import type { RowFormat } from './file.js';
import { headed } from './headed.js';
import { idx } from './idx.js';
import { image } from './image.js';
import { npy } from './npy.js';
import { npz } from './npz.js';
import { unpackedName } from './packing.js';
import { parquet } from './parquet.js';
import { saev } from './saev.js';
import { safetensors } from './safetensors.js';
import { torch } from './torch-rows.js';

/** The file formats of rows. Those listed here can be read everywhere, and are named in messages and help. */
export const rowFormats: readonly RowFormat[] = [
  headed(npy),
  // What torch.save writes is a ZIP archive as well.
  torch,
  npz,
  safetensors,
  headed(idx),
  saev,
  image,
  arrow,
  parquet,
  csv,
  tsv,
];

/** Whether files of rows are called so. */
export function namedAsRows(name: string, formats = rowFormats): boolean {
  return formats.some(({ endings }) => endings.test(unpackedName(name)));
}

/** The formats' names. */
export const rowFormatNames: readonly string[] = rowFormats.map(({ name }) => name);

/** The formats in a sentence: `.npy, .pt, ... or .tsv`. */
export const formatNames = alternatives(rowFormatNames);
