import { Program } from '../gpu/program.js';
import { Tensor } from '../gpu/tensor.js';
import { addLayers, layerOutputs } from './forward.js';
import type { ModelLayer } from './model.js';

/** Rows through some of a model's layers: recorded once for up to so many rows at a time, and run again and again. */
export class Pass {
  private constructor(
    readonly input: Tensor,
    readonly output: Tensor,
    readonly program: Program,
    readonly made: readonly Tensor[],
  ) {}

  /**
   * @param input where the rows lie, [rows, inputs of the first layer]; a tensor of its own where it is not given.
   * @throws LimitError, OutOfMemoryError.
   */
  static async create(layers: readonly ModelLayer[], rows: number, input?: Tensor): Promise<Pass> {
    const [{ weight, inputs }] = layers;
    const { gpu } = weight;
    const program = new Program(gpu);
    const made = await gpu.allocate(`a batch of ${rows} rows`, () => [
      ...(input ? [] : [new Tensor(gpu, 'input', [rows, inputs])]),
      ...layerOutputs(layers, rows),
    ]);
    const from = input ?? made[0];
    const pass = new Pass(from, made[made.length - 1], program, made);
    try {
      await addLayers(program, layers, from, made.slice(-layers.length));
      await program.ready();
      return pass;
    } catch (error) {
      pass.destroy();
      throw error;
    }
  }

  /** Runs the first `rows` rows, of [rows, inputs] values: [rows, outputs]. Calls may overlap. */
  run(values: Float32Array<ArrayBuffer>, rows: number): Promise<Float32Array<ArrayBuffer>> {
    this.input.write(values, rows);
    this.program.submit();
    return this.output.read(rows);
  }

  /**
   * Runs any number of rows, a block after the other; the device has the next block while one is looked at.
   * @param block gives the rows from `first` up to, not including, `end`.
   */
  async *blocks(
    rows: number,
    block: (first: number, end: number) => Float32Array<ArrayBuffer>,
  ): AsyncGenerator<Float32Array<ArrayBuffer>, void, void> {
    let running: Promise<Float32Array<ArrayBuffer>> | undefined;
    for (let first = 0; first < rows; first += this.input.rows) {
      const end = Math.min(rows, first + this.input.rows);
      const next = this.run(block(first, end), end - first);
      // Where the device is lost both fail, and only the first is waited for.
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
    this.program.destroy();
    for (const tensor of this.made) {
      tensor.destroy();
    }
  }
}
