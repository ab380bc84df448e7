import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { long } from '../support/long.js';

const dist = (path: string) => new URL(`../../dist/${path}`, import.meta.url);

it('a program that exits while the adapter compiles ends with its own status', () => {
  const script = `
    import { openGpu } from '${dist('node/index.js')}';
    import { multiply, Program, Tensor } from '${dist('gpu/index.js')}';
    const gpu = await openGpu({ tune: 'off' });
    const program = new Program(gpu);
    for (const form of ['nn', 'nt', 'tn']) {
      const [a, b, c] = ['a', 'b', 'c'].map((name) => new Tensor(gpu, name + form, [256, 256]));
      await multiply(program, form, a, b, c);
    }
    await program.ready();
    program.submit();
    setTimeout(() => process.exit(3), Number(process.argv[1]));`;
  // Mesa compiles in its queue, for some 0.8 s here; what it has compiled before it finds on disk.
  const env = { ...process.env, MESA_SHADER_CACHE_DISABLE: 'true' };
  for (const milliseconds of long ? [50, 100, 200] : [100]) {
    const args = ['--input-type=module', '-e', script, `${milliseconds}`];
    const { status, signal } = spawnSync(process.execPath, args, { env });
    expect([status, signal]).toEqual([3, null]);
  }
});
