type Child = Node | string | number | undefined | false | readonly Child[];
type Handler = (event: never) => void;

/** Attributes by name; functions are handlers of the event after `on`. There is no way to set markup or style: the file's policy forbids both. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined | Handler>>;

/** Makes an element. Strings among its children become text, whatever they hold. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
  append(element, children);
  return element;
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child !== undefined && child !== false) element.append(child as Node | string);
  }
}

export function byId(id: string): HTMLElement {
  return document.getElementById(id)!;
}

/** Tells what changed to those who do not see it. */
export function announce(text: string): void {
  byId('announcement').textContent = text;
}

/** A section with a heading, and what it means in a sentence or two. */
export function section(heading: string, explanation: string, ...children: readonly Child[]): HTMLElement {
  return el(
    'section',
    {},
    el('h2', {}, heading),
    explanation !== '' && el('p', { class: 'explanation' }, explanation),
    ...children,
  );
}

/** Where a screen is so narrow that everything stands below each other, what is long is folded. */
const narrow = matchMedia('(width < 45rem)');

/** A section that is folded on a narrow screen, but for its heading. */
export function longSection(
  heading: string,
  explanation: string,
  ...children: readonly Child[]
): HTMLElement {
  if (!narrow.matches) return section(heading, explanation, ...children);
  return el(
    'section',
    {},
    el(
      'details',
      { class: 'fold' },
      el('summary', {}, el('h2', {}, heading)),
      explanation !== '' && el('p', { class: 'explanation' }, explanation),
      ...children,
    ),
  );
}

// Paper cannot be unfolded.
addEventListener('beforeprint', () => {
  for (const fold of document.querySelectorAll<HTMLDetailsElement>('details.fold')) fold.open = true;
});

/** What is wider than its place can be scrolled with the keyboard as well. */
const scrolled = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const attributes = { tabindex: '0', role: 'group', 'aria-label': 'Table that goes on to the side' };
    const cut = target.scrollWidth > target.clientWidth;
    for (const [name, value] of Object.entries(attributes)) {
      if (cut) target.setAttribute(name, value);
      else target.removeAttribute(name);
    }
  }
});

/** A small table. The first cell of a row names it; cells that are numbers stand right. */
export function table(
  name: string,
  heading: readonly string[],
  rows: readonly (readonly (Node | string)[])[],
): HTMLElement {
  const isNumber = (cell: Node | string | undefined) =>
    /^[-−+]?\d[\d.,]*( ?[%×]| ?\(.*\)| to .*)?$/.test(
      (typeof cell === 'string' ? cell : cell?.textContent) ?? '',
    );
  const numeric = heading.map((_, i) => i > 0 && rows.length > 0 && rows.every((row) => isNumber(row[i])));
  const kind = (i: number) => (numeric[i] ? 'number' : undefined);
  const place = el(
    'div',
    { class: 'scroll' },
    el(
      'table',
      { 'aria-label': name },
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          heading.map((text, i) =>
            text === '' ? el('td') : el('th', { scope: 'col', class: kind(i) }, text),
          ),
        ),
      ),
      el(
        'tbody',
        {},
        rows.map((row) =>
          el(
            'tr',
            {},
            row.map((cell, i) =>
              i === 0 ? el('th', { scope: 'row' }, cell) : el('td', { class: kind(i) }, cell),
            ),
          ),
        ),
      ),
    ),
  );
  scrolled.observe(place);
  return place;
}
