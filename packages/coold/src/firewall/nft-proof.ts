import type { RunTool } from './nft-plane.ts';

/**
 * Made by a large transaction with everything else in it, or not at all: it is there at once, when what is announced of
 * thousands of rules is still to be read.
 */
export const proofTable = 'coolify_proof';

/** First in the script of a transaction that is to prove itself. */
export const proof = `create table bridge ${proofTable}\n`;

/**
 * Whether a transaction that proves itself happened. By making the table again, which has to be refused: a program that only
 * says yes is caught, and listing tables would have nft read every rule first. It stands until it is dropped. @throws Error
 */
export async function isProved(run: RunTool): Promise<boolean> {
  const refusal = await run('nft', ['create', 'table', 'bridge', proofTable]).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (refusal !== undefined && !String(refusal).includes('File exists')) throw refusal;
  if (refusal === undefined) await dropProof(run);
  return refusal !== undefined;
}

/** @throws Error */
export async function dropProof(run: RunTool): Promise<void> {
  await run('nft', ['delete', 'table', 'bridge', proofTable]);
}

/**
 * Removes the proof that a process may have left which was killed within a large change. By deleting it at once: listing
 * tables would have nft read every rule first. @throws Error
 */
export async function sweepProof(run: RunTool): Promise<void> {
  await dropProof(run).catch((error: unknown) => {
    if (!String(error).includes('No such file')) throw error;
  });
}
