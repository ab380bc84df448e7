import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { randomPair } from '../../model/random.js';
import { endTurn } from '../../turn.js';
import type { Neighbours } from '../evaluation/directions.js';

/** Neighbours that decide a latent's place. */
export const neighboursOnMap = 15;
/** Epochs of the layout: fewer for many latents, of which each takes longer and which lie well enough after a hundred. */
const epochsFor = (latents: number) => Math.min(500, Math.max(100, Math.round(800_000 / latents)));
/** Epochs of the layout that run before anything else may. */
const epochsAtATime = 10;

/**
 * Places latents in a plane so that those with near decoder directions are near each other: UMAP (McInnes, Healy and Melville, 2018) of
 * 1 - cosine. Which way is up, and distances between groups, mean nothing.
 * @param neighbours the nearest latents of each, the nearest first.
 * @returns [latents, 2].
 */
export async function mapOf(
  neighbours: readonly Neighbours[],
  { seed, signal }: { seed: number; signal?: AbortSignal | undefined },
): Promise<Float32Array<ArrayBuffer>> {
  const count = neighbours.length;
  const places = new Float32Array(2 * count);
  if (count < 4) {
    for (let i = 0; i < count; i++) places[2 * i] = i;
    return places;
  }
  const { UMAP } = await import('umap-js');
  const random = randomPair(seed).forOrder;
  const nNeighbors = Math.min(neighboursOnMap, count - 1);
  const umap = new UMAP({ nNeighbors, nEpochs: epochsFor(count), random: () => uniformFloat32(random) });
  umap.setPrecomputedKNN(
    // The first neighbour of each is itself.
    neighbours.map((near, i) => [i, ...near.map(({ latent }) => latent)].slice(0, nNeighbors)),
    neighbours.map((near) => [0, ...near.map(({ cosine }) => Math.max(0, 1 - cosine))].slice(0, nNeighbors)),
  );
  // The rows themselves are not looked at where neighbours are known, only how many there are.
  const epochs = umap.initializeFit(neighbours.map(() => [0]));
  for (let epoch = 0; epoch < epochs; epoch++) {
    umap.step();
    if (epoch % epochsAtATime === 0) {
      signal?.throwIfAborted();
      await endTurn();
    }
  }
  umap.getEmbedding().forEach(([x, y], i) => {
    places[2 * i] = x;
    places[2 * i + 1] = y;
  });
  return places;
}
