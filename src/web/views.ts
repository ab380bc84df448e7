import type { Dataset, Probe } from '../sae/index.js';
import { Curves } from './curves.js';
import { Features } from './features.js';
import { Inspector } from './inspector.js';
import { Pad } from './pad.js';
import { paced, tell } from './page.js';
import type { Run } from './run.js';
import { Samples } from './samples.js';
import { isLost, type Session } from './session.js';
import { showStatus } from './status.js';
import { onThemeChange } from './tiles.js';

/** Milliseconds between two looks at all rows for the chosen feature while the model is trained. */
const activityInterval = 5000;

/** All that shows the model: each at its own pace, which leaves most of a software adapter's time to training. */
export class Views {
  /** Steps that training goes to in the end. */
  goal = 0;
  readonly #session: Session;
  readonly #curves = new Curves();
  readonly #inspector = new Inspector();
  readonly #samples = new Samples(() => this.#drawSamples());
  readonly #features = new Features(
    () => this.#drawFeature(),
    () => this.#drawFeatures(),
  );
  readonly #pad = new Pad(this.#features, () => this.#drawPad());
  #activityAt = 0;
  /** Ends the look at all rows that is under way. */
  #looking = new AbortController();

  readonly #drawStatus = this.#drawing(150, () => {
    this.showStatus();
    this.#curves.draw(this.#session.history);
  });
  readonly #drawSamples = this.#drawing(150, (run) => this.#samples.draw(run));
  readonly #drawPad = this.#drawing(0, (run) => this.#pad.draw(run));
  readonly #drawFeatures = this.#drawing(250, async (run) => {
    await this.#features.draw(run);
    const { unit } = this.#features;
    this.#inspector.drawWeights(run, unit, this.#features.tile(unit));
    this.#drawPad();
  });
  readonly #drawActivity = this.#drawing(0, async (run) => {
    this.#activityAt = performance.now();
    this.#looking = new AbortController();
    const { signal } = this.#looking;
    await this.#inspector.drawActivity(run, this.#features.unit, signal).catch((error) => {
      if (!signal.aborted) {
        throw error;
      }
    });
  });

  constructor(session: Session) {
    this.#session = session;
    onThemeChange(() => {
      this.#samples.forget();
      this.drawAll();
    });
  }

  /** Shows rows of the data, which takes no device. */
  showOriginals(dataset: Dataset): void {
    this.#samples.showOriginals(dataset);
  }

  /** Shows what a new model makes of them. */
  showFirst(samples: Probe, dataset: Dataset): Promise<void> {
    return this.#samples.draw({ samples, dataset });
  }

  /** Shows the figures at once. */
  showStatus(): void {
    showStatus(this.#session, this.goal);
  }

  /** Draws what training changes. */
  drawTrained(): void {
    this.#drawStatus();
    this.#drawSamples();
    this.#drawFeatures();
    if (performance.now() > this.#activityAt + activityInterval) {
      this.#drawActivity();
    }
  }

  drawAll(): void {
    this.drawTrained();
    this.#drawActivity();
  }

  /** Shows another feature: at once what is at hand, then how the rows excite it. */
  #drawFeature(): void {
    const { unit } = this.#features;
    this.#looking.abort();
    this.#inspector.forgetActivity();
    this.#inspector.drawWeights(this.#session.run!, unit, this.#features.tile(unit));
    this.#drawPad();
    this.#drawActivity();
  }

  /** What fails because the device or the model has gone meanwhile is drawn again for the next one. */
  #drawing(milliseconds: number, draw: (run: Run) => Promise<void> | void): () => void {
    return paced(milliseconds, async () => {
      const { run } = this.#session;
      try {
        await run?.look(draw);
      } catch (error) {
        if (run === this.#session.run && run && !(await isLost(run.gpu))) {
          tell('trouble', (error as Error).message);
        }
      }
    });
  }
}
