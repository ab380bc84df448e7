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
 * The nearest latents of each, [hidden], by the cosines of their decoder directions. A direction of norm 0 has the cosine 0 with all.
 * @param count of neighbours of a latent, at most.
 * @param among a model on the same device whose latents they are, by default the other ones of the same model.
 * @throws ClosedError, LimitError, OutOfMemoryError.
 */
export async function nearestLatents(model: Model, count: number, among = model): Promise<Neighbours[]> {
  const { gpu, hidden, config } = model;
  const { in_dims } = config;
  const units = unitRows(await decoderDirections(model), in_dims);
  const others = among === model ? units : unitRows(await decoderDirections(among), in_dims);
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
    const found: Neighbours[] = [];
    for (let first = 0; first < hidden; first += rows) {
      const here = Math.min(rows, hidden - first);
      some.write(units.slice(first * in_dims, (first + here) * in_dims), here);
      program.submit();
      const values = await cosines.read(here);
      for (let i = 0; i < here; i++) {
        const own = values.subarray(i * among.hidden, (i + 1) * among.hidden);
        found.push(nearest(own, count, among === model ? first + i : undefined));
      }
    }
    return found;
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
function nearest(cosines: Float32Array, count: number, self: number | undefined): Neighbours {
  if (self !== undefined) cosines[self] = Number.NEGATIVE_INFINITY;
  const latents = largest(cosines, count).filter((latent) => latent !== self);
  return latents.map((latent) => ({ latent, cosine: cosines[latent] }));
}
