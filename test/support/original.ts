import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const finds = `
from importlib.util import find_spec
raise SystemExit(not (find_spec('torch') and find_spec('numpy')))`;

/** A Python with PyTorch, or undefined where there is none. It is looked for, not loaded, which takes seconds. */
export function pythonWithTorch(): string | undefined {
  return ['python3', '/usr/bin/python3', 'python'].find(
    (command) => spawnSync(command, ['-c', finds]).status === 0,
  );
}

/**
 * Loads a saved ReLU model into the original's class and runs it. `rows` is the path of a .npy file or of a JSON
 * list of lists, [rows, in_dims], normalised. Throws with the script's message where the file is not accepted.
 */
export function runOriginal(
  python: string,
  model: string,
  rows: string,
): { hidden: number[][]; output: number[][] } {
  const script = fileURLToPath(new URL('../fixtures/pytorch/load_model.py', import.meta.url));
  // -B: leave no compiled files beside the fixtures.
  const args = ['-B', script, model, rows];
  return JSON.parse(execFileSync(python, args, { encoding: 'utf8', stdio: 'pipe', maxBuffer: 2 ** 28 }));
}
