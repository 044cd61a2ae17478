import type { Logger } from '@coold/runtime';
import { linksElement } from '../deny/guard.ts';
import { bridgesElement } from '../deny/scaffold.ts';
import { runTool } from '../planes/iptables.ts';
import { applyScaffold } from '../scaffold/apply-scaffold.ts';
import type { Links } from '../scaffold/scaffold-deviations.ts';
import { removeFirst, type TablesWay, tablesWays } from '../scaffold/tables-anew.ts';
import { type ApiGuard, renderApiGuard } from './api-guard.ts';
import type { DenyInspector, Inspection, NamedDeny } from './inspect-deny.ts';
import { applyForeign, removeLeftHooks } from './keep-foreign.ts';

/** Restores the default deny in the kernel. No step of a repair opens anything. */
export class DenyRepairer {
  readonly #inspector: DenyInspector;
  readonly #apiGuard: ApiGuard | undefined;
  readonly #log: Logger;

  constructor(inspector: DenyInspector, apiGuard: ApiGuard | undefined, log: Logger) {
    this.#inspector = inspector;
    this.#apiGuard = apiGuard;
    this.#log = log;
  }

  /**
   * Installs what is missing or changed. Each attempt removes more first, until an inspection finds nothing wrong.
   *
   * @param found the result of the inspection
   * @throws Error when the deny is not in place afterwards
   */
  async putIn(desired: NamedDeny, found: Inspection): Promise<void> {
    let now = found;
    let failure: unknown;
    for (const way of tablesWays) {
      failure = await this.#putInBy(way, desired, now).then(
        () => undefined,
        (error: unknown) => error,
      );
      const isEnough = way === 'over it' && found.tables.bridge?.head.length === 0;
      now = await this.#inspector.inspect(desired, isEnough ? 'chains' : 'tables');
      if (now.deviations.length === 0) return;
      // The first attempt writes all iptables chains again; the later ones do nothing more about iptables.
      if (!now.deviations.some(({ isOfTables }) => isOfTables)) break;
    }
    throw (
      failure ?? new Error(`still missing or changed: ${now.deviations.map(({ text }) => text).join(', ')}`)
    );
  }

  /**
   * Removes the hooks of our scaffold that are left beside that of `coolify init`, and their part of the guard. They
   * deny too much and open nothing, so a failure is only logged. Never rejects.
   */
  async removeLeft(desired: NamedDeny, hooks: readonly string[]): Promise<void> {
    if (hooks.length === 0) return;
    try {
      await removeLeftHooks(hooks);
      const now = await this.#inspector.inspect(desired, 'chains');
      if (now.deviations.length > 0) await this.putIn(desired, now);
      this.#log.info({ rules: hooks }, 'hooks that are not those of coolify init are taken out of FORWARD');
    } catch (error) {
      this.#log.warn(
        { err: error, rules: hooks },
        'hooks that coolify init does not have cannot be taken out',
      );
    }
  }

  /** Adds the bridges of new networks to the tables. Never rejects. @returns whether there were any */
  async nameNewLinks(links: Links): Promise<boolean> {
    const { guard, bridge } = this.#inspector.takeNewLinks(links);
    const lines = [
      ...(guard.length === 0 ? [] : [linksElement(guard)]),
      ...(bridge.length === 0 ? [] : [bridgesElement(bridge)]),
    ];
    if (lines.length === 0) return false;
    await runTool('nft', ['-f', '-'], lines.map(line => `${line}\n`).join('')).catch((error: unknown) =>
      this.#log.warn(
        { err: error },
        'cannot write into the default deny which bridges containers use; trying again',
      ),
    );
    return true;
  }

  async #putInBy(way: TablesWay, desired: NamedDeny, found: Inspection): Promise<void> {
    // Subnets may have joined since the inspection.
    const scaffold = { ...found.scaffold, joined: (await this.#inspector.scaffoldOf(desired)).joined };
    const first = removeFirst(way, found.tables);
    if (desired.foreign === undefined) await applyScaffold(scaffold, first);
    else await applyForeign(desired.foreign, scaffold, first.guard);
    if (this.#apiGuard?.isTold) await runTool('nft', ['-f', '-'], renderApiGuard(this.#apiGuard, true));
  }
}
