import type { Dataset, Probe } from '../../sae/index.js';
import { paced, tell } from '../browser/page.js';
import { isLost } from '../session/device.js';
import type { Run } from '../session/run.js';
import type { Session } from '../session/session.js';
import { wordsOf } from '../session/shown-rows.js';
import { Curves } from './curves.js';
import { Features } from './features.js';
import { Inspector } from './inspector.js';
import { Measuring } from './measuring.js';
import { Pad } from './pad.js';
import { Revival } from './revival.js';
import { Runs } from './runs.js';
import { Samples } from './samples.js';
import { showStatus } from './status.js';
import { onThemeChange } from './tiles.js';

/** Milliseconds between two surveys of all latents, while the model is trained. */
const surveyInterval = 3000;

/**
 * All views of the model. Each is redrawn at its own pace, which leaves most of a software adapter's time to training.
 */
export class Views {
  /** Total steps that training is to reach. */
  goal = 0;
  readonly #session: Session;
  readonly #curves = new Curves();
  readonly #inspector = new Inspector();
  readonly #samples = new Samples(() => this.#drawSamples());
  readonly #features = new Features(
    () => this.#drawLatent(),
    () => this.#drawFeatures(),
  );
  readonly #pad = new Pad(this.#features, () => this.#drawPad());
  readonly #measuring: Measuring;
  readonly #revival: Revival;
  readonly #runs: Runs;
  #surveyedAt = 0;

  readonly #drawStatus = this.#drawing(150, () => {
    this.showStatus();
    this.#drawCurves();
  });
  readonly #drawSamples = this.#drawing(150, (run) => this.#samples.draw(run));
  readonly #drawPad = this.#drawing(0, (run) => this.#pad.draw(run));
  readonly #drawFeatures = this.#drawing(250, async (run) => {
    await this.#features.draw(run, this.#pad.latents);
    const { latent } = this.#features;
    this.#inspector.drawDirections(run, latent, this.#features.tile(latent));
    this.#drawPad();
  });
  readonly #survey = this.#drawing(0, async (run) => {
    await this.#measuring.measure(run);
    this.#surveyedAt = performance.now();
  });

  constructor(session: Session) {
    this.#session = session;
    this.#revival = new Revival(session);
    this.#runs = new Runs(session, () => this.#drawCurves());
    this.#measuring = new Measuring(session, (run, survey) => {
      this.#features.show(run, survey);
      this.#revival.show(run, survey);
      this.#inspect(run);
      // Latents are named there by their words.
      if (wordsOf(run.dataset)) this.#drawPad();
    });
    onThemeChange(() => {
      this.#samples.forget();
      this.#drawPad();
      this.drawAll();
    });
  }

  /** Shows rows of the data, which needs no device. */
  showOriginals(dataset: Dataset): void {
    this.#samples.showOriginals(dataset);
  }

  /** Shows a new model's reconstructions of them. */
  showFirst(samples: Probe, dataset: Dataset): Promise<void> {
    return this.#samples.draw({ samples, dataset });
  }

  /** Shows the figures at once. */
  showStatus(): void {
    showStatus(this.#session, this.goal);
    this.#runs.show();
  }

  #drawCurves(): void {
    this.#curves.draw(this.#session.history, this.#session.sparsity, this.#runs.kept);
  }

  /** Draws what training changes. */
  drawTrained(): void {
    this.#drawStatus();
    this.#drawSamples();
    this.#drawFeatures();
    if (performance.now() > this.#surveyedAt + surveyInterval) {
      this.#survey();
    }
  }

  drawAll(): void {
    this.drawTrained();
    const { run } = this.#session;
    if (run) {
      this.#inspect(run);
      if (!this.#measuring.of(run)) {
        this.#revival.show(run, undefined);
      }
    }
    this.#survey();
  }

  /** Shows another latent: from what is at hand at once, and as it is on the device. */
  #drawLatent(): void {
    this.#inspect(this.#session.run!);
    this.#drawFeatures();
  }

  /** Shows what is known of the chosen latent. */
  #inspect(run: Run): void {
    const { latent } = this.#features;
    this.#inspector.drawDirections(run, latent, this.#features.tile(latent));
    this.#inspector.drawActivity(run, latent, this.#measuring.of(run));
  }

  /**
   * A failure because the device was lost or the model replaced is not reported: all is drawn again for the next model.
   */
  #drawing(milliseconds: number, draw: (run: Run) => Promise<void> | void): () => void {
    return paced(milliseconds, async () => {
      const { run } = this.#session;
      try {
        await run?.use(draw);
      } catch (error) {
        // Failures of a model that is being or has been replaced do not matter. Checked after the wait for the device.
        if (run && !(await isLost(run.gpu)) && run === this.#session.run && !this.#session.starting) {
          tell('trouble', (error as Error).message);
        }
      }
    });
  }
}
