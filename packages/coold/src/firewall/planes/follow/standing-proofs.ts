import type { Logger } from '@coold/runtime';
import { KernelError } from '../kernel-tool.ts';
import type { RunTool } from '../nft-plane.ts';
import { isProved, type Prover, sweepProof } from '../nft-proof.ts';

/** The proofs that large changes leave in the kernel (nft-proof.ts), until they are removed. */
export class StandingProofs {
  readonly #log: Logger;
  readonly #standing = new Set<Prover>();
  /** A change of this process or an earlier one may have left a proof that is not recorded here. */
  #mayBeLeft = true;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Called before a change that leaves a proof: until its result is known, the proof may or may not exist. */
  begin(): void {
    this.#mayBeLeft = true;
  }

  /** Verifies a change by its proof. @throws KernelError when the change did not happen */
  async prove(run: RunTool, by: Prover): Promise<void> {
    if (!(await isProved(run, by))) throw new KernelError(`${by} said it was done, and it was not`);
    this.#standing.add(by);
    this.#mayBeLeft = false;
  }

  /** Removes every possible proof before everything is listed. @throws Error */
  async sweep(run: RunTool): Promise<void> {
    if (this.#standing.size > 0) this.#mayBeLeft = true;
    this.#standing.clear();
    if (this.#mayBeLeft) await sweepProof(run);
    this.#mayBeLeft = false;
  }

  /**
   * Removes the known proofs. Never rejects.
   *
   * @returns whether it worked; if not, a listing is needed, which tries again
   */
  async tidy(run: RunTool): Promise<boolean> {
    if (this.#standing.size === 0) return true;
    this.#standing.clear();
    // One command per proof, because it fails when there is none. A proof that stayed would falsely confirm the next
    // change.
    return await sweepProof(run).then(
      () => true,
      (error: unknown) => {
        this.#mayBeLeft = true;
        this.#log.warn(
          { err: error },
          'the proof of a change cannot be removed from the kernel; looking before the next one',
        );
        return false;
      },
    );
  }
}
