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
 * Gives dead latents new weights, every so many steps, as Anthropic's Towards Monosemanticity does: rows are drawn with
 * probabilities in proportion to the square of their squared error, one for each dead latent, without replacement. With u
 * the row, less the output's bias if the model has `pre_bias`, divided by its norm, a latent's decoder direction becomes u
 * times the mean norm of the living latents' directions, its encoder weights 0.2 times their mean norm times u, its bias
 * and the moments of all these 0. A threshold stays. What is new disturbs the model at first: so there is none in the run's
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
    for (const { buffer, values } of this.#ready) {
      this.step.model.gpu.write(buffer, values);
    }
    this.#ready = undefined;
    this.#resampled = done;
    return undefined;
  }

  async #changes(done: number, config: TrainConfig<SparsityName>): Promise<Change[]> {
    const { model, build } = this.step;
    const silent = new Uint32Array(await model.gpu.read(build.buffer('silent_rows')));
    const isDead = (latent: number) => silent[latent] >= build.deadAfter;
    const dead = Array.from({ length: model.hidden }, (_, latent) => latent).filter(isDead);
    if (dead.length === 0) {
      return [];
    }
    // A seed of its own for each time.
    const seed = (config.seed ^ Math.imul(done, 0x9e3779b1)) >>> 0;
    const directions = await this.#directions(dead.length, seed);
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
      const norm = meanNorm(values, place, model, isDead);
      directions.forEach((direction, n) => {
        direction.forEach((value, i) => {
          values[place(dead[n], i)] = scale * norm * value;
        });
      });
      changes.push({ buffer: tensor.buffer, values });
      const changed = dead.slice(0, directions.length);
      const { in_dims } = model.config;
      changes.push(...(await this.#withoutMoments(tensor, changed, in_dims, place)));
    }
    const biases = new Float32Array(await model.gpu.read(encoder.bias.buffer));
    const revived = dead.slice(0, directions.length);
    for (const latent of revived) {
      biases[latent] = 0;
    }
    changes.push({ buffer: encoder.bias.buffer, values: biases });
    changes.push(...(await this.#withoutMoments(encoder.bias, revived, 1, (latent) => latent)));
    return changes;
  }

  /** The moments of a parameter with those of some latents set to 0; of tied weights, the encoder has none. */
  async #withoutMoments(
    tensor: Tensor,
    latents: readonly number[],
    length: number,
    place: (latent: number, i: number) => number,
  ): Promise<Change[]> {
    const { model, build } = this.step;
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
  async #directions(count: number, seed: number): Promise<Float64Array[]> {
    const { model, source } = this.step;
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
}

/** The mean norm of the weights of living latents; of all if none lives. */
function meanNorm(
  values: Float32Array,
  place: (latent: number, i: number) => number,
  { hidden, config: { in_dims } }: TrainStep['model'],
  isDead: (latent: number) => boolean,
): number {
  const latents = Array.from({ length: hidden }, (_, latent) => latent);
  const living = latents.filter((latent) => !isDead(latent));
  const counted = living.length > 0 ? living : latents;
  return counted.reduce((sum, latent) => {
    let squares = 0;
    for (let i = 0; i < in_dims; i++) {
      squares += values[place(latent, i)] ** 2;
    }
    return sum + Math.sqrt(squares) / counted.length;
  }, 0);
}
