import {
  fingerprint,
  type LossPoint,
  type Rows,
  type SavedSnapshot,
  type Snapshot,
  type SparsityName,
  snapshotParts,
} from '../../sae/index.js';
import { KeptFile } from '../browser/kept-file.js';
import type { ShownRows } from './shown-rows.js';

/** Milliseconds between two writings, and at least so many times what one takes. */
const pause = 10_000;
const rest = 20;

/** What is kept of the page beside the training. */
export interface KeptPage {
  /** The settings and the name of built-in data, as an address has them. */
  readonly address: string;
  /** The name of the rows. */
  readonly rows: string;
  readonly points: readonly LossPoint<SparsityName>[];
}

/** A training that was kept. */
export interface KeptTraining {
  readonly saved: SavedSnapshot<SparsityName>;
  readonly page: KeptPage;
}

/** Keeps the training in the browser's storage while it goes on, unless an earlier one is there that the visitor has yet to answer about. */
export class Keeping {
  readonly #file = KeptFile.open();
  readonly #fingerprints = new WeakMap<Rows, Promise<string>>();
  #answered: Promise<void>;
  #answer = () => {};
  #work: Promise<void> | undefined;
  #next: (() => void) | undefined;
  #due = 0;

  constructor() {
    this.#answered = new Promise((resolve) => {
      this.#answer = resolve;
    });
  }

  /** What an earlier visit has left. If that is nothing, trainings are kept from now on; else once `answered` is called. */
  async earlier(): Promise<KeptTraining | undefined> {
    const saved = await (await this.#file)?.read();
    try {
      if (saved) return { saved, page: JSON.parse(saved.texts.get('page')!) };
    } catch {
      // Of another program.
    }
    this.answered();
    return undefined;
  }

  /** The visitor has gone on with the earlier training, or does not want it. */
  answered(): void {
    this.#answer();
  }

  async forget(): Promise<void> {
    await (await this.#file)?.forget();
    this.answered();
  }

  fingerprint(rows: ShownRows): Promise<string> {
    const all = rows.all ?? rows;
    const known = this.#fingerprints.get(all) ?? fingerprint(all);
    this.#fingerprints.set(all, known);
    return known;
  }

  /** Keeps a snapshot, if it is time or `now`. A failure costs what is kept, not the training. */
  keep(snapshot: Snapshot<SparsityName>, rows: ShownRows, page: () => KeptPage, now: boolean): void {
    if (snapshot.done === 0 || (!now && performance.now() < this.#due)) return;
    if (this.#work) {
      // There may be no other one after that with which training ends.
      if (now) this.#next = () => this.keep(snapshot, rows, page, now);
      return;
    }
    this.#next = undefined;
    const begun = performance.now();
    this.#work = this.#write(snapshot, rows, page)
      .catch(() => {})
      .finally(() => {
        this.#work = undefined;
        const end = performance.now();
        this.#due = Math.max(begun + pause, end + rest * (end - begun));
        this.#next?.();
      });
  }

  async #write(snapshot: Snapshot<SparsityName>, rows: ShownRows, page: () => KeptPage): Promise<void> {
    const file = await this.#file;
    if (!file) return;
    await this.#answered;
    const { normalization, image_shape } = rows;
    const saved: SavedSnapshot<SparsityName> = {
      snapshot,
      normalization,
      ...(image_shape && { image_shape }),
      fingerprint: await this.fingerprint(rows),
      texts: new Map([['page', JSON.stringify(page())]]),
      arrays: new Map(),
    };
    await file.write(snapshotParts(saved));
  }
}
