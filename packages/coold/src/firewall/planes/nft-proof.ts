import type { RunTool } from './nft-plane.ts';

/**
 * A table that a transaction creates together with everything else in it, or not at all. It can be checked at once,
 * while thousands of announcements are still unread.
 */
export const proofTable = 'coolify_proof';
/** The same for a transaction of iptables, which cannot create tables. */
export const proofChain = 'COOLIFY-PROOF';

/** The first line of an nft transaction that leaves a proof. */
export const proof = `create table bridge ${proofTable}\n`;

/** What proves a transaction: a table of nftables, or a chain of iptables-nft, which nft can see too. */
const proofs = {
  nft: ['table', 'bridge', proofTable],
  iptables: ['chain', 'ip', 'filter', proofChain],
} as const;
export type Prover = keyof typeof proofs;

/**
 * Whether a transaction that leaves a proof happened. Creates the proof again, which has to be refused: this catches a
 * program that always reports success, and listing tables would have nft read every rule first. The proof stays until
 * it is removed.
 *
 * @throws Error
 */
export async function isProved(run: RunTool, by: Prover): Promise<boolean> {
  const refusal = await run('nft', ['create', ...proofs[by]]).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (refusal !== undefined && !String(refusal).includes('File exists')) throw refusal;
  if (refusal === undefined) await dropProof(run, [by]);
  return refusal !== undefined;
}

/** Removes proofs in one transaction. @throws Error */
async function dropProof(run: RunTool, by: Iterable<Prover>): Promise<void> {
  const lines = [...by].map(prover => `delete ${proofs[prover].join(' ')}\n`);
  await run('nft', ['-f', '-'], lines.join(''));
}

/**
 * Removes the proofs of a process that was killed during a change. Deletes them without looking first, because listing
 * tables would have nft read every rule.
 *
 * @throws Error
 */
export async function sweepProof(run: RunTool): Promise<void> {
  for (const by of ['nft', 'iptables'] as const)
    await run('nft', ['delete', ...proofs[by]]).catch((error: unknown) => {
      if (!String(error).includes('No such file')) throw error;
    });
}
