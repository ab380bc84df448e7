import type { TrainOptions } from '../config.js';
import { Model } from '../model/model.js';
import type { SparsityName } from '../sparsity/index.js';
import { entryBytes } from '../step/sparse/lists.js';
import { Trainer } from '../training/trainer.js';
import { type Check, compared, different, type Finding, rounding, sumBound } from './check.js';
import { largestPlaces } from './kernels.js';
import { knownNormalization, knownRows } from './trainings.js';

/** Latents, and how many of a row are selected. */
const latents = 203;
const k = 5;
const lr = 0.02;
const adam_eps = 0.01;

interface ListEntry {
  readonly row: number;
  readonly latent: number;
  readonly value: number;
  readonly gradient: number;
}

/**
 * A step of lists, kernel by kernel: what each made of what the one before it left on the device, so that it is known which of them is wrong.
 * @param sparsity whose latents are selected: of each row, or of the batch.
 */
function listsCheck(sparsity: 'topk' | 'batchtopk'): Check {
  return {
    name: `lists of ${sparsity}`,
    size: `21-${latents}, 37 rows, k ${k}`,
    async run({ gpu, scope }) {
      const dataset = knownRows(21);
      const { in_dims, rows } = dataset;
      const { mean, std } = knownNormalization;
      const model = scope.use(await Model.create<SparsityName>(gpu, { in_dims, h_dims: [latents] }, 7));
      const options = {
        sparsity,
        k,
        revive: 'none',
        lr,
        adam_eps,
        batch_size: rows,
        steps: 1,
        shuffle: false,
      };
      const trainer = scope.use(
        await Trainer.create<SparsityName>(model, dataset, options as TrainOptions<SparsityName>),
      );
      const before = await model.parameters();
      for await (const _ of trainer.steps({ count: 1 }));
      const after = await model.parameters();
      const { build } = trainer.step;
      const words = async (name: string) => new Uint32Array(await gpu.read(build.buffer(name)));

      const x = Float64Array.from(dataset.data, (byte) => (byte / 255 - mean) / std);
      const parameter = (name: string) => before.get(name)!.data;
      const [w, b] = [parameter('encoder.0.weight'), parameter('encoder.0.bias')];
      const [d, c] = [parameter('decoder.0.weight'), parameter('decoder.0.bias')];
      const sum = (length: number, term: (i: number) => number) => {
        let [total, magnitude] = [0, 0];
        for (let i = 0; i < length; i++) {
          const value = term(i);
          total += value;
          magnitude += Math.abs(value);
        }
        return { total, magnitude };
      };
      const findings: Finding[] = [];
      // Sums, held against what the device made of them.
      const check = (
        what: string,
        actual: ArrayLike<number>,
        sums: readonly ReturnType<typeof sum>[],
        terms: number,
      ) =>
        findings.push(
          compared(
            what,
            actual,
            sums.map(({ total }) => total),
            (i) => 2 * sumBound(terms) * (sums[i].magnitude + 1e-30),
          ),
        );

      const code = await build.code.read();
      const pre = Array.from({ length: rows * latents }, (_, i) => {
        const [row, latent] = [Math.floor(i / latents), i % latents];
        const { total, magnitude } = sum(in_dims + 1, (j) =>
          j < in_dims ? x[row * in_dims + j] * w[latent * in_dims + j] : b[latent],
        );
        return { total: Math.max(0, total), magnitude };
      });
      // Rows are unpacked and normalised in f32.
      check('the code', code, pre, 64 + in_dims);

      const list = await words('row_lists');
      const stored = new Uint32Array(await gpu.read(build.tensor('entries').buffer));
      const floats = new Float32Array(stored.buffer);
      const width = entryBytes / 4;
      const entries: ListEntry[] = [];
      for (let row = 0; row < rows; row++) {
        for (let n = list[2 * row]; n < Math.min(list[2 * row + 1], stored.length / width); n++) {
          const at = n * width;
          entries.push({ row, latent: stored[at], value: floats[at + 1], gradient: floats[at + 2] });
        }
      }
      const places =
        sparsity === 'topk'
          ? Array.from({ length: rows }, (_, row) =>
              largestPlaces(code, row * latents, (row + 1) * latents, k),
            ).flat()
          : largestPlaces(code, 0, code.length, k * rows);
      findings.push(
        different(
          'lists by row: latents',
          entries.map(({ row, latent }) => row * latents + latent),
          places,
        ),
        different(
          'lists by row: values',
          entries.map(({ value }) => value),
          places.map((place) => code[place]),
        ),
      );

      const ofRow = (row: number) => entries.filter((entry) => entry.row === row);
      const gradients = (await build.tensor('decoder.0.gradient').read(rows)) as Float32Array;
      const scale = 2 / rows;
      const expected = Array.from({ length: rows * in_dims }, (_, i) => {
        const [row, column] = [Math.floor(i / in_dims), i % in_dims];
        const own = ofRow(row);
        return sum(own.length + 2, (n) => {
          const term =
            n < own.length
              ? own[n].value * d[column * latents + own[n].latent]
              : n === own.length
                ? c[column]
                : -x[i];
          return scale * term;
        });
      });
      check('decoding: gradients of reconstructions', gradients, expected, 64 + k);
      check(
        'decoding: gradients of values',
        entries.map(({ gradient }) => gradient),
        entries.map(({ row, latent }) =>
          sum(in_dims, (j) => gradients[row * in_dims + j] * d[j * latents + latent]),
        ),
        in_dims,
      );

      const offsets = await words('latent_offsets');
      const byLatent = [...entries].sort((one, other) => one.latent - other.latent || one.row - other.row);
      const counts = Array.from({ length: latents }, (_, latent) =>
        byLatent.findIndex((entry) => entry.latent >= latent),
      ).map((first) => (first < 0 ? byLatent.length : first));
      findings.push(different('lists by latent: places', offsets, [...counts, byLatent.length]));
      const latentEntries = new Float32Array(await gpu.read(build.tensor('latent_entries').buffer));
      const listed = new Uint32Array(latentEntries.buffer);
      findings.push(
        different(
          'lists by latent: rows',
          byLatent.map((_, n) => listed[n * width]),
          byLatent.map(({ row }) => row),
        ),
        different(
          'lists by latent: values and gradients',
          byLatent.flatMap((_, n) => [latentEntries[n * width + 1], latentEntries[n * width + 2]]),
          byLatent.flatMap(({ value, gradient }) => [value, gradient]),
        ),
      );

      // Adam's first step goes by g / (|g| + eps).
      const step = (value: number, gradient: number) =>
        value - (lr * gradient) / (Math.abs(gradient) + adam_eps);
      const updated = (name: string, sums: readonly ReturnType<typeof sum>[], terms: number) => {
        const old = parameter(name);
        findings.push(
          compared(
            `update of ${name}`,
            after.get(name)!.data,
            sums.map(({ total }, i) => step(old[i], total)),
            (i) =>
              8 * rounding * (Math.abs(old[i]) + lr) +
              (2 * sumBound(terms) * lr * sums[i].magnitude * adam_eps) /
                (Math.abs(sums[i].total) + adam_eps) ** 2,
          ),
        );
      };
      const ofLatent = Array.from({ length: latents }, (_, latent) =>
        byLatent.filter((entry) => entry.latent === latent),
      );
      const weightSums = (term: (entry: ListEntry, column: number) => number) =>
        Array.from({ length: latents * in_dims }, (_, i) => {
          const own = ofLatent[Math.floor(i / in_dims)];
          return sum(own.length, (n) => term(own[n], i % in_dims));
        });
      const turnedSums = weightSums(({ row, value }, column) => value * gradients[row * in_dims + column]);
      const decoder = Array.from({ length: latents * in_dims }, (_, i) => {
        const [column, latent] = [Math.floor(i / latents), i % latents];
        return turnedSums[latent * in_dims + column];
      });
      updated('decoder.0.weight', decoder, rows);
      updated(
        'encoder.0.weight',
        weightSums(({ row, gradient }, column) => gradient * x[row * in_dims + column]),
        64 + rows,
      );
      updated(
        'encoder.0.bias',
        ofLatent.map((own) => sum(own.length, (n) => own[n].gradient)),
        rows,
      );
      updated(
        'decoder.0.bias',
        Array.from({ length: in_dims }, (_, column) => sum(rows, (row) => gradients[row * in_dims + column])),
        rows,
      );
      return findings;
    },
  };
}

/** The checks of steps of lists. */
export const listChecks: readonly Check[] = [listsCheck('topk'), listsCheck('batchtopk')];
