/** Latents for each one that is selected, from which lists are faster than matrices. */
export const leastLatents = 16;
