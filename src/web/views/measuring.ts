import { type LatentSurvey, surveyLatents } from '../../sae/index.js';
import type { Run } from '../session/run.js';
import type { Session } from '../session/session.js';

/** Milliseconds between two looks at a survey that is under way. */
const lookEvery = 500;
/** Top-activating rows of a latent that are kept. */
const top = 16;

/** Surveys all latents of the current model, again and again while it is trained; training goes on in between. */
export class Measuring {
  #run: Run | undefined;
  #survey: LatentSurvey | undefined;

  /** @param show is called while a first survey goes on, and with each one when it is complete. */
  constructor(
    private readonly session: Session,
    private readonly show: (run: Run, survey: LatentSurvey) => void,
  ) {}

  /** What is known of a run's latents: its last complete survey or, before one is, the first as far as it is. */
  of(run: Run | undefined): LatentSurvey | undefined {
    return run === this.#run ? this.#survey : undefined;
  }

  /** Surveys the latents, until all rows have been encoded or there is another model. */
  async measure(run: Run): Promise<void> {
    let begun = performance.now();
    let shown = begun;
    for await (const survey of surveyLatents(run.model, run.dataset, { top })) {
      if (run !== this.session.run || this.session.starting) return;
      const isFirst = this.of(run)?.complete !== true;
      if (survey.complete || (isFirst && performance.now() > shown + lookEvery)) {
        shown = performance.now();
        this.#run = run;
        this.#survey = survey;
        this.show(run, survey);
      }
      // Input is answered in between, and half of the device's time is for training.
      const took = performance.now() - begun;
      await new Promise((resolve) => setTimeout(resolve, this.session.training ? took : 0));
      begun = performance.now();
    }
  }
}
