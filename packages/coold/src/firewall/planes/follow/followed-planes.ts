import { createGuardSets } from '../guard-sets.ts';
import { createIptablesLegacy } from '../iptables-legacy.ts';
import { createIptablesNft, type RoutedPlane } from '../iptables-nft.ts';
import { type Backend, readBackend } from '../iptables-plane.ts';
import { asKernelError } from '../kernel-tool.ts';
import { createLook } from '../look.ts';
import type { NftEvent } from '../monitor/nft-event.ts';
import { createNftBridge } from '../nft-bridge.ts';
import type { RunTool } from '../nft-plane.ts';
import type { Plane } from '../plane.ts';
import type { Freshness } from './freshness.ts';
import type { StandingProofs } from './standing-proofs.ts';
import { type Touched, touchedBy } from './touched.ts';

export interface FollowedPlanesOptions {
  chain: string;
  manyRules: number;
  tool: (rules?: number) => RunTool;
  freshness: Freshness;
  proofs: StandingProofs;
  /** Called when something that the default deny consists of, or is hooked into, has changed. */
  onHooked: (touched: Touched) => void;
}

/** The number of rules that the first listing is given time for. */
const unknownRules = 10_000;

/** Every plane of this host, as last listed and followed since. */
export class FollowedPlanes {
  readonly bridged;
  readonly guard = createGuardSets();
  readonly #options: FollowedPlanesOptions;
  /** One plane per backend. Each listing determines which backend this host has. */
  readonly #routedBy: Record<Backend, () => RoutedPlane>;
  #backend: Backend | undefined;
  #routed: RoutedPlane;
  /** Events received during a listing; the listing may or may not include them. */
  #during: NftEvent[] | undefined;

  constructor(options: FollowedPlanesOptions) {
    const { chain, manyRules } = options;
    this.#options = options;
    this.#routedBy = {
      nf_tables: () => createIptablesNft(chain, manyRules),
      legacy: () => createIptablesLegacy(chain, manyRules),
    };
    this.#routed = this.#routedBy.nf_tables();
    this.bridged = createNftBridge(manyRules);
  }

  /** Undefined before the first listing. */
  get backend(): Backend | undefined {
    return this.#backend;
  }

  get routed(): RoutedPlane {
    return this.#routed;
  }

  /** In the order in which changes are made. */
  get all(): readonly Plane[] {
    return [this.#routed, this.bridged, this.guard];
  }

  /** Applies an announcement of the kernel, or queues it during a listing. */
  take(event: NftEvent): void {
    if (this.#during === undefined) this.#takeNow(event);
    else this.#during.push(event);
  }

  /** Lists every plane, or some of them. @throws KernelError */
  async look(which: (plane: Plane) => boolean = () => true): Promise<void> {
    const { tool, freshness, proofs } = this.#options;
    const isWhole = this.all.every(which);
    if (isWhole) {
      [freshness.isUnclear, freshness.isBehind] = [false, false];
      if (freshness.isWatched) freshness.hasGap = false;
    }
    this.#during = [];
    try {
      const run = tool(this.#rulesToList());
      const found = await readBackend(run);
      if (isWhole) await proofs.sweep(run);
      const next = found === this.#backend ? this.#routed : this.#routedBy[found]();
      const listed: Plane[] = [next, this.bridged, this.guard].filter(which);
      const shared = createLook(run, id => this.#routed.mirror.rules.get(id)?.rule);
      for (const adopt of await Promise.all(listed.map(plane => plane.read(shared)))) adopt();
      [this.#backend, this.#routed, freshness.isLooked] = [found, next, true];
    } catch (error) {
      freshness.isLooked = false;
      throw asKernelError(error);
    } finally {
      const missed = this.#during;
      this.#during = undefined;
      for (const event of missed) this.#takeNow(event);
    }
  }

  /** The number of rules is unknown before the first listing. */
  #rulesToList(): number {
    if (this.#backend === undefined) return unknownRules;
    return this.#routed.mirror.rules.size + (this.bridged.mirror?.rules.size ?? 0);
  }

  #takeNow(event: NftEvent): void {
    const { freshness, onHooked } = this.#options;
    if (event.kind === 'caught up') {
      freshness.isBehind = false;
      return;
    }
    const taken = this.all.map(plane => plane.take(event));
    if (taken.includes('unclear')) freshness.isUnclear = true;
    // An event that concerns no allow rule may concern the default deny around them.
    const touched = touchedBy(event);
    if (touched !== undefined && !taken.includes('taken')) onHooked(touched);
  }
}
