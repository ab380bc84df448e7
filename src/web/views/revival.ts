import type { LatentSurvey } from '../../sae/index.js';
import { announce, element, onClick } from '../browser/page.js';
import type { Run } from '../session/run.js';
import type { Session } from '../session/session.js';

/** How many latents are dead, and the button that revives them. */
export class Revival {
  #dead: readonly number[] = [];

  constructor(session: Session) {
    onClick('revive-dead', () => {
      const count = this.#dead.length;
      if (count === 0) return;
      void session.revive(this.#dead);
      const said = `${count} revived`;
      this.#show([], said);
      announce(`${said}.`);
    });
  }

  /** Shows what a survey knows. Of some rows alone, a latent that is active for none may be a rare one. */
  show({ model }: Run, survey: LatentSurvey | undefined): void {
    if (!survey?.complete) {
      element('dead').textContent = '–';
      this.#show([], '');
      return;
    }
    const dead = survey.dead();
    element('dead').textContent = `${dead.length} of ${model.hidden}`;
    // Of several layers, none can be given new weights by itself.
    const canRevive = model.config.h_dims.length === 1;
    this.#show(canRevive ? dead : [], dead.length > 0 ? `${dead.length} dead` : '');
  }

  #show(dead: readonly number[], text: string): void {
    this.#dead = dead;
    element('dead-count').textContent = text;
    element('revival').hidden = text === '';
    // One that is hidden or disabled would lose the focus.
    element('revive-dead').ariaDisabled = String(dead.length === 0);
  }
}
