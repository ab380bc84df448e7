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
    readonly layout: GPUBindGroupLayout,
    /** The number of each variable that the files bind, by its name. */
    readonly bindings: ReadonlyMap<string, number>,
  ) {}

  /** @throws EngineError with the compiler's messages and the lines that they are about. */
  static async compile(device: GPUDevice, source: KernelSource, texts: readonly string[]): Promise<Kernel> {
    const name = kernelName(source);
    const code = texts.join('\n');
    const bindings = new Map<string, number>();
    const entries: GPUBindGroupLayoutEntry[] = [];
    for (const [, number, space, variable] of code.matchAll(declaration)) {
      const type = bindingTypes[space.replaceAll(' ', '') as keyof typeof bindingTypes];
      bindings.set(variable, Number(number));
      entries.push({ binding: Number(number), visibility: GPUShaderStage.COMPUTE, buffer: { type } });
    }
    const module = device.createShaderModule({ label: name, code });
    const layout = device.createBindGroupLayout({ label: name, entries });
    try {
      const pipeline = await device.createComputePipelineAsync({
        label: name,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main', constants: { ...source.constants } },
      });
      return new Kernel(name, pipeline, layout, bindings);
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

/** A declaration of a bound variable, which gives its number, its address space and its name. */
const declaration = /@group\(0\) @binding\((\d+)\) var<([a-z_, ]+)> (\w+)/g;
const bindingTypes = {
  uniform: 'uniform',
  'storage,read': 'read-only-storage',
  'storage,read_write': 'storage',
} as const;

/** What messages and tools call a kernel. */
export function kernelName({ files }: KernelSource): string {
  return files.map((file) => file.replace('.wgsl', '')).join('+');
}

/** Equal for kernels made of the same files with the same constants. */
export function kernelKey({ files, constants = {} }: KernelSource): string {
  return `${files.join('+')} ${JSON.stringify(Object.entries(constants).sort())}`;
}
