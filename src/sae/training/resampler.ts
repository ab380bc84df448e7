import { uniformFloat32 } from 'pure-rand/distribution/uniformFloat32';
import { padded, type Tensor, tensorBytes } from '../../gpu/tensor.js';
import type { TrainConfig } from '../config.js';
import { randomPair, sampleRows } from '../model/random.js';
import { blocks, runsOf } from '../rows/blocks.js';
import { normalizedRows } from '../rows/dataset.js';
import type { SparsityName } from '../sparsity/index.js';
import type { TrainStep } from '../step/train-step.js';
import { momentsOf } from '../step/update.js';

/** Rows from which new latents are made, at most. */
const mostRows = 4096;
/** Of the mean norm of the other latents' encoder weights, the part that a new one's have. */
const encoderScale = 0.2;

/** A matrix on the device with what is to be written there. */
interface Change {
  readonly buffer: GPUBuffer;
  readonly values: Float32Array<ArrayBuffer>;
}

/**
 * Gives latents new weights, as Anthropic's Towards Monosemanticity does with dead ones: rows are drawn with
 * probabilities in proportion to the square of their squared error, one for each latent, without replacement. With u
 * the row, less the output's bias if the model has `pre_bias`, divided by its norm, a latent's decoder direction becomes u
 * times the mean norm of the other latents' directions, its encoder weights 0.2 times their mean norm times u, its bias
 * and the moments of all these 0. A threshold stays. Of more latents than there are such rows, the first ones.
 * @param step of a model with one hidden layer, of which no submit may be running.
 * @returns what is to be written, by `writeWeights`.
 */
export async function newWeights(
  step: TrainStep,
  latents: readonly number[],
  seed: number,
): Promise<readonly Change[]> {
  if (latents.length === 0) {
    return [];
  }
  const { model } = step;
  const chosen = new Set(latents);
  const directions = await directionsOf(step, latents.length, seed);
  const changed = latents.slice(0, directions.length);
  const [encoder, decoder] = model.layers;
  const encoderRows = { tensor: encoder.weight, byRows: true };
  const decoderRows = { tensor: decoder.weight, byRows: decoder.byLatents === true };
  const changes: Change[] = [];
  for (const [{ tensor, byRows }, scale] of [
    [encoderRows, encoderScale],
    [decoderRows, 1],
  ] as const) {
    const values = new Float32Array(await model.gpu.read(tensor.buffer));
    const stride = padded(tensor.columns);
    const place = (latent: number, i: number) => (byRows ? latent * stride + i : i * stride + latent);
    const norm = meanNorm(values, place, model, (latent) => chosen.has(latent));
    directions.forEach((direction, n) => {
      direction.forEach((value, i) => {
        values[place(latents[n], i)] = scale * norm * value;
      });
    });
    changes.push({ buffer: tensor.buffer, values });
    changes.push(...(await withoutMoments(step, tensor, changed, model.config.in_dims, place)));
  }
  const biases = new Float32Array(await model.gpu.read(encoder.bias.buffer));
  for (const latent of changed) {
    biases[latent] = 0;
  }
  changes.push({ buffer: encoder.bias.buffer, values: biases });
  changes.push(...(await withoutMoments(step, encoder.bias, changed, 1, (latent) => latent)));
  return changes;
}

/** Writes what `newWeights` found. */
export function writeWeights({ model }: TrainStep, changes: readonly Change[]): void {
  for (const { buffer, values } of changes) {
    model.gpu.write(buffer, values);
  }
}

/** A seed of its own for each time that latents get new weights. @param done steps so far. */
export function seedAt(done: number, { seed }: TrainConfig<SparsityName>): number {
  return (seed ^ Math.imul(done, 0x9e3779b1)) >>> 0;
}

/**
 * Gives dead latents new weights every so many steps. What is new disturbs the model at first: so there is none in the run's
 * last steps, as many as lie between two.
 */
export class Resampler {
  #resampled: number;
  #ready: readonly Change[] | undefined;

  /**
   * @param every steps between two resamplings.
   * @param runSteps steps of the run.
   * @param done steps of the training so far.
   */
  constructor(
    readonly step: TrainStep,
    readonly every: number,
    readonly runSteps: number,
    done: number,
  ) {
    // A snapshot at such a step is from before it.
    this.#resampled = done % every === 0 ? Math.max(0, done - every) : done;
  }

  /** Steps that may be submitted before the next resampling. */
  left(done: number): number {
    return this.every - (done % this.every);
  }

  /**
   * To be called before each submit. Returns a promise while it looks for dead latents; called again after that, it
   * changes them, and the submit may follow.
   */
  before(done: number, config: TrainConfig<SparsityName>): Promise<void> | undefined {
    const isLast = done < this.runSteps && done + this.every > this.runSteps;
    if (done === 0 || done % this.every !== 0 || done === this.#resampled || isLast) {
      return undefined;
    }
    if (!this.#ready) {
      return this.#changes(done, config).then((changes) => {
        this.#ready = changes;
      });
    }
    writeWeights(this.step, this.#ready);
    this.#ready = undefined;
    this.#resampled = done;
    return undefined;
  }

  async #changes(done: number, config: TrainConfig<SparsityName>): Promise<readonly Change[]> {
    const { model, build } = this.step;
    const silent = new Uint32Array(await model.gpu.read(build.buffer('silent_rows')));
    const latents = Array.from({ length: model.hidden }, (_, latent) => latent);
    const dead = latents.filter((latent) => silent[latent] >= build.deadAfter);
    return newWeights(this.step, dead, seedAt(done, config));
  }
}

/** The moments of a parameter with those of some latents set to 0; of tied weights, the encoder has none. */
async function withoutMoments(
  { model, build }: TrainStep,
  tensor: Tensor,
  latents: readonly number[],
  length: number,
  place: (latent: number, i: number) => number,
): Promise<Change[]> {
  if (!model.trained.includes(tensor)) {
    return [];
  }
  return Promise.all(
    momentsOf(build, tensor).map(async (name) => {
      const buffer = build.buffer(name);
      const values = new Float32Array(await model.gpu.read(buffer));
      // So many vec4s belong to each vec4 of the parameter.
      const each = buffer.size / tensorBytes(tensor.shape);
      for (const latent of latents) {
        for (let i = 0; i < length; i++) {
          const at = place(latent, i);
          for (let moment = 0; moment < each; moment++) {
            values[(Math.floor(at / 4) * each + moment) * 4 + (at % 4)] = 0;
          }
        }
      }
      return { buffer, values };
    }),
  );
}

/** Unit vectors from rows that the model reconstructs badly, at most `count`. */
async function directionsOf(
  { model, source }: TrainStep,
  count: number,
  seed: number,
): Promise<Float64Array[]> {
  const { in_dims, rows } = source;
  const places = sampleRows(rows, mostRows, seed).sort((a, b) => a - b);
  const data =
    source.type === 'u8'
      ? new Uint8Array(places.length * in_dims)
      : new Float32Array(places.length * in_dims);
  let at = 0;
  for await (const { values } of blocks(source, runsOf(places))) {
    data.set(values, at);
    at += values.length;
  }
  const { name, normalization } = source;
  const sample = { name, normalization, in_dims, rows: places.length, data };
  const reconstructed = await model.reconstruct(sample);
  const x = normalizedRows(sample, 0);
  const bias = model.config.pre_bias ? await model.layers[1].bias.read() : new Float32Array(in_dims);
  const random = randomPair(seed).forWeights;
  const drawn = places.map((_, row) => {
    let squaredError = 0;
    for (let i = row * in_dims; i < (row + 1) * in_dims; i++) {
      squaredError += (x[i] - reconstructed[i]) ** 2;
    }
    // The largest of these are a weighted sample without replacement (Efraimidis and Spirakis, 2006).
    return { row, key: Math.log(1 - uniformFloat32(random)) / squaredError ** 2 };
  });
  drawn.sort((a, b) => b.key - a.key);
  const vectors = drawn
    .filter(({ key }) => Number.isFinite(key))
    .slice(0, count)
    .map(({ row }) => Float64Array.from({ length: in_dims }, (_, i) => x[row * in_dims + i] - bias[i]));
  return vectors.flatMap((vector) => {
    const norm = Math.hypot(...vector);
    return norm > 0 ? [vector.map((value) => value / norm)] : [];
  });
}

/** The mean norm of the weights of the other latents; of all if there is no other. */
function meanNorm(
  values: Float32Array,
  place: (latent: number, i: number) => number,
  { hidden, config: { in_dims } }: TrainStep['model'],
  isChosen: (latent: number) => boolean,
): number {
  const latents = Array.from({ length: hidden }, (_, latent) => latent);
  const others = latents.filter((latent) => !isChosen(latent));
  const counted = others.length > 0 ? others : latents;
  return counted.reduce((sum, latent) => {
    let squares = 0;
    for (let i = 0; i < in_dims; i++) {
      squares += values[place(latent, i)] ** 2;
    }
    return sum + Math.sqrt(squares) / counted.length;
  }, 0);
}
