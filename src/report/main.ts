import { none } from '../sae/insight/report/layout.js';
import { disposeCharts } from './chart.js';
import { BrokenFile, ReportFile } from './data.js';
import { announce, byId, el } from './dom.js';
import { NothingHanded, takeBlocks } from './handed.js';
import { keysDialog, listen } from './keys.js';
import { addressOf, parseRoute, type Route } from './route.js';
import { compare } from './views/compare.js';
import { latentView } from './views/latent.js';
import { besides, latents } from './views/latents.js';
import { overview } from './views/overview.js';
import type { Context, View } from './views/view.js';

const main = byId('main');

/** Shows the view that the address names, whenever it changes. */
class Page {
  readonly #file = new ReportFile();
  readonly #context: Context = {
    file: this.#file,
    go: (route) => {
      location.hash = addressOf(route);
    },
  };
  readonly #dialog = keysDialog();
  #route: Route | undefined;
  #end: (() => void) | undefined;
  /** Counts views: one that is ready after another was asked for is not shown. */
  #asked = 0;
  /** What to do once the next view is shown. */
  #then: (() => void) | undefined;

  start(): void {
    byId('report-title').textContent = this.#file.facts.title;
    byId('tools').append(el('button', { type: 'button', onclick: () => this.#dialog.showModal() }, 'Keys'));
    document.body.append(this.#dialog);
    addEventListener('hashchange', () => this.#show());
    listen({
      '?': () => this.#dialog.showModal(),
      '/': () => this.#search(),
      n: () => this.#step('after'),
      p: () => this.#step('before'),
      o: () => this.#context.go({ view: 'overview', model: this.#current().model }),
      l: () => this.#context.go({ view: 'latents', model: this.#current().model }),
      c: () => this.#several && this.#context.go(this.#comparison()),
    });
    this.#show();
  }

  get #several(): boolean {
    return this.#file.facts.models.length > 1;
  }

  #current(): Route {
    return parseRoute(
      location.hash,
      this.#file.facts.models.map(({ latents }) => latents),
    );
  }

  #comparison(): Route {
    const { model } = this.#current();
    return { view: 'compare', model, other: model === 0 ? 1 : 0 };
  }

  async #show(): Promise<void> {
    const route = this.#current();
    const asked = ++this.#asked;
    try {
      const view = await viewOf(this.#context, route);
      if (asked === this.#asked) this.#put(route, view);
    } catch (error) {
      fail(error);
    }
  }

  #put(route: Route, view: View): void {
    const before = this.#route;
    // A button that was pressed stays under the finger if the next view has it as well.
    const held = document.activeElement?.id;
    this.#end?.();
    this.#route = route;
    this.#navigation(route);
    document.title = `${view.title} · ${this.#file.facts.title}`;
    const heading = el('h1', { tabindex: -1 }, view.title);
    main.replaceChildren(heading, ...view.content);
    disposeCharts();
    main.dataset.view = route.view;
    if (before && before.view !== route.view) scrollTo(0, 0);
    if (before) {
      const again = held ? document.getElementById(held) : null;
      if (again && main.contains(again)) {
        again.focus({ preventScroll: true });
        announce(view.title);
      } else heading.focus({ preventScroll: true });
    }
    this.#end = view.start?.(before?.view === 'latent');
    this.#then?.();
    this.#then = undefined;
  }

  #navigation(route: Route): void {
    const { model } = route;
    const link = (to: Route, text: string) => {
      const here = to.view === route.view;
      const inside = to.view === 'latents' && route.view === 'latent';
      return el(
        'a',
        { href: addressOf(to), 'aria-current': here ? 'page' : inside ? 'true' : undefined },
        text,
      );
    };
    document
      .querySelector('nav')!
      .replaceChildren(
        link({ view: 'overview', model }, 'Overview'),
        link({ view: 'latents', model }, 'Latents'),
        ...(this.#several ? [link(this.#comparison(), 'Compare')] : []),
      );
    document.getElementById('model')?.parentElement?.remove();
    if (this.#several && route.view !== 'compare') byId('tools').prepend(this.#choice(route));
  }

  #choice(route: Route): HTMLElement {
    const select = el(
      'select',
      {
        id: 'model',
        onchange: () =>
          this.#context.go({
            view: route.view === 'overview' ? 'overview' : 'latents',
            model: select.selectedIndex,
          }),
      },
      ...this.#file.facts.models.map(({ name }, i) =>
        el('option', { selected: i === route.model }, `${i + 1}: ${name}`),
      ),
    );
    return el('label', { for: 'model' }, 'Model ', select);
  }

  /** Goes to the field that searches, in the table of latents. */
  #search(): void {
    const focus = () => document.getElementById('search')?.focus();
    if (this.#route?.view === 'latents') focus();
    else {
      this.#then = focus;
      this.#context.go({ view: 'latents', model: this.#current().model });
    }
  }

  async #step(to: 'before' | 'after'): Promise<void> {
    const route = this.#current();
    if (route.view !== 'latent') return;
    const next = besides(await this.#file.model(route.model), route.latent)[to];
    if (next === none || next < 0 || next >= this.#file.facts.models[route.model].latents) {
      announce(to === 'after' ? 'This is the last one.' : 'This is the first one.');
    } else this.#context.go({ ...route, latent: next });
  }
}

function viewOf(context: Context, route: Route): Promise<View> {
  if (route.view === 'latent') return latentView(context, route);
  if (route.view === 'latents') return latents(context, route);
  if (route.view === 'compare') return compare(context, route);
  return overview(context, route);
}

function fail(error: unknown): void {
  const text =
    error instanceof BrokenFile || error instanceof NothingHanded
      ? error.message
      : `This report could not be shown in this browser: ${error instanceof Error ? error.message : error}`;
  main.replaceChildren(el('p', { role: 'alert' }, text));
}

try {
  await takeBlocks();
  new Page().start();
} catch (error) {
  fail(error);
}
