import type { LatentSurvey } from './survey.js';

/** By what a list of latents is ordered: number is their own order, the others have the largest first and dead latents last. */
export const latentOrders = ['number', 'density', 'activation'] as const;
export type LatentOrder = (typeof latentOrders)[number];

/**
 * All latents of a survey, from 0, ordered by number, by density or by largest activation.
 */
export function orderedLatents(survey: LatentSurvey, order: LatentOrder): number[] {
  const latents = Array.from({ length: survey.hidden }, (_, latent) => latent);
  if (order === 'number') return latents;
  const keys = Float64Array.from(latents, (latent) =>
    order === 'density' ? survey.density(latent) : survey.density(latent) > 0 ? survey.max(latent) : -1,
  );
  return latents.sort((a, b) => keys[b] - keys[a] || a - b);
}

/**
 * Those of some latents whose number, from 1, begins with a text, or that have a word which begins with it, in capitals or not. First
 * comes what is the text exactly; otherwise they stay in their order. All of them if the text is empty.
 * @param words of a latent, such as the labels of the rows that excite it.
 */
export function findLatents(
  latents: readonly number[],
  text: string,
  words: (latent: number) => readonly string[],
): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === '') return [...latents];
  const exact: number[] = [];
  const others: number[] = [];
  for (const latent of latents) {
    const names = [String(latent + 1), ...words(latent).map((word) => word.toLowerCase())];
    if (names.includes(wanted)) exact.push(latent);
    else if (names.some((name) => name.startsWith(wanted))) others.push(latent);
  }
  return [...exact, ...others];
}
