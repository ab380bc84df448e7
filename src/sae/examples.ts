import type { Gpu } from '../gpu/gpu.js';
import type { Program } from '../gpu/program.js';
import { padded, padRows, type Tensor } from '../gpu/tensor.js';
import type { Dataset } from './dataset.js';
import { elementwiseGrid, matrixSizes } from './elementwise.js';
import type { BatchInput } from './forward.js';

/** Bytes written to the device at a time where rows must be padded on the way. */
const writeBytes = 16 * 2 ** 20;

interface Part {
  readonly buffer: GPUBuffer;
  readonly firstRow: number;
  readonly rows: number;
}

/** A data set on the device, in as many parts as the adapter's largest binding makes necessary. 8-bit stays 8-bit. */
export class Examples {
  private constructor(
    readonly gpu: Gpu,
    readonly dataset: Dataset,
    readonly parts: readonly Part[],
  ) {}

  /** @throws OutOfMemoryError. */
  static async upload(gpu: Gpu, dataset: Dataset): Promise<Examples> {
    const { rows, in_dims, data } = dataset;
    const stride = padded(in_dims);
    const rowBytes = stride * data.BYTES_PER_ELEMENT;
    const rowsPerPart = Math.max(1, Math.floor(gpu.largestBuffer / rowBytes));
    const parts: Part[] = [];
    const examples = new Examples(gpu, dataset, parts);
    try {
      await gpu.allocate(`${rows} rows of ${dataset.name}`, () => {
        for (let firstRow = 0; firstRow < rows; firstRow += rowsPerPart) {
          const partRows = Math.min(rowsPerPart, rows - firstRow);
          const buffer = gpu.buffer(`A row of ${dataset.name}`, partRows * rowBytes);
          parts.push({ buffer, firstRow, rows: partRows });
        }
      });
    } catch (error) {
      examples.destroy();
      throw error;
    }
    for (const { buffer, firstRow, rows: partRows } of parts) {
      const blockRows = Math.max(1, Math.floor(writeBytes / rowBytes));
      for (let row = 0; row < partRows; row += blockRows) {
        const end = Math.min(row + blockRows, partRows);
        const values = data.subarray((firstRow + row) * in_dims, (firstRow + end) * in_dims);
        gpu.device.queue.writeBuffer(buffer, row * rowBytes, padRows(values, in_dims) as BufferSource);
      }
    }
    return examples;
  }

  /**
   * What reads a batch's input: straight from the examples, or, where they lie in several parts, from a batch that is
   * gathered first by dispatches that are appended to `program`.
   * @param makeBatch makes the tensor for that batch, [rows, in_dims].
   */
  async input(
    program: Program,
    step: GPUBuffer,
    order: GPUBuffer,
    makeBatch: () => Promise<Tensor>,
  ): Promise<BatchInput> {
    if (this.parts.length === 1) {
      return this.#read(this.parts[0], step, order);
    }
    const batch = await makeBatch();
    this.addGather(program, step, order, batch);
    const part = new Uint32Array([padded(this.dataset.in_dims) / 4]);
    return { files: ['input_batch.wgsl'], bindings: { step, part, batch } };
  }

  /** Appends what fills `batch` with its input: the rows that `order` names, beginning at the step's first row. */
  addGather(program: Program, step: GPUBuffer, order: GPUBuffer, batch: Tensor): void {
    for (const part of this.parts) {
      const { files, bindings } = this.#read(part, step, order);
      const source = { files: ['step.wgsl', 'elementwise.wgsl', ...files, 'gather.wgsl'] };
      const own = { matrix: matrixSizes(batch), gathered: batch };
      program.add(source, { ...bindings, ...own }, elementwiseGrid(batch));
    }
  }

  #read({ buffer, firstRow, rows }: Part, step: GPUBuffer, order: GPUBuffer): BatchInput {
    const { data, normalization, in_dims } = this.dataset;
    const part = new Uint32Array([firstRow, rows, padded(in_dims) / 4, in_dims, 0, 0]);
    new Float32Array(part.buffer).set([normalization.mean, 1 / normalization.std], 4);
    return {
      files: [`examples_${data instanceof Uint8Array ? 'u8' : 'f32'}.wgsl`, 'input_examples.wgsl'],
      bindings: { step, part, order, examples: buffer },
    };
  }

  destroy(): void {
    for (const { buffer } of this.parts) {
      this.gpu.free(buffer);
    }
  }
}
