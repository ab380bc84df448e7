import { Program } from '../../gpu/program.js';
import { Scope } from '../../gpu/scope.js';
import { padded, Tensor } from '../../gpu/tensor.js';
import { DataError, NonFiniteError } from '../errors.js';
import { addLayers, layerOutputs } from './forward.js';
import type { ModelLayer } from './layers.js';

/** Rows that go through the layers at a time, at most. */
const mostRows = 1024;

/**
 * Rows at a time for `rows` of them: a power of two, or 1.5 times one, so that different numbers of rows seldom need
 * different shapes, whose tiles must be found and compiled first. Fewer if the adapter cannot bind so many.
 */
export function rowsAtATime(layers: readonly ModelLayer[], rows: number): number {
  const { gpu } = layers[0].weight;
  const widest = Math.max(...layers.flatMap(({ inputs, outputs }) => [inputs, outputs]));
  const most = Math.max(1, Math.min(mostRows, Math.floor(gpu.largestBuffer / (padded(widest) * 4 * 4)) * 4));
  const power = 2 ** Math.floor(Math.log2(Math.min(rows, most)));
  const steps = [power, 1.5 * power, 2 * power].filter((step) => Number.isInteger(step) && step <= most);
  return steps.find((step) => step >= rows) ?? steps[steps.length - 1];
}

/** Sends rows through some of a model's layers. Recorded once, for a maximum number of rows, and run many times. */
export class ForwardPass {
  private constructor(
    readonly input: Tensor,
    readonly output: Tensor,
    readonly program: Program,
    readonly scope: Scope,
  ) {}

  /**
   * @param input the tensor of the rows, [rows, inputs of the first layer]; by default one of its own.
   * @throws LimitError, OutOfMemoryError.
   */
  static create(layers: readonly ModelLayer[], rows: number, input?: Tensor): Promise<ForwardPass> {
    return Scope.building(async (scope) => {
      const [{ weight, inputs }] = layers;
      const { gpu } = weight;
      const { from, outputs } = await gpu.allocate(`a batch of ${rows} rows`, () => ({
        from: input ?? scope.use(new Tensor(gpu, 'input', [rows, inputs])),
        outputs: layerOutputs(layers, rows).map((tensor) => scope.use(tensor)),
      }));
      const program = scope.use(new Program(gpu));
      await addLayers(program, layers, from, outputs);
      await program.ready();
      return new ForwardPass(from, outputs[outputs.length - 1], program, scope);
    });
  }

  /**
   * Runs `rows` rows of values [rows, inputs], and returns [rows, outputs]. Calls may overlap.
   * @param first the number of the first row in messages.
   * @throws DataError if the number of values is wrong; NonFiniteError if an output is not finite; ClosedError.
   */
  async run(values: Float32Array<ArrayBuffer>, rows: number, first = 0): Promise<Float32Array<ArrayBuffer>> {
    const { columns } = this.input;
    if (!(values instanceof Float32Array) || values.length !== rows * columns) {
      throw new DataError(
        `${rows} rows of ${columns} values must be a Float32Array of ${rows * columns} values, and there are ${values?.length}.`,
      );
    }
    this.input.write(values, rows);
    this.program.submit();
    return this.read(rows, first);
  }

  /**
   * Reads the outputs of the last run for its first `rows` rows, [rows, outputs].
   * @param first the number of the first row in messages.
   * @throws NonFiniteError if a value is not finite; ClosedError.
   */
  async read(rows: number, first = 0): Promise<Float32Array<ArrayBuffer>> {
    const outputs = await this.output.read(rows);
    const wrong = firstNotFinite(outputs);
    if (wrong >= 0) {
      const row = first + Math.floor(wrong / this.output.columns);
      throw new NonFiniteError(
        `Row ${row} (from 0) gives ${outputs[wrong]} in ${this.output.name}: its values, or the model's weights, are too large for ` +
          "f32. Use rows scaled as the model's own were.",
      );
    }
    return outputs;
  }

  /**
   * Runs any number of rows, block by block. The device works on the next block while one is used.
   * @param block returns the rows from `first` up to, not including, `end`.
   */
  async *blocks(
    rows: number,
    block: (first: number, end: number) => Float32Array<ArrayBuffer> | Promise<Float32Array<ArrayBuffer>>,
  ): AsyncGenerator<Float32Array<ArrayBuffer>, void, void> {
    let running: Promise<Float32Array<ArrayBuffer>> | undefined;
    for (let first = 0; first < rows; first += this.input.rows) {
      const end = Math.min(rows, first + this.input.rows);
      const next = this.run(await block(first, end), end - first, first);
      // If the device is lost both fail, and only the first is awaited.
      next.catch(() => {});
      if (running) {
        yield await running;
      }
      running = next;
    }
    if (running) {
      yield await running;
    }
  }

  destroy(): void {
    this.scope.destroy();
  }
}

/** As `findIndex`, which calls a function for each: codes of many rows are many values. */
function firstNotFinite(values: Float32Array): number {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return -1;
}
