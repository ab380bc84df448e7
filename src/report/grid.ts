import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from '@tanstack/virtual-core';
import { el } from './dom.js';

/** A column of a long table. */
export interface Column {
  readonly name: string;
  /** What it means, for its heading. */
  readonly meaning?: string;
  /** How wide it is and from which width of the page on it is shown: classes of grid.css. */
  readonly kind: string;
  /** What rows are sorted by; NaN comes last whichever way. */
  readonly key?: (row: number) => number;
  /** Whether a first press on the heading begins with the largest. */
  readonly largestFirst?: boolean;
  readonly cell: (row: number) => Node | string;
}

/** How a table is sorted: by a column's name, or in the order of numbers. */
export interface Sorting {
  readonly by: string;
  readonly down: boolean;
}

/** Rows that go onto paper: more than anybody reads there. */
const printed = 200;
let tables = 0;

/**
 * A table of any number of rows, of which those in view are in the document: a grid in the sense of WAI-ARIA, in which
 * arrows, Home, End, PageUp and PageDown go from row to row and Enter opens one.
 */
export class Grid {
  readonly element: HTMLElement;
  readonly #options: GridOptions;
  readonly #head: HTMLElement;
  readonly #scroller: HTMLElement;
  readonly #room: HTMLElement;
  readonly #empty: HTMLElement;
  readonly #rows = new Map<number, HTMLElement>();
  readonly #virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  readonly #id = `grid-${++tables}`;
  /** Of a row, in pixels. */
  readonly #height: number;
  #shown: readonly number[] = [];
  #order: readonly number[] = [];
  #sorting: Sorting;
  /** The place in the order of the row that the keyboard is at. */
  #at = 0;

  constructor(options: GridOptions) {
    this.#options = options;
    this.#sorting = options.sorting;
    this.#head = el('div', { role: 'row', class: 'row head', 'aria-rowindex': 1 });
    this.#room = el('div', { role: 'presentation', class: 'room' });
    this.#empty = el('p', { class: 'empty', hidden: true }, options.empty);
    this.#scroller = el('div', { role: 'rowgroup', class: 'rows' }, this.#room);
    this.element = el(
      'div',
      { class: 'grid-frame' },
      el(
        'div',
        { role: 'grid', class: 'grid', 'aria-label': options.label, 'aria-colcount': options.columns.length },
        el('div', { role: 'rowgroup' }, this.#head),
        this.#scroller,
      ),
      this.#empty,
      el('p', { class: 'on-paper' }),
    );
    this.#scroller.addEventListener('keydown', (event) => this.#press(event));
    this.#scroller.addEventListener('click', (event) => this.#click(event));
    this.#scroller.addEventListener('focusin', ({ target }) => this.#focused(target as HTMLElement));
    this.#height = rowHeight(options.tall);
    this.#virtualizer = new Virtualizer<HTMLElement, HTMLElement>({
      count: 0,
      getScrollElement: () => this.#scroller,
      estimateSize: () => this.#height,
      overscan: 6,
      scrollToFn: elementScroll,
      observeElementRect,
      observeElementOffset,
      onChange: () => this.#draw(),
    });
    this.element.classList.toggle('tall', options.tall);
  }

  /** To be called once it is in the document; returns what ends it. */
  start(): () => void {
    const stop = this.#virtualizer._didMount();
    this.#virtualizer._willUpdate();
    const before = () => this.#print(true);
    const after = () => this.#print(false);
    addEventListener('beforeprint', before);
    addEventListener('afterprint', after);
    return () => {
      stop();
      removeEventListener('beforeprint', before);
      removeEventListener('afterprint', after);
    };
  }

  /** Rows in the order in which they are shown. */
  get order(): readonly number[] {
    return this.#order;
  }

  get sorting(): Sorting {
    return this.#sorting;
  }

  /** Goes to the row that the keyboard was at. */
  focus(): void {
    this.#go(this.#at);
  }

  /** Shows these rows, sorted, with the first one on top, or with `row` in view and focused. */
  show(rows: readonly number[], row?: number): void {
    this.#shown = rows;
    this.#sort(row);
  }

  #sort(row?: number): void {
    const { columns } = this.#options;
    const { by, down } = this.#sorting;
    this.#order = sorted(this.#shown, columns.find(({ name }) => name === by)?.key, down);
    this.#head.replaceChildren(...columns.map((column, i) => this.#heading(column, i)));
    this.element.querySelector('.grid')!.ariaRowCount = String(this.#order.length + 1);
    this.#empty.hidden = this.#order.length > 0;
    this.#scroller.hidden = this.#order.length === 0;
    this.#at = Math.max(0, row === undefined ? 0 : this.#order.indexOf(row));
    this.#forget();
    this.#virtualizer.setOptions({ ...this.#virtualizer.options, count: this.#order.length });
    this.#virtualizer._willUpdate();
    this.#virtualizer.scrollToIndex(this.#at, { align: row === undefined ? 'start' : 'center' });
    this.#draw();
    if (row !== undefined) this.#rows.get(this.#at)?.focus({ preventScroll: true });
    this.#options.changed?.();
  }

  #heading({ name, meaning, kind, key, largestFirst = false }: Column, i: number): HTMLElement {
    const { by, down } = this.#sorting;
    const sort = by === name ? (down ? 'descending' : 'ascending') : key ? 'none' : undefined;
    const cell = {
      role: 'columnheader',
      class: kind,
      'aria-colindex': i + 1,
      'aria-sort': sort,
      title: meaning,
    };
    if (!key) return el('div', cell, name);
    const press = () => {
      this.#sorting = { by: name, down: by === name ? !down : largestFirst };
      this.#sort();
      this.#head.querySelectorAll('button').forEach((button) => {
        if (button.dataset.column === name) button.focus();
      });
    };
    const arrow = by === name ? (down ? ' ▼' : ' ▲') : '';
    return el(
      'div',
      cell,
      el(
        'button',
        { type: 'button', onclick: press, 'data-column': name },
        name,
        el('span', { 'aria-hidden': 'true' }, arrow),
      ),
    );
  }

  #forget(): void {
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
  }

  #draw(): void {
    const inView = this.#virtualizer.getVirtualItems().map(({ index }) => index);
    // The row that the keyboard is at stays, wherever one scrolls to. Readers read rows in the document's order.
    const wanted = [...new Set(this.#order.length > 0 ? [...inView, this.#at] : [])].sort((a, b) => a - b);
    this.#room.style.height = `${this.#virtualizer.getTotalSize()}px`;
    for (const [place, row] of this.#rows) {
      if (wanted.includes(place)) continue;
      row.remove();
      this.#rows.delete(place);
    }
    let before: HTMLElement | undefined;
    for (const place of wanted) {
      let row = this.#rows.get(place);
      if (!row) {
        row = this.#row(place);
        row.style.transform = `translateY(${place * this.#height}px)`;
        this.#rows.set(place, row);
        if (before) before.after(row);
        else this.#room.prepend(row);
      }
      before = row;
    }
  }

  #row(place: number): HTMLElement {
    const row = this.#order[place];
    return el(
      'div',
      {
        role: 'row',
        class: 'row',
        id: `${this.#id}-${place}`,
        'aria-rowindex': place + 2,
        tabindex: place === this.#at ? 0 : -1,
        'data-place': place,
      },
      this.#options.columns.map(({ kind, cell }, i) =>
        el('div', { role: 'gridcell', class: kind, 'aria-colindex': i + 1 }, cell(row)),
      ),
    );
  }

  #press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#scroller.clientHeight / this.#height) - 1);
    const moves: Record<string, number> = {
      ArrowDown: this.#at + 1,
      ArrowUp: this.#at - 1,
      PageDown: this.#at + page,
      PageUp: this.#at - page,
      Home: 0,
      End: this.#order.length - 1,
    };
    if (event.key in moves) this.#go(moves[event.key]);
    else if (event.key === 'Enter') this.#options.open(this.#order[this.#at]);
    else return;
    event.preventDefault();
  }

  #go(place: number): void {
    if (this.#order.length === 0) return;
    this.#mark(Math.min(Math.max(place, 0), this.#order.length - 1));
    this.#virtualizer.scrollToIndex(this.#at, { align: 'auto' });
    this.#draw();
    this.#rows.get(this.#at)?.focus({ preventScroll: true });
  }

  #mark(place: number): void {
    this.#rows.get(this.#at)?.setAttribute('tabindex', '-1');
    this.#at = place;
    this.#rows.get(place)?.setAttribute('tabindex', '0');
  }

  #focused(target: HTMLElement): void {
    const place = target.closest<HTMLElement>('[data-place]')?.dataset.place;
    if (place !== undefined && Number(place) !== this.#at) this.#mark(Number(place));
  }

  #click(event: MouseEvent): void {
    const target = event.target as HTMLElement;
    const place = target.closest<HTMLElement>('[data-place]')?.dataset.place;
    // Links open by themselves, in another tab if that is wanted; and whoever marks text to copy wants to stay.
    if (place === undefined || target.closest('a') || getSelection()?.isCollapsed === false) return;
    this.#options.open(this.#order[Number(place)]);
  }

  /** Paper has no scroll bar: the first rows are put there, with a word on the others. */
  #print(on: boolean): void {
    const note = this.element.querySelector('.on-paper')!;
    this.#forget();
    if (on) {
      const some = Math.min(printed, this.#order.length);
      for (let place = 0; place < some; place++) {
        const row = this.#row(place);
        this.#rows.set(place, row);
        this.#room.append(row);
      }
      note.textContent =
        some < this.#order.length
          ? `The first ${some} of ${this.#order.length} rows; the others are in the file.`
          : '';
    } else this.#draw();
  }
}

export interface GridOptions {
  readonly label: string;
  readonly columns: readonly Column[];
  readonly sorting: Sorting;
  /** Whether rows have pictures. */
  readonly tall: boolean;
  /** What to say where there are no rows. */
  readonly empty: string;
  readonly open: (row: number) => void;
  /** Rows or their order have changed. */
  readonly changed?: () => void;
}

/** As grid.css has it: 2.25 rem, or 3 with pictures. */
const rowHeight = (tall: boolean) =>
  Number.parseFloat(getComputedStyle(document.documentElement).fontSize) * (tall ? 3 : 2.25);

function sorted(
  rows: readonly number[],
  key: ((row: number) => number) | undefined,
  down: boolean,
): readonly number[] {
  if (!key) return rows;
  const last = down ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const keys = Float64Array.from(rows, (row) => {
    const value = key(row);
    return Number.isNaN(value) ? last : value;
  });
  const places = Uint32Array.from(rows, (_, i) => i);
  places.sort((a, b) => (keys[a] === keys[b] ? a - b : keys[a] < keys[b] === down ? 1 : -1));
  return Array.from(places, (place) => rows[place]);
}
