import { DataError } from '../../errors.js';
import { type Element, elements } from './array.js';
import type { Fail } from './bytes.js';
import { partsOf, type RowFormat } from './file.js';
import { openedArray } from './headed.js';
import { pickArray, pickedNote } from './named.js';
import { readSafetensorsHeader, type SafetensorsTypes } from './safetensors-header.js';

/** The types of tensors that may stand beside the rows, though none of these is read. */
const others: SafetensorsTypes = {
  I64: 8,
  U64: 8,
  C64: 8,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
};

const types: SafetensorsTypes = {
  ...Object.fromEntries(Object.entries(elements).map(([name, { bytes }]) => [name.toUpperCase(), bytes])),
  ...others,
};

/** A file of tensors, one of which is the rows. A saved model is one, too, and has more that may be rows. */
export const safetensors: RowFormat = {
  name: 'safetensors',
  article: 'a',
  endings: /\.safetensors$/i,
  named: true,
  // The upper bytes of the header's length are 0, and the header is an object in JSON.
  recognizes: (head) => head[7] === 0 && head[8] === '{'.charCodeAt(0),
  async open(file, options) {
    const { name } = file;
    const fail: Fail = (sentence, cause) => {
      throw new DataError(`${name} is not a safetensors file that can be read: ${sentence}`, { cause });
    };
    const { places } = await readSafetensorsHeader(partsOf(file, fail), types, fail);
    const arrays = places.map((place) => {
      const readable = !Object.hasOwn(others, place.dtype);
      return { ...place, type: place.dtype, readable, float: readable && /^B?F/.test(place.dtype) };
    });
    const picked = pickArray(arrays, options.tensor, name);
    const { begin, end, shape, dtype } = picked;
    const element = dtype.toLowerCase() as Element;
    const header = { element, littleEndian: true, fortranOrder: false, shape, headerBytes: begin };
    const source = arrays.length > 1 ? `${name}, tensor ${picked.name},` : name;
    const opened = openedArray(source, header, { bytes: end, packed: undefined }, options, 'safetensors', {
      values: () => file.stream(begin, end),
      read: file.read,
    });
    return { ...opened, notes: [...pickedNote(arrays, picked, options.tensor, name), ...opened.notes] };
  },
};
