import { z } from 'zod';
import { DataError } from '../../errors.js';
import { pieces } from '../../rows/blob-file.js';
import {
  type ArrayPlace,
  examplesOfLatent,
  factsBlock,
  fromBase64,
  histogramBins,
  labelsBlock,
  modelBlock,
  neighboursOfLatent,
  none,
  type Pictures,
  type ReportFacts,
  rowsBlock,
  sheetsBlock,
  termsOfLatent,
  valuesOfRow,
} from './layout.js';
import { reportSignature } from './pack.js';

/** What a report's file holds besides the viewer. */
export interface ReportData {
  readonly facts: ReportFacts;
  /** The texts of its blocks by their ids, as layout.ts describes them; the facts are among them. */
  readonly blocks: ReadonlyMap<string, string>;
}

/** A block as `packReport` writes it. There is no `<` in one, so that none can hold markup. */
const blocksOf =
  /<script type="application\/(?:json|octet-stream)" id="(facts|rows|labels|sheets|model-\d+)">([^<]*)<\/script>/g;
/** Bytes of a block, at most. */
const mostBytes = 2 ** 30;

/**
 * Reads the data out of a report's HTML, whoever made it: nothing of the file but its blocks is looked at, and these are what
 * `packReport` would have written.
 * @param file its name in messages.
 * @throws DataError if it is no report of this program, of another version of it, or damaged.
 */
export async function unpackReport(html: string, file: string): Promise<ReportData> {
  if (!html.slice(0, 4096).includes(reportSignature)) {
    throw new DataError(
      `${file} is a page by itself, and no report of this program: open it in a tab of the browser.`,
    );
  }
  const blocks = new Map<string, string>();
  // Of two with one id, a browser takes the first.
  for (const [, id, text] of html.matchAll(blocksOf)) if (!blocks.has(id)) blocks.set(id, text);
  try {
    const facts = readFacts(textOf(blocks, factsBlock), file);
    // Without what is no fact.
    blocks.set(factsBlock, JSON.stringify(facts));
    await checkBlocks(facts, blocks);
    return { facts, blocks };
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    throw new DataError(`${file} is a report that is damaged: ${error.message}. Copy it once more.`, {
      cause: error,
    });
  }
}

/** What is wrong with the data. */
class Damage extends Error {}

function textOf(blocks: ReadonlyMap<string, string>, id: string): string {
  const text = blocks.get(id);
  if (text === undefined) throw new Damage(`its block ${id} is missing`);
  return text;
}

const count = z.int().nonnegative();
/** JSON has null for what is not finite. */
const number = z.number().or(z.null().transform(() => Number.NaN));
const texts = z.array(z.string());

const arrays = z.array(
  z.object({ name: z.string(), type: z.enum(['f32', 'u32', 'u8']), shape: z.array(count).min(1).max(2) }),
);

const pictures = z.object({
  width: count.min(1),
  height: count.min(1),
  channels: z.union([z.literal(1), z.literal(3)]),
  tiles: count.min(1),
  columns: count.min(1),
  type: z.enum(['image/webp', 'image/png']),
  sheets: z.array(z.object({ offset: count.multipleOf(3), bytes: count })),
});

const chart = z.object({
  name: z.string(),
  by: z.enum(['epoch', 'step']),
  curves: z.array(
    z.object({
      name: z.string(),
      dash: z.enum(['solid', 'dashed', 'dotted']),
      data: z.array(z.tuple([number, number])),
    }),
  ),
  range: z.tuple([z.number(), z.number()]).exactOptional(),
});

const model = z.object({
  arrays,
  latents: count.min(1),
  name: z.string(),
  facts: z.array(z.tuple([z.string(), z.string()])),
  command: z.string().exactOptional(),
  charts: z.array(chart),
  tables: z.array(z.object({ heading: texts, rows: z.array(texts) })),
  kind: z.string(),
  normalization: z.string(),
  explained_variance: number,
  l0: number,
  dead: count,
  threshold: number,
  directions: pictures.exactOptional(),
  history: z.array(number).exactOptional(),
});

const schema: z.ZodType<ReportFacts> = z.object({
  layout: z.literal(1),
  title: z.string(),
  created: z.string(),
  program: z.string(),
  rows: z.object({
    name: z.string(),
    rows: count,
    in_dims: count,
    labelled: z.boolean(),
    arrays,
    pictures: pictures.exactOptional(),
  }),
  models: z.array(model).min(1),
  terms: z
    .array(z.object({ name: z.string(), word: z.literal(true).exactOptional(), rows: count }))
    .exactOptional(),
  classes: z.boolean(),
  image_shape: z.union([z.tuple([count, count]), z.tuple([count, count, z.literal(3)])]).exactOptional(),
});

function readFacts(text: string, file: string): ReportFacts {
  let facts: unknown;
  try {
    facts = JSON.parse(text);
  } catch {
    throw new Damage('its facts are no JSON');
  }
  const { layout } = Object(facts);
  if (Number.isSafeInteger(layout) && layout !== 1) {
    throw new DataError(
      `${file} is a report of another version of this program, of layout ${layout} where this one knows 1: open it in a tab of the browser.`,
    );
  }
  const { success, data, error } = schema.safeParse(facts);
  if (success) return data;
  const [{ path, message }] = error.issues;
  throw new Damage(`its fact ${path.join('.') || 'of all'} is wrong (${message})`);
}

async function checkBlocks(facts: ReportFacts, blocks: ReadonlyMap<string, string>): Promise<void> {
  const { rows, models } = facts;
  const numbers = rows.arrays.find(({ name }) => name === 'row_numbers')?.shape[0] ?? 0;
  await checkArrays(rowsBlock, blocks, rows.arrays, rowArrays(facts, numbers));
  for (const [i, { arrays }] of models.entries()) {
    await checkArrays(modelBlock(i), blocks, arrays, modelArrays(facts, i, numbers));
  }
  if (blocks.has(labelsBlock)) await checkLabels(blocks, numbers);
  const sheets = textOf(blocks, sheetsBlock);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(sheets)) throw new Damage('its pictures are no base64');
  const bytes = (sheets.length / 4) * 3;
  checkSheets(rows.pictures, numbers, bytes);
  for (const { directions, latents } of models) checkSheets(directions, latents, bytes);
}

/** An array that there must be. Values of u32 are `none` or below `below`, where that is given. */
interface Wanted extends ArrayPlace {
  readonly below?: number;
}

const f32 = (name: string, ...shape: number[]): Wanted => ({ name, type: 'f32', shape });
const u32 = (name: string, below: number, ...shape: number[]): Wanted => ({
  name,
  type: 'u32',
  shape,
  below,
});

function rowArrays({ rows }: ReportFacts, numbers: number): Wanted[] {
  return [
    u32('row_numbers', rows.rows, numbers),
    ...(rows.pictures || numbers === 0 ? [] : strongestValues(rows.arrays, 'row', numbers, rows.in_dims)),
  ];
}

function modelArrays(
  { rows, models, terms, classes }: ReportFacts,
  index: number,
  numbers: number,
): Wanted[] {
  const { latents: h, arrays, directions, history } = models[index];
  const others = models.flatMap(({ latents }, other) => (other === index ? [] : [{ other, latents }]));
  const ofTerms = ['term_share', 'term_ratio', 'term_low', 'term_high'];
  return [
    ...['density', 'mean', 'max'].map((name) => f32(name, h)),
    { name: 'histogram', type: 'u32', shape: [h, histogramBins] },
    u32('example_rows', numbers, h, examplesOfLatent),
    f32('example_values', h, examplesOfLatent),
    ...['near_latents', 'with_latents'].map((name) => u32(name, h, h, neighboursOfLatent)),
    ...['near_cosines', 'with_jaccard', 'with_share'].map((name) => f32(name, h, neighboursOfLatent)),
    f32('map', h, 2),
    ...(terms ? [u32('term_ids', terms.length, h, termsOfLatent)] : []),
    ...(terms ? ofTerms.map((name) => f32(name, h, termsOfLatent)) : []),
    ...(classes ? [u32('predicts', terms?.length ?? 0, h)] : []),
    ...(classes ? ['precision', 'recall', 'f1'].map((name) => f32(name, h)) : []),
    ...(directions ? [] : strongestValues(arrays, 'direction', h, rows.in_dims)),
    ...(history ? [f32('history', history.length, h)] : []),
    ...others.flatMap(({ other, latents }) => [
      u32(`match_${other}_latents`, latents, h),
      f32(`match_${other}_cosines`, h),
    ]),
  ];
}

/** As many of each as the file has, which are fewer where there are many. */
function strongestValues(arrays: readonly ArrayPlace[], name: string, of: number, in_dims: number): Wanted[] {
  const each = arrays.find((array) => array.name === `${name}_places`)?.shape[1] ?? 1;
  const some = Math.min(Math.max(each, 1), valuesOfRow);
  return [u32(`${name}_places`, in_dims, of, some), f32(`${name}_values`, of, some)];
}

async function checkArrays(
  id: string,
  blocks: ReadonlyMap<string, string>,
  places: readonly ArrayPlace[],
  wanted: readonly Wanted[],
): Promise<void> {
  const found = new Map<string, { readonly place: ArrayPlace; readonly at: number }>();
  let end = 0;
  for (const place of places) {
    found.set(place.name, { place, at: end });
    const values = place.shape.reduce((product, size) => product * size, 1);
    end += place.type === 'u8' ? Math.ceil(values / 4) * 4 : 4 * values;
  }
  if (end > mostBytes) throw new Damage(`its block ${id} would have ${end.toLocaleString('en')} bytes`);
  const bytes = await unpacked(id, blocks, end);
  if (bytes.length !== end) throw new Damage(`its block ${id} ends too early`);
  for (const { name, type, shape, below } of wanted) {
    const { place, at } = found.get(name) ?? {};
    if (place?.type !== type || place.shape.join() !== shape.join()) {
      throw new Damage(`its array ${name} of ${id} should be ${type} [${shape.join(', ')}]`);
    }
    if (below === undefined) continue;
    const values = new Uint32Array(
      bytes.buffer,
      at,
      shape.reduce((product, size) => product * size, 1),
    );
    if (values.some((value) => value >= below && value !== none)) {
      throw new Damage(`its array ${name} of ${id} names what is not there`);
    }
  }
}

async function checkLabels(blocks: ReadonlyMap<string, string>, rows: number): Promise<void> {
  const bytes = await unpacked(labelsBlock, blocks, mostBytes);
  try {
    const labels = texts.parse(JSON.parse(new TextDecoder().decode(bytes)));
    if (labels.length === rows) return;
  } catch {}
  throw new Damage(`its labels should be ${rows.toLocaleString('en')} texts`);
}

/** Unpacks a block, of at most so many bytes: a few that are packed can become very many. */
async function unpacked(
  id: string,
  blocks: ReadonlyMap<string, string>,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  try {
    const packed = new Blob([fromBase64(textOf(blocks, id))]).stream();
    for await (const part of pieces(packed.pipeThrough(new DecompressionStream('gzip')))) {
      length += part.length;
      if (length > most) break;
      parts.push(part as Uint8Array<ArrayBuffer>);
    }
  } catch (error) {
    throw error instanceof Damage ? error : new Damage(`its block ${id} cannot be unpacked`);
  }
  if (length > most) throw new Damage(`its block ${id} is too long`);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function checkSheets(pictures: Pictures | undefined, tiles: number, bytes: number): void {
  if (!pictures) return;
  const { sheets, tiles: ofSheet } = pictures;
  const there = sheets.every((sheet) => sheet.offset + sheet.bytes <= bytes);
  if (!there || sheets.length * ofSheet < tiles) throw new Damage('some of its pictures are missing');
}
