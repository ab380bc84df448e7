import { bytesOf, u32, zipFile } from './zip-file.js';

/** A tensor for `torchFile`. */
export interface TorchValue {
  /** PyTorch's class of the storage, `FloatStorage` by default. */
  readonly storage?: string;
  readonly shape: readonly number[];
  /** Row-major unless it says otherwise. */
  readonly strides?: readonly number[];
  readonly offset?: number;
  /** The storage; those that are the same object are stored once. */
  readonly bytes: Uint8Array;
  /** Values that the pickle claims for the storage; as many as there are by default. */
  readonly claimed?: number;
  /** Whether it is an nn.Parameter. */
  readonly parameter?: boolean;
}

/** What a pickle of `torchFile` holds. */
export type TorchEntry = TorchValue | number | string | null | TorchDictionary;
export interface TorchDictionary {
  readonly [name: string]: TorchEntry;
}

const sizes: Readonly<Record<string, number>> = {
  DoubleStorage: 8,
  LongStorage: 8,
  HalfStorage: 2,
  BFloat16Storage: 2,
};

/** A file as torch.save makes it of a dictionary, by the opcodes that Python's pickle writes in protocol 2. */
export function torchFile(dictionary: TorchDictionary): Uint8Array<ArrayBuffer> {
  const storages: Uint8Array[] = [];
  return torchZip(torchPickle(dictionary, storages), storages);
}

/** The pickle of such a file; its storages are added to `storages`, in the order of their keys. */
export function torchPickle(dictionary: TorchDictionary, storages: Uint8Array[] = []): Uint8Array {
  return bytesOf([0x80, 2], pickled(dictionary, storages), [0x2e]);
}

/** A torch file with that pickle. */
export function torchZip(pickle: Uint8Array, storages: readonly Uint8Array[] = []): Uint8Array<ArrayBuffer> {
  return zipFile({
    'archive/data.pkl': pickle,
    'archive/byteorder': new TextEncoder().encode('little'),
    ...Object.fromEntries(storages.map((bytes, key) => [`archive/data/${key}`, bytes])),
    'archive/version': new TextEncoder().encode('3\n'),
  });
}

function isTensor(entry: TorchEntry): entry is TorchValue {
  return typeof entry === 'object' && entry !== null && entry.bytes instanceof Uint8Array;
}

function pickled(entry: TorchEntry, storages: Uint8Array[]): Uint8Array {
  if (entry === null) return bytesOf([0x4e]);
  if (typeof entry === 'string') return unicode(entry);
  if (typeof entry === 'number') {
    if (Number.isInteger(entry)) return bytesOf([0x4a], u32(entry));
    const big = new DataView(new ArrayBuffer(8));
    big.setFloat64(0, entry);
    return bytesOf([0x47], new Uint8Array(big.buffer));
  }
  if (isTensor(entry)) return tensor(entry, storages);
  const items = Object.entries(entry).flatMap(([name, value]) => [unicode(name), pickled(value, storages)]);
  // With the module versions that a state_dict has as an attribute.
  return bytesOf(
    global('collections', 'OrderedDict'),
    [0x29, 0x52, 0x28],
    ...items,
    [0x75],
    [0x7d],
    unicode('_metadata'),
    [0x7d, 0x73, 0x62],
  );
}

function tensor(value: TorchValue, storages: Uint8Array[]): Uint8Array {
  const { storage = 'FloatStorage', shape, bytes, offset = 0 } = value;
  const strides = value.strides ?? shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  if (!storages.includes(bytes)) storages.push(bytes);
  const key = unicode(String(storages.indexOf(bytes)));
  const count = value.claimed ?? bytes.length / (sizes[storage] ?? 4);
  const id = bytesOf(
    [0x28],
    unicode('storage'),
    global('torch', storage),
    key,
    unicode('cpu'),
    pickled(count, []),
    [0x74, 0x51],
  );
  const rebuilt = bytesOf(
    global('torch._utils', '_rebuild_tensor_v2'),
    [0x28],
    id,
    pickled(offset, []),
    tuple(shape),
    tuple(strides),
    [0x89],
    global('collections', 'OrderedDict'),
    [0x29, 0x52, 0x74, 0x52],
  );
  return value.parameter
    ? bytesOf(
        global('torch._utils', '_rebuild_parameter'),
        [0x28],
        rebuilt,
        [0x88],
        global('collections', 'OrderedDict'),
        [0x29, 0x52, 0x74, 0x52],
      )
    : rebuilt;
}

export function unicode(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return bytesOf([0x58], u32(bytes.length), bytes);
}

export function global(module: string, name: string): Uint8Array {
  return bytesOf([0x63], new TextEncoder().encode(`${module}\n${name}\n`));
}

function tuple(numbers: readonly number[]): Uint8Array {
  return bytesOf([0x28], ...numbers.map((number) => pickled(number, [])), [0x74]);
}

/** Bytes of f32 values. */
export function f32Bytes(values: ArrayLike<number>): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
