/** Whether tests that take long by their nature run as well: in `npm run test:long`. */
export const long = process.env.SAE_TESTS === 'long';
