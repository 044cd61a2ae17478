import { runChild } from '@coold/runtime';

/**
 * How many bytes of heap each round leaves behind, in a program of its own that collects its garbage before it measures.
 *
 * @param setUp JavaScript of a module, run once. It imports the code to measure by absolute URLs
 * @param round JavaScript that is run repeatedly. It may use await
 */
export async function bytesLeftByEach(setUp: string, round: string, rounds = 20_000): Promise<number> {
  const script = `
    ${setUp}
    const round = async () => { ${round} };
    const turn = () => new Promise(resolve => setImmediate(resolve));
    const used = async () => {
      for (let i = 0; i < 5; i += 1) { await turn(); globalThis.gc(); }
      return process.memoryUsage().heapUsed;
    };
    const run = async () => {
      for (let i = 0; i < ${rounds}; i += 1) { await round(); if (i % 500 === 0) await turn(); }
    };
    await run();
    const before = await used();
    await run();
    process.stdout.write(String((await used()) - before));
    process.exit(0);`;
  const { code, stdout, stderr } = await runChild(
    process.execPath,
    ['--expose-gc', '--input-type=module', '--eval', script],
    { timeoutMs: 60_000 },
  );
  if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
  return Number(stdout) / rounds;
}
