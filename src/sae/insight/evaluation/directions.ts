import { multiply } from '../../../gpu/gemm/gemm.js';
import { Program } from '../../../gpu/program.js';
import { Scope } from '../../../gpu/scope.js';
import { Tensor } from '../../../gpu/tensor.js';
import type { Model } from '../../model/model.js';
import { transposed } from '../../model/transposed.js';
import { largest } from '../largest.js';
import { LatentPictures } from '../latents.js';

/** Latents whose directions are compared with all others at a time. */
const atATime = 256;

/** The latents whose decoder directions are nearest to that of one, by cosine, the nearest first. */
export type Neighbours = readonly { readonly latent: number; readonly cosine: number }[];

/**
 * Decoder directions: the change of the reconstruction when a latent alone goes from 0 to 1, [latents, in_dims]. In a model of
 * one hidden layer, the decoder's weights, unless latents are multiplied by norms that the decoder divides by.
 * @throws ClosedError, LimitError, OutOfMemoryError.
 */
export async function decoderDirections(model: Model): Promise<Float32Array<ArrayBuffer>> {
  const { hidden, config, decoder } = model;
  if (decoder.length === 1 && !model.rescaling) {
    const [{ weight, byLatents, outputs }] = decoder;
    const weights = await weight.read();
    return byLatents ? weights : transposed(weights, outputs);
  }
  const directions = new Float32Array(hidden * config.in_dims);
  await Scope.during(async (scope) => {
    const pictures = await LatentPictures.create(model, Math.min(hidden, atATime));
    scope.adopt(pictures, (made) => made.close());
    for (let first = 0; first < hidden; first += pictures.count) {
      directions.set(await pictures.drawings(first), first * config.in_dims);
    }
  });
  return directions;
}

/**
 * The nearest other latents of each, [hidden], by the cosines of their decoder directions. A direction of norm 0 has the cosine 0 with all.
 * @param count of neighbours of a latent, at most.
 * @throws ClosedError, LimitError, OutOfMemoryError.
 */
export async function nearestLatents(model: Model, count: number): Promise<Neighbours[]> {
  const units = await unitDirections(model);
  const found: Neighbours[] = [];
  await cosinesOf(model, units, model, units, (cosines, latent) => {
    found.push(nearest(cosines, count, latent));
  });
  return found;
}

/** Of each latent of a model the nearest one of another, by decoder direction: [hidden] each. */
export interface Matches {
  readonly latents: Uint32Array<ArrayBuffer>;
  readonly cosines: Float32Array<ArrayBuffer>;
}

/**
 * What latents of models on one device match, by the model and by the other one; undefined where both are the same. Of equal ones the first.
 * @throws as `nearestLatents`.
 */
export async function matchedLatents(models: readonly Model[]): Promise<(Matches | undefined)[][]> {
  const found: (Matches | undefined)[][] = models.map(() => new Array(models.length).fill(undefined));
  for (const [i, one] of models.entries()) {
    const units = await unitDirections(one);
    for (const [j, other] of models.entries()) {
      if (j <= i) continue;
      const [ours, theirs] = [noMatches(one.hidden), noMatches(other.hidden)];
      await cosinesOf(one, units, other, await unitDirections(other), (cosines, latent) => {
        for (let k = 0; k < cosines.length; k++) {
          const cosine = cosines[k];
          if (cosine > ours.cosines[latent]) {
            ours.cosines[latent] = cosine;
            ours.latents[latent] = k;
          }
          if (cosine > theirs.cosines[k]) {
            theirs.cosines[k] = cosine;
            theirs.latents[k] = latent;
          }
        }
      });
      found[i][j] = ours;
      found[j][i] = theirs;
    }
  }
  return found;
}

function noMatches(hidden: number): Matches {
  const cosines = new Float32Array(hidden).fill(Number.NEGATIVE_INFINITY);
  return { latents: new Uint32Array(hidden), cosines };
}

async function unitDirections(model: Model): Promise<Float32Array<ArrayBuffer>> {
  return unitRows(await decoderDirections(model), model.config.in_dims);
}

/** Calls back with the cosines of each latent's direction with all of another model's. */
function cosinesOf(
  { gpu, hidden, config: { in_dims } }: Model,
  units: Float32Array<ArrayBuffer>,
  among: Model,
  others: Float32Array<ArrayBuffer>,
  use: (cosines: Float32Array<ArrayBuffer>, latent: number) => void,
): Promise<void> {
  return Scope.during(async (scope) => {
    const rows = Math.min(hidden, atATime);
    const [all, some, cosines] = await gpu.allocate('the cosines of directions', () => [
      scope.use(new Tensor(gpu, 'directions', [among.hidden, in_dims])),
      scope.use(new Tensor(gpu, 'some directions', [rows, in_dims])),
      scope.use(new Tensor(gpu, 'cosines of directions', [rows, among.hidden])),
    ]);
    all.write(others);
    const program = scope.use(new Program(gpu));
    await multiply(program, 'nt', some, all, cosines);
    await program.ready();
    for (let first = 0; first < hidden; first += rows) {
      const here = Math.min(rows, hidden - first);
      some.write(units.slice(first * in_dims, (first + here) * in_dims), here);
      program.submit();
      const values = await cosines.read(here);
      for (let i = 0; i < here; i++) {
        use(values.subarray(i * among.hidden, (i + 1) * among.hidden), first + i);
      }
    }
  });
}

/** Rows of norm 1; those of norm 0 stay. */
export function unitRows(rows: Float32Array<ArrayBuffer>, columns: number): Float32Array<ArrayBuffer> {
  const units = rows.slice();
  for (let first = 0; first < units.length; first += columns) {
    const row = units.subarray(first, first + columns);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    for (let i = 0; norm > 0 && i < columns; i++) row[i] /= norm;
  }
  return units;
}

/** The largest of a latent's cosines, but for that with itself; of equal ones the first. */
function nearest(cosines: Float32Array, count: number, self: number): Neighbours {
  cosines[self] = Number.NEGATIVE_INFINITY;
  const latents = largest(cosines, count).filter((latent) => latent !== self);
  return latents.map((latent) => ({ latent, cosine: cosines[latent] }));
}
