import { DataError } from '../../errors.js';
import { type Element, elements, viewOf } from './array.js';
import type { Fail } from './bytes.js';
import { partsOf, type RowFormat } from './file.js';
import { type NamedArray, pickArray, pickedNote } from './named.js';
import type { Pickled } from './pickle.js';
import { openedStrided } from './strided.js';
import { openTorch, TorchTensor } from './torch.js';

/** The files of such an archive, one of which is the first: in one folder. */
const parts =
  /^[^/]*\/(data\.pkl$|byteorder$|version$|\.format_version$|\.storage_alignment$|data\/|\.data\/)/;

/** What PyTorch before 1.6 wrote: a bare pickle whose first value is the long 0x1950a86a20f9469cfc6c. */
const legacy = [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9];

interface NamedTensor extends NamedArray {
  readonly tensor: TorchTensor;
}

/** torch.save's: a tensor, or tensors in dictionaries and lists. Nothing of it is executed. */
export const torch: RowFormat = {
  name: '.pt',
  article: 'a',
  endings: /\.(pt|pth)$/i,
  named: true,
  recognizes: (head) => parts.test(firstName(head)) || legacy.every((byte, i) => head[i] === byte),
  async open(file, options) {
    const { name } = file;
    const fail: Fail = (sentence, cause) => {
      throw new DataError(`${name} is not a file of torch.save that can be read: ${sentence}`, { cause });
    };
    const source = partsOf(file, fail);
    const first = new Uint8Array(1);
    await source.read(0, first);
    if (first[0] === legacy[0]) {
      fail('it was saved by PyTorch before 1.6. Load it there and save it once more with torch.save.');
    }
    const arrays = tensorsIn(await openTorch(source, fail));
    const picked = pickArray(arrays, options.tensor, name);
    const { tensor } = picked;
    const { type, shape, strides, offset } = tensor;
    const element = type.toLowerCase() as Element;
    const begin = (await tensor.place()) + offset * elements[element].bytes;
    const array = arrays.length > 1 ? `${name}, tensor ${picked.name},` : name;
    const strided = { element, littleEndian: true, shape, strides, begin };
    const opened = openedStrided(array, strided, options, file.read);
    return { ...opened, notes: [...pickedNote(arrays, picked, options.tensor, name), ...opened.notes] };
  },
};

/** The name of the first file in a ZIP archive, '' if it is none. */
function firstName(head: Uint8Array): string {
  if (head.length < 30 || viewOf(head).getUint32(0) !== 0x504b0304) return '';
  return new TextDecoder('latin1').decode(head.subarray(30, 30 + viewOf(head).getUint16(26, true)));
}

/** The tensors in dictionaries and lists, and in those within, by their keys: `layers.0.acts`. */
function tensorsIn(root: Pickled): NamedTensor[] {
  const found: NamedTensor[] = [];
  // A pickle may have a list in itself, and one list in many places.
  const seen = new Set<Pickled>();
  const open: [name: string, value: Pickled][] = [['', root]];
  for (const [name, value] of open) {
    if (value instanceof TorchTensor) {
      const { type, shape } = value;
      const readable = Object.hasOwn(elements, type.toLowerCase());
      found.push({ name, shape, type, readable, float: readable && /^B?F/.test(type), tensor: value });
    } else if ((value instanceof Map || Array.isArray(value)) && !seen.has(value)) {
      seen.add(value);
      for (const [key, item] of value.entries()) open.push([name === '' ? `${key}` : `${name}.${key}`, item]);
    }
  }
  return found;
}
