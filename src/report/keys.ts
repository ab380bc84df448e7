import { el } from './dom.js';

const keys = [
  ['/', 'search the latents'],
  ['n', 'next latent, in the order of the table'],
  ['p', 'previous latent'],
  ['o, l, c', 'overview, latents, compare'],
  ['↑ ↓ Home End Page Up Page Down', 'in a table: from row to row'],
  ['← → ↑ ↓', 'in a picture of points: to the nearest one in that direction'],
  ['Enter', 'in a table or a picture of points: opens the latent'],
  ['?', 'this list'],
] as const;

/** Single letters as keys may get in the way of speech input and of some readers: they can be switched off. */
let on = true;

/** Calls what a key is for, unless it is typed into a field or meant for something else. */
export function listen(actions: Readonly<Record<string, () => void>>): void {
  addEventListener('keydown', (event) => {
    const target = event.target as HTMLElement;
    if (!on && event.key !== '?') return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (target.matches('input, select, textarea') || document.querySelector('dialog[open]')) return;
    if (!Object.hasOwn(actions, event.key)) return;
    event.preventDefault();
    actions[event.key]();
  });
}

/** The list of keys. */
export function keysDialog(): HTMLDialogElement {
  const input = el('input', {
    type: 'checkbox',
    checked: true,
    onchange: () => {
      on = input.checked;
    },
  });
  return el(
    'dialog',
    { 'aria-labelledby': 'keys-heading' },
    el('h2', { id: 'keys-heading' }, 'Keys'),
    el(
      'dl',
      {},
      ...keys.map(([key, what]) => el('div', {}, el('dt', {}, el('kbd', {}, key)), el('dd', {}, what))),
    ),
    el('label', {}, input, ' Letters are keys'),
    el('form', { method: 'dialog' }, el('button', { type: 'submit' }, 'Close')),
  );
}
