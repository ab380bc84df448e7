import { config } from 'zod';

// zod tries `new Function` where it may, and the page's Content-Security-Policy forbids it: every try would be reported.
// Imported before anything that makes a schema.
config({ jitless: true });
