import { config } from 'zod';

// zod tries `new Function`, which the page's Content-Security-Policy forbids: every attempt would be reported.
// Imported before anything that makes a schema.
config({ jitless: true });
