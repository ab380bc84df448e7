/**
 * Latents for each one that is selected, from which a training step takes lists. On Mesa's software adapter, 768-4096 at batch 1024, on
 * 2026-11-29 (CPU time, best of five interleaved rounds on a loaded machine), a step with lists took 0.17 of the time of one with matrices
 * with k 32, 0.31 with 128, 0.78 with 256 and 1.17 with 512, so they are level at some 10 latents each; 100-2048 at batch 256 took 0.22 with
 * k 16, 0.47 with 128 and 0.63 with 256. No GPU was measured.
 */
export const leastLatents = 16;
