import { DataError } from '../../errors.js';
import { counted, elements, grouped } from './array.js';
import type { Fail } from './bytes.js';
import type { RowFormat, RowsFile } from './file.js';
import { readJson } from './json.js';
import { pickArray, pickedNote } from './named.js';
import { openedStrided } from './strided.js';

// saev's folder of activations, protocol 2.1: metadata.json says what was recorded, shards.json how many examples each file
// has, and a file has f32 values [example, layer, token, d_model] and nothing else, little-endian.

/** What metadata.json says that matters here. */
interface Metadata {
  readonly layers: readonly number[];
  readonly tokens: number;
  readonly cls: boolean;
  readonly d_model: number;
  /** Examples that a file has room for. */
  readonly room: number;
}

/** The shards that shards.json lists. */
interface Shard {
  readonly name: string;
  readonly examples: number;
}

/** A file of saev's activations, whose rows are those of one layer: all tokens of all examples. */
export const saev: RowFormat = {
  name: 'saev',
  article: 'a',
  endings: /(^|[\\/])acts\d{6}\.bin$/,
  named: true,
  beside: 'metadata.json',
  listed: { file: 'shards.json', files: (json) => shardsOf(json)?.map(({ name }) => name) },
  recognizes: (_, name) => saev.endings.test(name),
  async open(file, options) {
    const { name } = file;
    const { layers, tokens, cls, d_model, room } = metadataOf(await jsonBeside(file, 'metadata.json'), name);
    const shards = shardsOf(await jsonBeside(file, 'shards.json'));
    const own = shards?.find((shard) => name.endsWith(shard.name));
    if (!own) {
      throw new DataError(
        `${name} is not in the shards.json beside it; expected an array with { "name": "${name.slice(-14)}", "n_examples": ... } in it.`,
      );
    }
    const { examples } = own;
    const exampleBytes = layers.length * tokens * d_model * elements.f32.bytes;
    // The last file is as long as the others, with zeros after its examples.
    if (file.bytes !== examples * exampleBytes && !(file.bytes === room * exampleBytes && examples <= room)) {
      throw new DataError(
        `${name} has ${counted(file.bytes, 'byte')}; expected ${grouped(examples * exampleBytes)}, ${grouped(examples)} examples ` +
          `(shards.json) of ${layers.length} layers, ${tokens} tokens and ${d_model} values (metadata.json), or ` +
          `${grouped(room * exampleBytes)} with room for ${grouped(room)}. The file is truncated or damaged.`,
      );
    }
    const shape = [examples, tokens, d_model];
    const arrays = layers.map((layer) => ({
      name: String(layer),
      shape,
      type: 'f32',
      readable: true,
      float: true,
    }));
    const picked = pickArray(arrays, options.tensor, name);
    const source = arrays.length > 1 ? `${name}, layer ${picked.name},` : name;
    const layerValues = tokens * d_model;
    const array = {
      element: 'f32',
      littleEndian: true,
      shape,
      strides: [layers.length * layerValues, d_model, 1],
      begin: arrays.indexOf(picked) * layerValues * elements.f32.bytes,
    } as const;
    if (examples === 0 && shards && shards.length > 1) return none(source, d_model);
    const opened = openedStrided(source, array, options, file.read);
    const first = cls
      ? [
          {
            about: 'tokens',
            sentence: `Of the ${tokens} tokens of an example of ${name}, the first is [CLS].`,
          } as const,
        ]
      : [];
    return {
      ...opened,
      notes: [...pickedNote(arrays, picked, options.tensor, name), ...opened.notes, ...first],
    };
  },
};

/** After files that are full, saev begins another one, even if nothing is left to write. */
function none(file: string, in_dims: number) {
  return {
    file,
    type: 'f32',
    element: 'f32',
    rows: 0,
    in_dims,
    notes: [],
    at: async () => new Float32Array(0),
    async *pieces() {},
  } as const;
}

async function jsonBeside(file: RowsFile, name: string): Promise<unknown> {
  const fail: Fail = (sentence, cause) => {
    throw new DataError(`The ${name} beside ${file.name} cannot be read: ${sentence}`, { cause });
  };
  return readJson((await file.beside?.(name)) ?? fail('it is not there. saev writes it.'), fail);
}

function metadataOf(json: unknown, file: string): Metadata {
  const fields = (typeof json === 'object' ? json : undefined) as Record<string, unknown> | undefined;
  const fail = (what: string): never => {
    throw new DataError(`The metadata.json beside ${file} has ${what}.`);
  };
  const shown = (name: string) => `${name} ${JSON.stringify(fields?.[name])}`;
  const count = (name: string) => {
    const value = fields?.[name];
    return Number.isSafeInteger(value) && (value as number) >= 1
      ? (value as number)
      : fail(`${shown(name)}; expected a whole number of at least 1, as saev's protocol 2.1 has it`);
  };
  const layers = fields?.layers;
  if (!Array.isArray(layers) || layers.length === 0 || !layers.every(Number.isSafeInteger)) {
    return fail(`${shown('layers')}; expected the numbers of layers, as saev's protocol 2.1 has them`);
  }
  const cls = fields?.cls_token;
  if (typeof cls !== 'boolean') return fail(`${shown('cls_token')}; expected true or false`);
  if (fields?.dtype !== 'float32') return fail(`${shown('dtype')}; expected "float32"`);
  const tokens = count('content_tokens_per_example') + (cls ? 1 : 0);
  const room = Math.floor(count('max_tokens_per_shard') / (tokens * layers.length));
  return { layers, tokens, cls, d_model: count('d_model'), room };
}

/** Undefined if it is no list of shards. */
function shardsOf(json: unknown): Shard[] | undefined {
  if (!Array.isArray(json)) return undefined;
  const shards = json.map((shard) => ({ name: shard?.name, examples: shard?.n_examples }));
  const right = shards.every(
    ({ name, examples }) =>
      typeof name === 'string' &&
      /^acts\d{6}\.bin$/.test(name) &&
      Number.isSafeInteger(examples) &&
      examples >= 0,
  );
  return right ? shards : undefined;
}
