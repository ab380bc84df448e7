import { EngineError } from './errors.js';

/** Which WGSL files, joined in this order, make a kernel, and the values of their `override` constants. */
export interface KernelSource {
  readonly files: readonly string[];
  readonly constants?: Readonly<Record<string, number>>;
}

/** One entry point, compiled. Its bindings are all in group 0, and the entry point is called `main`. */
export class Kernel {
  private constructor(
    readonly name: string,
    readonly pipeline: GPUComputePipeline,
  ) {}

  /** @throws EngineError with the compiler's messages and the lines that they are about. */
  static async compile(device: GPUDevice, source: KernelSource, texts: readonly string[]): Promise<Kernel> {
    const name = source.files.map((file) => file.replace('.wgsl', '')).join('+');
    const code = texts.join('\n');
    const module = device.createShaderModule({ label: name, code });
    try {
      const pipeline = await device.createComputePipelineAsync({
        label: name,
        layout: 'auto',
        compute: { module, entryPoint: 'main', constants: { ...source.constants } },
      });
      return new Kernel(name, pipeline);
    } catch (error) {
      const { messages } = await module.getCompilationInfo();
      const lines = code.split('\n');
      const details = messages.map(
        ({ lineNum, message }) => `\n  line ${lineNum}: ${message}\n    ${lines[lineNum - 1] ?? ''}`,
      );
      const reason = details.length > 0 ? details.join('') : `\n  ${(error as Error).message}`;
      throw new EngineError(`The kernel ${name} does not compile:${reason}`, { cause: error });
    }
  }
}

/** Equal for kernels made of the same files with the same constants. */
export function kernelKey({ files, constants = {} }: KernelSource): string {
  return `${files.join('+')} ${JSON.stringify(Object.entries(constants).sort())}`;
}
