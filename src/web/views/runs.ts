import type { LossPoint, SparsityName } from '../../sae/index.js';
import { element, onClick } from '../browser/page.js';
import type { Session } from '../session/session.js';

/** A run's curves and figures, and what it was trained with, in a few words. */
export interface ShownRun {
  readonly name: string;
  readonly sparsity: SparsityName;
  readonly points: readonly LossPoint<SparsityName>[];
  readonly figures: readonly string[];
}

/** The run that is kept, and its figures beside those of the current one. */
export class Runs {
  #kept: ShownRun | undefined;

  /** @param changed is called when a run is kept or forgotten. */
  constructor(
    private readonly session: Session,
    changed: () => void,
  ) {
    onClick('keep-run', () => {
      if (element('keep-run').ariaDisabled === 'true') return;
      this.#kept = this.#current();
      this.show();
      changed();
    });
    onClick('forget-run', () => {
      this.#kept = undefined;
      this.show();
      element('keep-run').focus({ preventScroll: true });
      changed();
    });
  }

  get kept(): ShownRun | undefined {
    return this.#kept;
  }

  show(): void {
    const { run, training, done } = this.session;
    const button = element<HTMLButtonElement>('keep-run');
    button.disabled = !run;
    button.ariaDisabled = String(training || done === 0);
    element('runs').hidden = !this.#kept;
    element('forget-run').hidden = !this.#kept;
    if (this.#kept) {
      fill('kept-run', 'kept', this.#kept);
      fill('current-run', 'now', this.#current());
    }
  }

  #current(): ShownRun | undefined {
    const { run, history, done, sparsity } = this.session;
    if (!run) return undefined;
    const { recent } = history;
    const { model, trainer, dataset } = run;
    const { config } = trainer;
    const k = 'k' in config ? [`k ${config.k}`] : [];
    const name = [
      sparsity,
      ...k,
      `${model.config.h_dims.join('-')} latents`,
      `seed ${config.seed}`,
      dataset.name,
    ];
    return {
      name: name.join(', '),
      sparsity,
      points: [...history.points],
      figures: [
        done.toLocaleString('en'),
        ...(recent
          ? [
              recent.loss.toFixed(3),
              recent.mse.toFixed(3),
              recent.explained_variance.toFixed(3),
              recent.active.toFixed(1),
            ]
          : ['–', '–', '–', '–']),
        element('dead').textContent!,
      ],
    };
  }
}

/** Shows a run in its row of the table. */
function fill(row: string, which: string, run: ShownRun | undefined): void {
  const [name, ...cells] = element(row).children;
  name.lastElementChild!.textContent = run ? `${which}: ${run.name}` : which;
  run?.figures.forEach((figure, i) => {
    cells[i].textContent = figure;
  });
}
