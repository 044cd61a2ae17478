import { networkInterfaces } from 'node:os';
import { apiClients, apiSockets } from '../deny/guard.ts';
import type { Present, Scaffold } from '../deny/scaffold.ts';
import { isSameMoment, type KernelView, type Moment } from '../netlink/kernel-view.ts';
import type { Touched } from '../planes/follow/touched.ts';
import { type Cidr, outermost } from '../rule/cidr.ts';
import { hasBridgeConntrack, hasBridgeNames } from '../scaffold/apply-scaffold.ts';
import type { DesiredScaffold } from '../scaffold/desired-scaffold.ts';
import { type ForeignScaffold, foreignDeviations, leftHooks } from '../scaffold/foreign-scaffold.ts';
import { readJoined } from '../scaffold/joined-file.ts';
import { readMeshBridges, readMeshLinks } from '../scaffold/mesh-links.ts';
import { readRouted, readTables } from '../scaffold/read-scaffold.ts';
import {
  type BridgeAbilities,
  readReference,
  renderTables,
  type ScaffoldTables,
  type TableTexts,
} from '../scaffold/reference-tables.ts';
import {
  type Deviation,
  deniedBeyond,
  guardDeviations,
  type LinkSet,
  type Links,
  linksIn,
  scaffoldDeviations,
} from '../scaffold/scaffold-deviations.ts';
import { type ApiGuard, renderApiGuard } from './api-guard.ts';
import { Remembered } from './remembered.ts';

/**
 * A default deny that this host should have. @property foreign the scaffold of `coolify init` that stands in place of
 * our own chains
 */
export type NamedDeny = DesiredScaffold & { kind: 'named'; foreign?: ForeignScaffold };

/** The result of an inspection of the kernel. */
export interface Inspection {
  /** What has to be there: the configured deny, and what the kernel denies in addition. */
  scaffold: Scaffold;
  /** Networks that the kernel denies although they are not configured. */
  beyond: Cidr[];
  /** What is missing or changed; empty when the deny is in place. */
  deviations: Deviation[];
  tables: ScaffoldTables;
  /** The containers' bridges: those that the tables should name, and those that they named before. */
  links: Links;
  /** Hooks of our scaffold that are left beside the scaffold of `coolify init`. */
  leftHooks: string[];
}

/** How often the nftables tables are read although no change of them was announced, in ms. */
const tablesEveryMs = { changed: 15_000, unchanged: 60_000 };

/**
 * Compares the default deny in the kernel with what it should be. Caches what takes time to read: the nftables tables,
 * this kernel's abilities, and nft's listing of the tables as they should be.
 */
export class DenyInspector {
  readonly #apiGuard: ApiGuard | undefined;
  /** The abilities of this kernel's bridges; undefined when they have to be probed. */
  #abilities: Promise<BridgeAbilities> | undefined;
  /** The tables as last read. */
  #tables: ScaffoldTables = { guard: undefined, bridge: undefined };
  /** The time of that read on the monotonic clock in ms, and the packet filter's state then. */
  #tablesReadAt = 0;
  #tablesMoment: Moment | undefined;
  /** The bridges that the tables named when new ones were last searched for. */
  #linksBefore: Links['seen'] = { guard: [], bridge: [] };
  /** The tables as they should be, as nft prints them, and the input text they come from. */
  #reference: { text: string; tables: ScaffoldTables } | undefined;

  /** The iptables part of the deny. */
  readonly #routed: Remembered<Present>;
  readonly #view: KernelView;

  /** @param apiGuard what the guard has to know of coold's own ports; undefined for nothing */
  constructor(apiGuard: ApiGuard | undefined, view: KernelView) {
    this.#apiGuard = apiGuard;
    this.#routed = new Remembered(view);
    this.#view = view;
  }

  /**
   * Whether the nftables tables have to be read again although no change of them was announced: after a minute in any
   * case, and sooner where the packet filter has changed since.
   */
  async areTablesOld(): Promise<boolean> {
    const ageMs = performance.now() - this.#tablesReadAt;
    const { changed, unchanged } = tablesEveryMs;
    if (ageMs <= changed || ageMs > unchanged) return ageMs > changed;
    const moment = await this.#view.moment();
    return moment !== undefined && !isSameMoment(this.#tablesMoment, moment);
  }

  /** Probes the bridges' abilities again: after a failed repair the earlier answer may have been wrong. */
  forgetAbilities(): void {
    this.#abilities = undefined;
  }

  /** Returns the current scaffold, including the joined subnets. @throws Error */
  async scaffoldOf(desired: NamedDeny): Promise<Scaffold> {
    const { joinedPath, ...scaffold } = desired.scaffold;
    return { ...scaffold, joined: (await readJoined(joinedPath)).subnets };
  }

  /**
   * Reads the kernel and compares. Networks that the kernel denies but mesh.env does not name stay denied: mesh.env may
   * be half written, and takes effect only with a restart of its unit. So a repair never opens anything.
   *
   * @param depth how much is read again; the rest comes from the cache
   * @throws Error when the kernel or a file cannot be read
   */
  async inspect(desired: NamedDeny, depth: Touched): Promise<Inspection> {
    const { foreign } = desired;
    const named = await this.scaffoldOf(desired);
    const able = await this.#readAbilities();
    const present = await this.#readKernel(named.chainName, depth);
    const beyond = deniedBeyond(named, present);
    const scaffold = {
      ...named,
      pools: [...named.pools, ...beyond.pools],
      subnets: [...named.subnets, ...beyond.subnets],
      mgmtNetworks: [...named.mgmtNetworks, ...beyond.mgmtNetworks],
      apiPorts: [...named.apiPorts, ...beyond.apiPorts],
    };
    const links = await this.#readLinks(scaffold, able.names && foreign === undefined);
    // Until this coold has written its ports, the guard may still have those of an earlier one.
    const told = this.#apiGuard?.isTold ? renderApiGuard(this.#apiGuard, true) : '';
    const unknownSets = told === '' ? [apiSockets, apiClients] : [];
    const texts = renderTables(scaffold, able, told);
    const deviations = await this.#compare(texts, reference =>
      foreign === undefined
        ? scaffoldDeviations(scaffold, present, reference, links, unknownSets)
        : [
            ...foreignDeviations(foreign, present),
            ...guardDeviations(present, reference, links, unknownSets),
          ],
    );
    return {
      scaffold,
      deviations,
      links,
      tables: present.tables,
      leftHooks: foreign === undefined ? [] : leftHooks(foreign, present.iptables.filter),
      beyond: outermost([...beyond.pools, ...beyond.subnets, ...beyond.mgmtNetworks]),
    };
  }

  /** Returns the bridges that the tables do not name yet, and records those that they do. */
  takeNewLinks({ wanted }: Links): Links['wanted'] {
    const named = {
      guard: linksIn('guard', this.#tables.guard),
      bridge: linksIn('bridge', this.#tables.bridge),
    };
    this.#linksBefore = named;
    const missing = (set: LinkSet) => wanted[set].filter(name => !named[set].includes(name));
    return { guard: missing('guard'), bridge: missing('bridge') };
  }

  #readAbilities(): Promise<BridgeAbilities> {
    this.#abilities ??= readAbilities().catch((error: unknown) => {
      // A kernel that could not be probed is probed again.
      this.#abilities = undefined;
      throw error;
    });
    return this.#abilities;
  }

  async #readKernel(chainName: string, depth: Touched) {
    const [iptables] = await Promise.all([
      this.#routed.get(chainName, () => readRouted(chainName)),
      depth === 'iptables' ? undefined : this.#readTables(depth === 'tables'),
    ]);
    return { iptables, tables: this.#tables };
  }

  async #readTables(isWhole: boolean): Promise<void> {
    const startedAt = performance.now();
    const moment = await this.#view.moment();
    const read = await readTables(isWhole);
    [this.#tables, this.#tablesReadAt, this.#tablesMoment] = [read, startedAt, moment];
  }

  async #readLinks({ subnets, joined }: Scaffold, hasBridgeSet: boolean): Promise<Links> {
    const all = [...subnets, ...joined];
    const wanted = {
      guard: await readMeshLinks(all),
      bridge: hasBridgeSet ? await readMeshBridges(all) : [],
    };
    return { wanted, seen: this.#linksBefore, interfaces: Object.keys(networkInterfaces()) };
  }

  /** Compares with nft's own listing for some tables. On a difference it compares again with a fresh listing. */
  async #compare(
    texts: TableTexts,
    deviationsFrom: (reference: ScaffoldTables) => Deviation[],
  ): Promise<Deviation[]> {
    const remembered = this.#reference;
    const deviations = deviationsFrom(await this.#referenceFor(texts));
    if (deviations.length === 0 || remembered === undefined || remembered !== this.#reference)
      return deviations;
    // Another version of nft, as after a system upgrade, may print the same table differently.
    this.#reference = undefined;
    return deviationsFrom(await this.#referenceFor(texts));
  }

  async #referenceFor(texts: TableTexts): Promise<ScaffoldTables> {
    const text = texts.guard + texts.bridge;
    if (this.#reference?.text === text) return this.#reference.tables;
    const tables = await readReference(texts);
    this.#reference = { text, tables };
    return tables;
  }
}

async function readAbilities(): Promise<BridgeAbilities> {
  const [conntrack, names] = await Promise.all([hasBridgeConntrack(), hasBridgeNames()]);
  return { conntrack, names };
}
