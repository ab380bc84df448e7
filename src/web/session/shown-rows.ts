import {
  type Dataset,
  imageShape,
  labelled,
  type RowSource,
  type Rows,
  sampleRows,
  takeRows,
} from '../../sae/index.js';

/** Rows that are shown of those that stay in their files, at most. */
const most = 4096;

/** Rows that are shown; if all of them stay in their files, also these, and the places of those that are shown among them. */
export interface ShownRows extends Dataset {
  readonly all?: RowSource;
  readonly places?: readonly number[];
}

/** Rows with some of them in memory, to be shown. @throws as `takeRows`. */
export async function shownRowsOf(rows: Rows): Promise<ShownRows> {
  if (!('read' in rows)) return rows;
  const places = sampleRows(rows.rows, most, 0).sort((a, b) => a - b);
  return { ...(await takeRows(rows, places)), all: rows, places };
}

/** The rows with other labels, one for each of all. @param file where these come from. @throws DataError. */
export function relabelled(shown: ShownRows, labels: readonly string[], file: string): ShownRows {
  const { all, places } = shown;
  if (!all || !places) return labelled(shown, labels, file);
  return { ...shown, all: labelled(all, labels, file), labels: places.map((place) => labels[place]) };
}

/** The labels that are shown in the place of pictures: those of rows that are not images. */
export function wordsOf(rows: Dataset): readonly string[] | undefined {
  return imageShape(rows) ? undefined : rows.labels;
}
