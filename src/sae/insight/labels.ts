/**
 * The rows whose label has a text in it, in capitals or not: first those that are it exactly, then those that begin with it, then the
 * others, each in the order of the rows.
 * @param count of rows, at most.
 * @returns their numbers, from 0; none for an empty text.
 */
export function findLabels(labels: readonly string[], text: string, count: number): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return [];
  const found: [exact: number[], beginning: number[], within: number[]] = [[], [], []];
  labels.forEach((label, row) => {
    const place = label.toLowerCase().indexOf(wanted);
    if (place < 0) return;
    const rank = place > 0 ? 2 : label.length === wanted.length ? 0 : 1;
    if (found[rank].length < count) found[rank].push(row);
  });
  return found.flat().slice(0, count);
}
