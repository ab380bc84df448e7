// Exit status 0 where Dawn finds an adapter, 4 where it finds none, 3 where it cannot be loaded at all. A process of its own:
// drivers crash, and what Dawn writes to standard error is of no interest where all is well.
const { create } = await import('webgpu').catch((error) => {
  console.error(error.message);
  process.exit(3);
});
globalThis.pinned = create([]); // collected, it would take the process with it
process.exitCode = (await globalThis.pinned.requestAdapter()) ? 0 : 4;
