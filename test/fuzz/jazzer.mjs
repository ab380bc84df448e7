// What Jazzer.js calls: the target that FUZZ_TARGET names.
import { check } from './check.mjs';

const { default: target } = await import(`./targets/${process.env.FUZZ_TARGET}.mjs`);

export async function fuzz(input) {
  await check(target, input);
}
