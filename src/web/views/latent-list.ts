import {
  findLatents,
  type LatentOrder,
  type LatentSurvey,
  latentOrders,
  orderedLatents,
} from '../../sae/index.js';
import { element, onClick, showText } from '../browser/page.js';
import { latentsAtATime } from '../session/run.js';

/** What a list is made of: the latents of a model, and what is known of them. */
export interface Listed {
  readonly hidden: number;
  /** Undefined before the first rows have been encoded. */
  readonly survey: LatentSurvey | undefined;
  /** What a latent can be found by, besides its number. */
  words(latent: number): readonly string[];
}

const orderNames: Readonly<Record<LatentOrder, string>> = {
  number: 'by number',
  density: 'most often active first',
  activation: 'most strongly active first',
};

/** Which latents are shown, of thousands: a page of those that are searched for, in the order that is chosen. */
export class LatentList {
  readonly #search = element<HTMLInputElement>('latent-search');
  readonly #order = element<HTMLSelectElement>('latent-order');
  #listed: Listed | undefined;
  #latents: readonly number[] = [];
  #first = 0;

  /** @param turned is called when other latents are to be shown. @param chosen when one was searched for and Enter pressed. */
  constructor(turned: () => void, chosen: (latent: number) => void) {
    this.#order.append(...latentOrders.map((order) => new Option(orderNames[order], order)));
    const again = () => {
      this.#first = 0;
      this.#arrange();
      turned();
    };
    this.#search.addEventListener('input', again);
    this.#order.addEventListener('change', again);
    this.#search.addEventListener('keydown', ({ key }) => {
      const [latent] = this.page;
      if (key === 'Enter' && latent !== undefined) chosen(latent);
    });
    const turn = (pages: number) => {
      const first = this.#first + pages * latentsAtATime;
      if (first < 0 || first >= this.#latents.length) return;
      this.#first = first;
      this.#showPages();
      turned();
    };
    onClick('feature-previous', () => turn(-1));
    onClick('feature-next', () => turn(1));
    element('features').addEventListener('keydown', (event) => {
      const pages = { PageUp: -1, PageDown: 1 }[event.key];
      if (pages) {
        event.preventDefault();
        turn(pages);
      }
    });
  }

  /** The latents that are shown. */
  get page(): readonly number[] {
    return this.#latents.slice(this.#first, this.#first + latentsAtATime);
  }

  /** Lists the latents of another model, from the first page on, or what else is known of those that are there. */
  list(listed: Listed): void {
    if (listed.hidden !== this.#listed?.hidden) this.#first = 0;
    this.#listed = listed;
    this.#arrange();
  }

  #arrange(): void {
    const listed = this.#listed;
    if (!listed) return;
    const { survey, hidden } = listed;
    const order = this.#order.value as LatentOrder;
    const all = survey
      ? orderedLatents(survey, order)
      : Array.from({ length: hidden }, (_, latent) => latent);
    this.#latents = findLatents(all, this.#search.value, (latent) => listed.words(latent));
    if (this.#first >= this.#latents.length) this.#first = 0;
    this.#showPages();
  }

  #showPages(): void {
    const { hidden } = this.#listed!;
    const found = this.#latents.length;
    const end = Math.min(found, this.#first + latentsAtATime);
    const searched = found < hidden;
    element('feature-pages').hidden = hidden <= latentsAtATime && !searched;
    const range = `${this.#first + 1} to ${end} of ${found}${searched ? ` found among ${hidden}` : ''}`;
    showText('feature-range', found === 0 ? `none of ${hidden}` : range);
    // A button that was disabled would lose the focus.
    element('feature-previous').ariaDisabled = String(this.#first === 0);
    element('feature-next').ariaDisabled = String(end === found);
  }
}
