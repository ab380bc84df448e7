import { product } from './array.js';
import type { ByteSource, Fail } from './bytes.js';
import { longestPickle, type Pickled, readPickle } from './pickle.js';
import { openZip, type ZipMember } from './zip.js';

// The format of torch.save since PyTorch 1.6: a zip archive with one folder, which holds the pickle `data.pkl` and the
// values of each storage as `data/KEY`. In the pickle, a persistent id names a storage, and a call says how a tensor
// lies in it. PyTorch's documentation: Serialization semantics, «Serialized file format for torch.save».

/** Bytes a value, by the types of tensors. */
const valueBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type TorchType = keyof typeof valueBytes;

/** PyTorch's classes of storages. */
const storageTypes = new Map<string, TorchType>([
  ['DoubleStorage', 'F64'],
  ['FloatStorage', 'F32'],
  ['HalfStorage', 'F16'],
  ['BFloat16Storage', 'BF16'],
  ['LongStorage', 'I64'],
  ['IntStorage', 'I32'],
  ['ShortStorage', 'I16'],
  ['CharStorage', 'I8'],
  ['ByteStorage', 'U8'],
  ['BoolStorage', 'BOOL'],
]);

/** A mention of such a class. */
class StorageClass {
  constructor(readonly type: TorchType) {}
}

/** A storage that a persistent id names. */
class Storage {
  constructor(
    readonly type: TorchType,
    /** Values. */
    readonly length: number,
    readonly member: ZipMember,
    readonly fail: Fail,
  ) {}
}

/** A tensor in a torch file. */
export class TorchTensor {
  constructor(
    private readonly stored: Storage,
    /** Where the first value lies in the storage, in values. */
    readonly offset: number,
    readonly shape: readonly number[],
    /** How far apart neighbours along each dimension lie in the storage, in values. */
    readonly strides: readonly number[],
  ) {}

  get type(): TorchType {
    return this.stored.type;
  }

  /** Reads the storage, which other tensors may share, into memory of its own. */
  storage(): Promise<Uint8Array<ArrayBuffer>> {
    return this.stored.member.read();
  }

  /** The byte of the file where the storage begins. */
  async place(): Promise<number> {
    const { member, fail } = this.stored;
    return (
      (await member.place()) ??
      fail('its tensors are packed in its zip archive, and torch.save stores them as they are.')
    );
  }
}

const storageClasses = new Map<string, object>(
  [...storageTypes].map(([name, type]) => [`torch.${name}`, new StorageClass(type)]),
);

/**
 * Reads what a file of torch.save holds; tensors are read when they are needed.
 * @param fail is called where it holds anything but dictionaries, lists, numbers, texts and tensors.
 * @returns a TorchTensor, or a Map or an array of them and of what else stands beside them.
 */
export async function openTorch(file: ByteSource, fail: Fail): Promise<Pickled> {
  const members = await openZip(file, fail);
  const [pickleName] = [...members.keys()]
    .filter((name) => /^([^/]*\/)?data\.pkl$/.test(name))
    .sort((a, b) => a.length - b.length);
  if (pickleName === undefined) {
    return fail('it is a zip archive without the file data.pkl that torch.save writes.');
  }
  const folder = pickleName.slice(0, -'data.pkl'.length);
  await checkByteOrder(members.get(`${folder}byteorder`), fail);
  const pickle = members.get(pickleName)!;
  if (pickle.length > longestPickle) {
    fail(`its pickle has ${pickle.length} bytes, and at most ${longestPickle} were expected.`);
  }
  const allowed = {
    calls: new Map<string, (args: readonly Pickled[]) => Pickled>([
      ['collections.OrderedDict', (args) => emptyDictionary(args, fail)],
      ['torch._utils._rebuild_tensor_v2', (args) => tensorOf(args, fail)],
      // (data, requires_grad, backward_hooks): nn.Parameter.
      [
        'torch._utils._rebuild_parameter',
        ([tensor]) => (tensor instanceof TorchTensor ? tensor : malformed(fail)),
      ],
    ]),
    constants: storageClasses,
    persistent: (id: Pickled) => storageOf(id, folder, members, fail),
  };
  return readPickle(await pickle.read(), allowed, fail);
}

async function checkByteOrder(member: ZipMember | undefined, fail: Fail): Promise<void> {
  if (!member || member.length > 16) return;
  const order = new TextDecoder().decode(await member.read());
  if (order !== 'little') fail(`its byte order is ${JSON.stringify(order)}, and little was expected.`);
}

function malformed(fail: Fail): never {
  return fail('its pickle has a tensor that is not described as torch.save does it.');
}

function emptyDictionary(args: readonly Pickled[], fail: Fail): Map<Pickled, Pickled> {
  return args.length === 0 ? new Map() : malformed(fail);
}

/** ('storage', class, key, device, values). */
function storageOf(
  id: Pickled,
  folder: string,
  members: ReadonlyMap<string, ZipMember>,
  fail: Fail,
): Storage {
  if (!Array.isArray(id)) return malformed(fail);
  const [kind, storageClass, key, , length] = id;
  if (kind !== 'storage' || !(storageClass instanceof StorageClass) || !isCount(length)) {
    return malformed(fail);
  }
  const { type } = storageClass;
  const name = `${folder}data/${key}`;
  const member = members.get(name) ?? fail(`it lacks the part ${name}, which its pickle names.`);
  const needed = length * valueBytes[type];
  if (member.length !== needed) {
    fail(`its part ${name} has ${member.length} bytes, and its pickle claims ${needed}.`);
  }
  return new Storage(type, length, member, fail);
}

/** No tensor of a model or of rows has more dimensions. */
const mostDimensions = 8;

/** (storage, offset, size, stride, requires_grad, backward_hooks). */
function tensorOf([storage, offset, shape, strides]: readonly Pickled[], fail: Fail): TorchTensor {
  if (!(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides)) {
    return malformed(fail);
  }
  if (shape.length !== strides.length || shape.length > mostDimensions) return malformed(fail);
  const last = shape.reduce((at, side, i) => at + (side - 1) * strides[i], offset);
  const count = product(shape);
  // A stride of 0 repeats values, and a small file would claim a tensor of any size.
  if (count > 0 && (last >= storage.length || count > storage.length)) {
    fail(`it has a tensor [${shape}] that does not fit into its storage of ${storage.length} values.`);
  }
  return new TorchTensor(storage, offset, shape, strides);
}

function isCount(value: Pickled): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: Pickled): value is number[] {
  return Array.isArray(value) && value.length <= mostDimensions && value.every(isCount);
}
