/** A view and what it shows, as the address has it after `#`. Models and latents are counted from 0 here, from 1 there. */
export type Route =
  | { readonly view: 'overview' | 'latents'; readonly model: number }
  | { readonly view: 'latent'; readonly model: number; readonly latent: number }
  | { readonly view: 'compare'; readonly model: number; readonly other: number };

/** Reads an address. What it names and the report has not becomes the nearest that it has. */
export function parseRoute(hash: string, latents: readonly number[]): Route {
  const parameters = new URLSearchParams(hash.replace(/^#/, ''));
  const place = (name: string, end: number, otherwise = 0) => {
    const given = Number.parseInt(parameters.get(name) ?? '', 10);
    return Number.isNaN(given) ? otherwise : Math.min(Math.max(given, 1), end) - 1;
  };
  const model = place('model', latents.length);
  const view = parameters.get('view');
  if (parameters.has('latent')) return { view: 'latent', model, latent: place('latent', latents[model]) };
  if (view === 'latents') return { view, model };
  if (view === 'compare' && latents.length > 1) {
    const other = place('with', latents.length, model === 0 ? 1 : 0);
    return { view, model, other: other === model ? (model === 0 ? 1 : 0) : other };
  }
  // Of many models, how they compare comes first.
  if (hash.length < 2 && latents.length > 2) return { view: 'compare', model: 0, other: 1 };
  return { view: 'overview', model };
}

export function addressOf(route: Route): string {
  const model = `model=${route.model + 1}`;
  if (route.view === 'latent') return `#${model}&latent=${route.latent + 1}`;
  if (route.view === 'compare') return `#view=compare&${model}&with=${route.other + 1}`;
  return `#view=${route.view}&${model}`;
}
