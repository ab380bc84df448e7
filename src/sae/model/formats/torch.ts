import type { ByteSource } from '../../rows/formats/bytes.js';
import { openZip, type ZipMember } from '../../rows/formats/zip.js';
import { refusal, refuse } from './bytes.js';
import { longestPickle, type Pickled, readPickle } from './pickle.js';
import { countOf, type StoredTensor, type ValueType, valueTypes } from './stored-tensor.js';

// The format of torch.save since PyTorch 1.6: a zip archive with one folder, which holds the pickle `data.pkl` and the
// values of each storage as `data/KEY`. In the pickle, a persistent id names a storage, and a call says how a tensor
// lies in it. PyTorch's documentation: Serialization semantics, «Serialized file format for torch.save».

/** PyTorch's classes of storages. */
const storageTypes = new Map<string, ValueType>([
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
  constructor(readonly type: ValueType) {}
}

/** A storage that a persistent id names. */
class Storage {
  constructor(
    readonly type: ValueType,
    /** Values. */
    readonly length: number,
    readonly member: ZipMember,
  ) {}
}

/** A tensor in a torch file. */
export class TorchTensor implements StoredTensor {
  constructor(
    private readonly stored: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}

  get type(): ValueType {
    return this.stored.type;
  }

  storage(): Promise<Uint8Array<ArrayBuffer>> {
    return this.stored.member.read();
  }
}

const storageClasses = new Map<string, object>(
  [...storageTypes].map(([name, type]) => [`torch.${name}`, new StorageClass(type)]),
);

/**
 * Reads the dictionary of a file that torch.save made; tensors are read when they are needed.
 * @returns the values by their keys: TorchTensors, Maps, numbers, texts.
 * @throws ModelFileError where it holds anything but dictionaries, lists, numbers, texts and tensors.
 */
export async function openTorch(file: ByteSource, source: string): Promise<ReadonlyMap<Pickled, Pickled>> {
  const members = await openZip(file, refusal(source));
  const [pickleName] = [...members.keys()]
    .filter((name) => /^([^/]*\/)?data\.pkl$/.test(name))
    .sort((a, b) => a.length - b.length);
  if (pickleName === undefined) {
    return refuse(source, 'it is a zip archive without the file data.pkl that torch.save writes.');
  }
  const folder = pickleName.slice(0, -'data.pkl'.length);
  await checkByteOrder(members.get(`${folder}byteorder`), source);
  const pickle = members.get(pickleName)!;
  if (pickle.length > longestPickle) {
    refuse(source, `its pickle has ${pickle.length} bytes, and at most ${longestPickle} were expected.`);
  }
  const root = readPickle(await pickle.read(), source, {
    calls: new Map<string, (args: readonly Pickled[]) => Pickled>([
      ['collections.OrderedDict', (args) => emptyDictionary(args, source)],
      ['torch._utils._rebuild_tensor_v2', (args) => tensorOf(args, source)],
      // (data, requires_grad, backward_hooks): nn.Parameter.
      [
        'torch._utils._rebuild_parameter',
        ([tensor]) => (tensor instanceof TorchTensor ? tensor : malformed(source)),
      ],
    ]),
    constants: storageClasses,
    persistent: (id) => storageOf(id, folder, members, source),
  });
  return root instanceof Map
    ? root
    : refuse(source, 'it does not hold a dictionary of tensors: save the state_dict(), not the module.');
}

async function checkByteOrder(member: ZipMember | undefined, source: string): Promise<void> {
  if (!member || member.length > 16) return;
  const order = new TextDecoder().decode(await member.read());
  if (order !== 'little')
    refuse(source, `its byte order is ${JSON.stringify(order)}, and little was expected.`);
}

function malformed(source: string): never {
  return refuse(source, 'its pickle has a tensor that is not described as torch.save does it.');
}

function emptyDictionary(args: readonly Pickled[], source: string): Map<Pickled, Pickled> {
  return args.length === 0 ? new Map() : malformed(source);
}

/** ('storage', class, key, device, values). */
function storageOf(
  id: Pickled,
  folder: string,
  members: ReadonlyMap<string, ZipMember>,
  source: string,
): Storage {
  if (!Array.isArray(id)) return malformed(source);
  const [kind, storageClass, key, , length] = id;
  if (kind !== 'storage' || !(storageClass instanceof StorageClass) || !isCount(length)) {
    return malformed(source);
  }
  const { type } = storageClass;
  const name = `${folder}data/${key}`;
  const member = members.get(name) ?? refuse(source, `it lacks the part ${name}, which its pickle names.`);
  const needed = length * valueTypes[type].bytes;
  if (member.length !== needed) {
    refuse(source, `its part ${name} has ${member.length} bytes, and its pickle claims ${needed}.`);
  }
  return new Storage(type, length, member);
}

/** No tensor of a model has more dimensions. */
const mostDimensions = 8;

/** (storage, offset, size, stride, requires_grad, backward_hooks). */
function tensorOf([storage, offset, shape, strides]: readonly Pickled[], source: string): TorchTensor {
  if (!(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides)) {
    return malformed(source);
  }
  if (shape.length !== strides.length || shape.length > mostDimensions) return malformed(source);
  const last = shape.reduce((at, side, i) => at + (side - 1) * strides[i], offset);
  const count = countOf(shape);
  // A stride of 0 repeats values, and a small file would claim a tensor of any size.
  if (count > 0 && (last >= storage.length || count > storage.length)) {
    refuse(
      source,
      `it has a tensor [${shape}] that does not fit into its storage of ${storage.length} values.`,
    );
  }
  return new TorchTensor(storage, offset, shape, strides);
}

function isCount(value: Pickled): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: Pickled): value is number[] {
  return Array.isArray(value) && value.length <= mostDimensions && value.every(isCount);
}
