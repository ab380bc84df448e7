import type { ImageShape } from '../../rows/rows.js';

// What a report's file holds, for writer and reader here and the viewer in src/report. Nothing but a number is imported, so that the
// viewer carries nothing of the engine.

export { denseAbove } from '../../model/activity.js';

/**
 * Names of the blocks of data in the file's HTML, each a `<script type="application/octet-stream">` with that id and base64 in it:
 * `rows` and one block for each model are gzipped arrays; `labels` is a gzipped JSON array; `sheets` is pictures one after another,
 * each filled up to a multiple of 3 bytes, so that its base64 can be cut out.
 */
export const modelBlock = (model: number) => `model-${model}`;
export const rowsBlock = 'rows';
export const labelsBlock = 'labels';
export const sheetsBlock = 'sheets';
/** The id of the `<script type="application/json">` with the facts. */
export const factsBlock = 'facts';
/** With this message the viewer asks the page that has opened it for blocks, where its file has none; the answer is a map of texts by id. */
export const blocksWanted = 'blocks of a report';

/** Arrays follow each other in a block, each beginning at a multiple of 4 bytes. Little-endian. */
export interface ArrayPlace {
  readonly name: string;
  readonly type: 'f32' | 'u32' | 'u8';
  readonly shape: readonly number[];
}

/** No row, latent or term: in arrays of places where there are fewer than there is room for. */
export const none = 0xffffffff;

/** Examples of a latent in groups of rows, in this order: `count` places each. */
export interface ExampleGroup {
  readonly name: string;
  readonly count: number;
}

/** Rows that excite a latent most, and some of those that it is active for, by quarters of a sample ordered by activation. */
export const exampleGroups: readonly ExampleGroup[] = [
  { name: 'strongest', count: 8 },
  { name: 'strongest quarter', count: 3 },
  { name: 'second quarter', count: 3 },
  { name: 'third quarter', count: 3 },
  { name: 'weakest quarter', count: 3 },
];
export const examplesOfLatent = exampleGroups.reduce((sum, { count }) => sum + count, 0);
/** Bins of a latent's histogram of activations, from the threshold above which it is active to its largest activation. */
export const histogramBins = 24;
/** Latents that are near by decoder direction, and that are active with it. */
export const neighboursOfLatent = 8;
/** Terms of labels that a latent is enriched in. */
export const termsOfLatent = 5;
/** Values of a row or a direction that are listed where rows are no images: those of the largest magnitudes. */
export const valuesOfRow = 12;

/**
 * Arrays of a model, by name and shape, with h latents:
 * - `density` f32 [h], share of rows; `mean`, `max` f32 [h], over rows that it is active for, 0 where there are none;
 * - `histogram` u32 [h, histogramBins], rows;
 * - `example_rows` u32 [h, examplesOfLatent], places in the rows of the report; `example_values` f32, activations;
 * - `near_latents` u32 [h, neighboursOfLatent], nearest first; `near_cosines` f32;
 * - `with_latents` u32 [h, neighboursOfLatent], most alike first by Jaccard index; `with_jaccard` f32; `with_share` f32: of the rows that
 *   the latent is active for, the share in which the other is;
 * - with terms: `term_ids` u32 [h, termsOfLatent], by the lower end of enrichment; `term_share` f32: of the rows that it is active for,
 *   the share with the term; `term_ratio`, `term_low`, `term_high` f32: enrichment, that share by the term's share of all rows, and its
 *   95% interval;
 * - with classes: `predicts` u32 [h], place of its best class in `terms`; `precision`, `recall`, `f1` f32;
 * - `map` f32 [h, 2], places in the map of decoder directions; dead latents have one as well;
 * - where rows are no images: `direction_places` u32 [h, v], `direction_values` f32 [h, v], the values of largest magnitude of
 *   directions of norm 1, v at most `valuesOfRow`;
 * - with a history: `history` f32 [points, h], densities;
 * - with other models in the report: `match_N_latents` u32 [h], the latent of model N with the nearest decoder direction, and
 *   `match_N_cosines` f32.
 */
export interface ReportedFigures {
  readonly arrays: readonly ArrayPlace[];
  readonly latents: number;
}

/**
 * Rows that are examples of some latent, r in all. Arrays: `row_numbers` u32 [r], from 0; where rows are no images `row_places` u32 [r, v] and
 * `row_values` f32 [r, v], the values of largest magnitude as the model takes them, v at most `valuesOfRow`. Labels are in the block of labels, long ones cut where they are too many.
 */
export interface ReportedRows {
  /** What they are called, such as a file. */
  readonly name: string;
  /** Rows of the whole data set, and values of a row. */
  readonly rows: number;
  readonly in_dims: number;
  readonly labelled: boolean;
  readonly arrays: readonly ArrayPlace[];
  /** Pictures of the rows, if they are images. */
  readonly pictures?: Pictures;
}

/**
 * Small pictures in sheets: tile i is in sheet floor(i / tiles), at column (i % tiles) % columns, row floor((i % tiles) / columns).
 * Grey sheets (channels 1) of directions have 128 for zero, 255 for the largest magnitude of the tile when positive, 1 when negative;
 * in colour the same for red, green and blue each.
 */
export interface Pictures {
  /** Of a tile, in pixels. */
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly tiles: number;
  readonly columns: number;
  /** The MIME type, such as image/webp. */
  readonly type: string;
  /** Where each sheet begins in the block of sheets, in bytes, and how long it is without what fills it up. */
  readonly sheets: readonly { readonly offset: number; readonly bytes: number }[];
}

/** A curve of training. */
export interface ReportedCurve {
  readonly name: string;
  readonly dash: 'solid' | 'dashed' | 'dotted';
  readonly data: readonly (readonly [x: number, value: number])[];
}

/** A chart of curves. */
export interface ReportedChart {
  readonly name: string;
  /** What the curves go by. */
  readonly by: 'epoch' | 'step';
  readonly curves: readonly ReportedCurve[];
  /** The ends of a logarithmic axis; undefined for a linear one from 0. */
  readonly range?: readonly [number, number];
}

/** A table of texts with a heading, such as the figures of `sae eval`. */
export interface ReportedTable {
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Of one model. */
export interface ReportedModel extends ReportedFigures {
  /** Its file, or what else it is called. */
  readonly name: string;
  /** What was trained on what, when, on which adapter, with which options: lines of a name and a value. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** A command that repeats the training, if it is known. */
  readonly command?: string;
  readonly charts: readonly ReportedChart[];
  /** Figures of `sae eval`, then by density, then by label. */
  readonly tables: readonly ReportedTable[];
  /** For comparison. `kind` is the kind of sparsity, `l0` active latents of a row. */
  readonly kind: string;
  /** How its rows are normalised: `standardize`, or two numbers. */
  readonly normalization: string;
  readonly explained_variance: number;
  readonly l0: number;
  readonly dead: number;
  /** The value above which a latent is active. */
  readonly threshold: number;
  /** Pictures of decoder directions, by latent, if rows are images. */
  readonly directions?: Pictures;
  /** Epochs of the points of the history of densities. */
  readonly history?: readonly number[];
}

/** A term of labels: a label, or a word in labels. */
export interface ReportedTerm {
  readonly name: string;
  /** Whether it is a word in labels, in lower case, rather than a whole label. */
  readonly word?: true;
  /** Rows that have it. */
  readonly rows: number;
}

/** All that is not in arrays. */
export interface ReportFacts {
  readonly layout: 1;
  readonly title: string;
  /** ISO 8601. */
  readonly created: string;
  readonly program: string;
  readonly rows: ReportedRows;
  readonly models: readonly ReportedModel[];
  /** Terms of labels, if rows have some. */
  readonly terms?: readonly ReportedTerm[];
  /** Whether labels are few enough to be classes. These come first among the terms; the others are words in labels. */
  readonly classes: boolean;
  /** The shape of rows, if they are images. */
  readonly image_shape?: ImageShape;
}

/** Bytes of a block, or of a part of one. @throws DOMException if the text is no base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
