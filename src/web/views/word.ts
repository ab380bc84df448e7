import { type Dataset, findLabels, NearestRows, storedUnits } from '../../sae/index.js';
import { element, showText } from '../browser/page.js';
import { wordsOf } from '../session/shown-rows.js';

/** Words that are suggested, and those that are shown as nearest. */
const mostSuggested = 12;
const mostNearest = 8;

/** A word that can be typed, in the place of a drawing, and the words that come nearest to its reconstruction. */
export class Word {
  readonly #input = element<HTMLInputElement>('word');
  readonly #nearest = element('nearest');
  #dataset: Dataset | undefined;
  #labels: readonly string[] | undefined;
  #rows: NearestRows | undefined;

  /** @param taken is called with the row whose word was typed. */
  constructor(taken: (row: number) => void) {
    this.#input.addEventListener('input', () => this.#suggest());
    this.#input.addEventListener('change', () => {
      const text = this.#input.value;
      const [row] = findLabels(this.#labels ?? [], text, 1);
      const isThere = row !== undefined && this.#labels![row].toLowerCase() === text.trim().toLowerCase();
      const many = this.#labels!.length.toLocaleString('en');
      showText('word-note', isThere ? '' : `“${text.trim()}” is none of the ${many} words.`);
      if (isThere) taken(row);
    });
    for (let i = 0; i < mostNearest; i++) {
      const item = document.createElement('li');
      item.append(document.createElement('span'), ' ', document.createElement('span'));
      this.#nearest.append(item);
    }
  }

  /** Takes the words of other rows; shows nothing where rows have none. */
  prepare(dataset: Dataset): void {
    const labels = wordsOf(dataset);
    element('word-row').hidden = labels === undefined;
    if (this.#dataset === dataset) return;
    this.#dataset = dataset;
    this.#labels = labels;
    this.#rows = labels && new NearestRows(dataset);
    showText('word-note', '');
  }

  /** Shows which row is looked into. */
  show(label: string | undefined): void {
    // What is being typed stays.
    if (document.activeElement !== this.#input || this.#input.value.trim() === '') {
      this.#input.value = label ?? '';
    }
  }

  /** Shows the words nearest to a row's reconstruction, [in_dims], in the model's units. */
  showNearest(reconstruction: Float32Array<ArrayBuffer>, row: Dataset): void {
    if (!this.#rows) return;
    const near = this.#rows.of(storedUnits(reconstruction, row), mostNearest);
    const [own] = row.labels ?? [];
    [...this.#nearest.children].forEach((item, i) => {
      const [name, value] = item.children;
      (item as HTMLElement).hidden = i >= near.length;
      if (i >= near.length) return;
      const label = this.#labels![near[i].row];
      name.textContent = label;
      item.classList.toggle('own', label === own);
      value.textContent = near[i].cosine.toFixed(2);
    });
  }

  #suggest(): void {
    const labels = this.#labels ?? [];
    const rows = findLabels(labels, this.#input.value, mostSuggested);
    element('word-suggestions').replaceChildren(...rows.map((row) => new Option(labels[row], labels[row])));
  }
}
