import { z } from 'zod';
import { DataError } from '../errors.js';
import { type Safetensors, snapshotPrefix } from '../model/safetensors.js';
import { modelContent, modelIn, type SavedModel } from '../model/saved-model.js';
import { type ByteSource, type Fail, readPart } from '../rows/formats/bytes.js';
import { crc32c } from '../rows/formats/crc.js';
import {
  readSafetensorsHeader,
  type SafetensorsPlace,
  safetensorsHeader,
  type WrittenTensor,
  writtenTypes,
} from '../rows/formats/safetensors-header.js';
import type { SparsityName } from '../sparsity/index.js';
import { endTurn } from '../turn.js';
import { checkSnapshot, type Snapshot } from './snapshot.js';

/** A snapshot of a training as it is in a file. */
export interface SavedSnapshot<S extends SparsityName = 'kl'> extends Pick<SavedModel, 'image_shape'> {
  readonly snapshot: Snapshot<S>;
  /** Of the rows, as is their `fingerprint`. */
  readonly normalization: NonNullable<SavedModel['normalization']>;
  readonly fingerprint: string;
  /** What the caller keeps beside it: texts and bytes by names. */
  readonly texts: ReadonlyMap<string, string>;
  readonly arrays: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

// The file is a safetensors file of the model, which any reader of models can open, with the state of its training in tensors
// whose names begin with `snapshot/`. The last of them is the CRC-32C of all bytes before it.

/** Version of the format. A file of a later one is refused. */
const version = 1;
const checksumName = `${snapshotPrefix}checksum`;
const textPrefix = 'text ';

/** Bytes that are written, or checked, in a turn of the event loop: some milliseconds' work. */
const pieceBytes = 2 ** 22;

/** What the metadata have as JSON; `checkSnapshot` looks at the rest. */
const described = z.looseObject({
  version: z.number().int().min(1),
  fingerprint: z.string(),
  training: z.looseObject({}),
  order: z.looseObject({}),
  step: z.object({ spread: z.looseObject({}) }),
});

/**
 * The parts of a snapshot's file, one after another.
 * @throws ConfigError, DataError if it could not be read again.
 */
export async function* snapshotParts<S extends SparsityName>(
  saved: SavedSnapshot<S>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { snapshot, normalization, image_shape, fingerprint, texts, arrays } = saved;
  const { model, parameters, step, order, ...others } = snapshot;
  const { mean, ...spread } = step.spread;
  const content = modelContent({
    config: model,
    parameters,
    normalization,
    ...(image_shape && { image_shape }),
    training: others.training as NonNullable<SavedModel['training']>,
  });
  const state = {
    version,
    fingerprint,
    ...others,
    order: { begun: order.begun, random: order.random },
    step: { spread },
  };
  const metadata = new Map([...content.metadata, ['snapshot', JSON.stringify(state)]]);
  for (const [name, text] of texts) metadata.set(textPrefix + name, text);

  const tensors: (WrittenTensor & { readonly bytes: Uint8Array<ArrayBuffer> })[] = [];
  const add = (
    name: string,
    dtype: WrittenTensor['dtype'],
    shape: readonly number[],
    data: ArrayBufferView,
  ) => tensors.push({ name, dtype, shape, bytes: bytesOf(data) });
  for (const [name, { shape, data }] of content.tensors) add(name, 'F32', shape, data);
  add(`${snapshotPrefix}mean`, 'F64', [mean.length], mean);
  add(`${snapshotPrefix}order`, 'U32', [order.order.length], order.order);
  add(`${snapshotPrefix}chunks`, 'U32', [order.chunks.length], order.chunks);
  for (const kind of ['moments', 'pass', 'kept'] as const) {
    for (const [name, data] of step[kind]) {
      add(`${snapshotPrefix}${kind}/${name}`, 'U8', [data.byteLength], new Uint8Array(data));
    }
  }
  for (const [name, data] of arrays) add(`${snapshotPrefix}beside/${name}`, 'U8', [data.length], data);

  let checksum = 0;
  const last: WrittenTensor = { name: checksumName, dtype: 'U32', shape: [1] };
  for (const part of [
    safetensorsHeader([...tensors, last], metadata),
    ...tensors.map(({ bytes }) => bytes),
  ]) {
    for (let at = 0; at < part.length; at += pieceBytes) {
      const piece = part.subarray(at, at + pieceBytes);
      checksum = crc32c(piece, checksum);
      yield piece;
    }
  }
  yield bytesOf(new Uint32Array([checksum]));
}

/**
 * Reads a snapshot's file, and checks all of it.
 * @param source the file's name in messages.
 * @throws DataError with what was wrong and what was expected; ModelFileError for what is wrong with its model.
 */
export async function readSnapshot<S extends SparsityName = 'kl'>(
  file: ByteSource,
  source: string,
): Promise<SavedSnapshot<S>> {
  const fail: Fail = (sentence, cause) => {
    throw new DataError(`${source} is not a snapshot that can be read: ${sentence}`, { cause });
  };
  const { metadata, places } = await readSafetensorsHeader(file, writtenTypes, fail);
  const state = stateOf(metadata.get('snapshot'), fail);
  const bytes = await readChecked(file, places, fail);

  const content: Safetensors = { tensors: new Map(), metadata };
  const buffers = { moments: new Map(), pass: new Map(), kept: new Map(), beside: new Map() };
  for (const { name, shape } of places) {
    const own = bytes.get(name)!;
    if (!name.startsWith(snapshotPrefix)) {
      content.tensors.set(name, { shape, data: new Float32Array(own.buffer) });
      continue;
    }
    const [kind, ...rest] = name.slice(snapshotPrefix.length).split('/');
    if (rest.length > 0) buffers[kind as 'pass']?.set(rest.join('/'), kind === 'beside' ? own : own.buffer);
  }
  const array = <T>(name: string, type: new (buffer: ArrayBuffer) => T): T =>
    new type((bytes.get(snapshotPrefix + name) ?? fail(`it has no ${name}.`)).buffer);
  const { config, parameters, normalization, image_shape } = modelIn(content, source);
  const { version: _, fingerprint, ...others } = state;
  const { beside, ...ofStep } = buffers;
  const snapshot = {
    ...others,
    model: config,
    parameters,
    order: { ...state.order, order: array('order', Uint32Array), chunks: array('chunks', Uint32Array) },
    step: {
      ...ofStep,
      spread: { ...state.step.spread, mean: array('mean', Float64Array) },
      halted: false,
    },
  } as unknown as Snapshot<S>;
  checkSnapshot(snapshot);
  const texts = [...metadata].flatMap(([name, text]) =>
    name.startsWith(textPrefix) ? [[name.slice(textPrefix.length), text] as const] : [],
  );
  return {
    snapshot,
    normalization: normalization ?? fail('it has no normalization.'),
    ...(image_shape && { image_shape }),
    fingerprint,
    texts: new Map(texts),
    arrays: beside,
  };
}

/** Whether a file that begins so is a snapshot of this program. */
export function isOurSnapshot(content: Uint8Array): boolean {
  // The whole header may be long: it has all that the caller keeps beside the snapshot.
  return new TextDecoder().decode(content).includes('"snapshot":"{\\"version\\":');
}

function stateOf(text: string | undefined, fail: Fail): z.output<typeof described> {
  let json: unknown;
  try {
    json = JSON.parse(
      text ?? fail('it has no field snapshot: it is not of a training that --save_every saves.'),
    );
  } catch (error) {
    if (error instanceof DataError) throw error;
    return fail('its field snapshot is not JSON.');
  }
  const state = described.safeParse(json).data ?? fail('its field snapshot is damaged.');
  return state.version > version
    ? fail(
        `its format is version ${state.version}, and this program reads up to ${version}. Use a later one.`,
      )
    : state;
}

/** The bytes of all tensors by their names, if the checksum, which is the last one, is theirs. */
async function readChecked(file: ByteSource, places: readonly SafetensorsPlace[], fail: Fail) {
  const last = places.at(-1);
  if (last?.name !== checksumName || last.end - last.begin !== 4) fail('its last tensor is no checksum.');
  let checksum = 0;
  const read = async (begin: number, end: number) => {
    const bytes = await readPart(file, begin, end - begin, fail);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      checksum = crc32c(bytes.subarray(at, at + pieceBytes), checksum);
      await endTurn();
    }
    return bytes;
  };
  await read(0, places[0].begin);
  const bytes = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const { name, begin, end } of places.slice(0, -1)) bytes.set(name, await read(begin, end));
  const [stored] = new Uint32Array((await readPart(file, last!.begin, 4, fail)).buffer);
  if (stored !== checksum) {
    fail(
      `its bytes have the checksum ${hexadecimal(checksum)}, and ${hexadecimal(stored)} was expected. It is damaged.`,
    );
  }
  return bytes;
}

function hexadecimal(value: number): string {
  return value.toString(16).padStart(8, '0');
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
