import { ConfigError, DataError } from '../../errors.js';
import { rowsOf } from '../values.js';
import {
  type ArrayHeader,
  counted,
  type Element,
  elementNames,
  elements,
  grouped,
  product,
} from './array.js';
import { inPieces, type OpenOptions, type RowFormat, type RowsFile, rowsAtATime } from './file.js';
import { openedArray } from './headed.js';
import { checkImageShape } from './shape.js';

/**
 * Values one after another and nothing else, little-endian, as numpy's `tofile` writes them: `rows_type` says of which type,
 * `in_dims` how many a row has.
 */
export const raw: RowFormat = {
  name: 'raw',
  article: 'a',
  // Nothing tells it: whoever names rows_type says so. In a folder, these are.
  endings: /\.(bin|raw|dat|[ui](8|16|32)|b?f16|f32|f64)$/i,
  recognizes: () => false,
  async open(file, options) {
    const element = elementOf(options.rows_type);
    const in_dims = widthOf(file, options, element);
    const rowBytes = in_dims * elements[element].bytes;
    const header = (rows: number) => ({ ...layout, element, shape: [rows, in_dims] });
    if (!file.packed) {
      const rows = Math.floor(file.bytes / rowBytes);
      if (file.bytes % rowBytes !== 0) throw cut(file, file.bytes, in_dims, element);
      return openedArray(file.name, header(rows), file, options, raw.name, {
        values: () => file.stream(),
        read: file.read,
      });
    }
    const { image_shape } = options;
    if (image_shape) checkImageShape(image_shape, in_dims, file.name);
    return {
      file: file.name,
      type: element === 'u8' ? 'u8' : 'f32',
      element,
      rows: undefined,
      in_dims,
      ...(image_shape && { image_shape }),
      notes: [],
      pieces: () => unpackedRows(file, header(0), in_dims, options),
    };
  },
};

const layout = { littleEndian: true, fortranOrder: false, headerBytes: 0 } as const;

/** The type of raw values by its name. @throws ConfigError. */
export function elementOf(rows_type: string | undefined): Element {
  if (rows_type !== undefined && Object.hasOwn(elements, rows_type)) return rows_type as Element;
  throw new ConfigError(`rows_type must be ${elementNames}, and is ${JSON.stringify(rows_type)}.`);
}

/** @throws ConfigError if it is not said, or wrong. */
function widthOf({ name }: RowsFile, { in_dims, image_shape }: OpenOptions, element: Element): number {
  const width = in_dims ?? (image_shape && product(image_shape));
  if (width === undefined) {
    throw new ConfigError(
      `${name} is a raw file of ${element} values, and nothing says how many a row has. Name in_dims, such as --in_dims 768.`,
    );
  }
  if (!Number.isSafeInteger(width) || width < 1) {
    throw new ConfigError(`in_dims must be a whole number of at least 1, and is ${width}.`);
  }
  return width;
}

/** The rows of a raw file whose length is known only when it is unpacked. */
async function* unpackedRows(
  file: RowsFile,
  header: ArrayHeader,
  in_dims: number,
  { most_bytes = Number.POSITIVE_INFINITY, nonfinite }: OpenOptions,
): AsyncGenerator<Uint8Array | Float32Array> {
  const { element } = header;
  const rowBytes = in_dims * elements[element].bytes;
  const within = ' of the unpacked data';
  const array = { header, shape: { rows: 0, in_dims }, file: file.name, within, nonfinite };
  const checked = async function* () {
    let bytes = 0;
    for await (const chunk of file.stream()) {
      bytes += chunk.length;
      if (bytes > most_bytes) {
        throw new DataError(
          `${file.name} has more than ${grouped(most_bytes)} bytes when unpacked, which is the most that is accepted here. Use ` +
            'fewer rows.',
        );
      }
      yield chunk;
    }
    if (bytes === 0) throw new DataError(`${file.name} has no values when unpacked; expected rows.`);
    if (bytes % rowBytes !== 0) throw cut(file, bytes, in_dims, element);
  };
  let done = 0;
  for await (const piece of inPieces(checked(), rowsAtATime(rowBytes) * rowBytes)) {
    yield rowsOf(piece, done, array);
    done += piece.length;
  }
}

/** Its last row is not whole. */
function cut({ name, packed }: RowsFile, bytes: number, in_dims: number, element: Element): DataError {
  const rowBytes = in_dims * elements[element].bytes;
  return new DataError(
    `${name} has ${counted(bytes, 'byte')}${packed ? ' when unpacked' : ''}, and rows of ${counted(in_dims, `${element} value`)} have ` +
      `${grouped(rowBytes)} each: its row ${grouped(Math.floor(bytes / rowBytes))} (from 0) is cut after ${bytes % rowBytes}. The file ` +
      'is truncated, or rows_type or in_dims is another.',
  );
}
