#!/usr/bin/env node
// Node opens dozens of modules at once, and where that fails it prints a stack trace: so they are imported here, not above.

try {
  const { run } = await import('./program.js');
  await run();
} catch (error) {
  const { message } = error as Error;
  process.stderr.write(
    `sae: The program cannot be loaded: ${message}. Install it again; or, if few files may be open at once (\`ulimit -n\`), allow 256.\n`,
  );
  process.exitCode = 1;
}

export {};
