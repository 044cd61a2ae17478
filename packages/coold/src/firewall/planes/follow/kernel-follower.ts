import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@coold/runtime';
import { guardName } from '../../deny/guard.ts';
import { intraChain } from '../../deny/scaffold.ts';
import { bridgeTable } from '../../rule/nft-rule.ts';
import { type GenerationWatch, makeGeneration, watchGenerations } from '../monitor/generation-watch.ts';
import type { HeldLines } from '../monitor/held-lines.ts';
import { watchNft } from '../monitor/nft-watch.ts';
import type { RunTool } from '../nft-plane.ts';
import type { FollowedPlanes } from './followed-planes.ts';
import type { Freshness } from './freshness.ts';
import type { Touched } from './touched.ts';

export interface FollowKernelOptions {
  chain: string;
  planes: Pick<FollowedPlanes, 'take'>;
  freshness: Freshness;
  tool: () => RunTool;
  log: Logger;
  onHooked: (touched: Touched) => void;
}

/** How long the announcement of a transaction that was just made may take, in ms. */
const closeGapMs = 2000;

/** Passes the kernel's announcements to the planes. */
export class KernelFollower {
  readonly #options: FollowKernelOptions;
  /** Resolves once it is known whether announcements began, and whether what was listed before them is valid. */
  #beginning: Promise<void> | undefined;
  /** The first generation announced since announcements began. */
  readonly #firstAnnounced = Promise.withResolvers<number>();
  #output: Pick<HeldLines, 'hold' | 'release'> | undefined;

  constructor(options: FollowKernelOptions) {
    this.#options = options;
  }

  /** Resolves once it is known whether a listing made before the first announcement is valid. */
  async begun(): Promise<void> {
    await this.#beginning;
  }

  /** Holds announcements back unread from now on. */
  hold(): void {
    this.#output?.hold();
  }

  /** Reads the announcements that were held back. */
  release(): void {
    this.#output?.release();
  }

  /**
   * Follows announcements until `stop`. The monitor reads every rule before it listens, which takes as long as a
   * listing: the two run at the same time when it can be told whether something changes meanwhile.
   *
   * @param onReady called whenever a listing is valid from then on
   */
  async follow(stop: AbortSignal, onReady: () => void): Promise<void> {
    const { chain, planes, freshness, log, onHooked } = this.#options;
    let since = await watchGenerations(stop);
    const begun = Promise.withResolvers<void>();
    if (since !== undefined) {
      this.#beginning = begun.promise;
      onReady();
    }
    await watchNft(
      {
        names: [chain, bridgeTable, guardName],
        elsewhere: ['FORWARD', 'INPUT', 'POSTROUTING', intraChain],
        log,
        onEvent: event => {
          if (event.kind === 'transaction') this.#firstAnnounced.resolve(event.generation);
          planes.take(event);
          freshness.announce();
        },
        onOutput: output => {
          this.#output = output;
        },
        onState: up => {
          [freshness.isWatched, freshness.isBehind] = [up, false];
          if (up && since !== undefined) {
            freshness.hasGap = true;
            void this.#closeGap(since).then(() => {
              begun.resolve();
              onReady();
            });
          } else {
            freshness.isUnclear = true; // nothing listened to the announcements in between
            since?.end();
            begun.resolve();
          }
          since = undefined;
          // The default deny may have changed while nothing listened.
          onHooked('tables');
          freshness.announce();
          onReady();
        },
      },
      stop,
    );
  }

  /**
   * Makes a transaction that both monitors announce. When it is the first for both, nothing changed before the nft
   * monitor listened. Otherwise only another listing tells. Never rejects.
   */
  async #closeGap(since: GenerationWatch): Promise<void> {
    const { freshness, tool, log } = this.#options;
    try {
      await makeGeneration(tool());
      const both = Promise.all([since.first, this.#firstAnnounced.promise]);
      const [before, after] = await Promise.race([both, delay(closeGapMs, [undefined, undefined] as const)]);
      if (before !== undefined && before === after) freshness.hasGap = false;
    } catch (error) {
      log.warn(
        { err: error },
        'whether the packet filter changed while coold started is unknown; looking again',
      );
    } finally {
      since.end();
    }
  }
}
