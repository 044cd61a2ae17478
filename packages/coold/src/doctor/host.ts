import type { Settings } from '@coold/runtime';
import type { CooldConfig } from '../config.ts';
import type { DesiredScaffold } from '../firewall/scaffold/desired-scaffold.ts';

/** What checks know of this host in advance. */
export interface DoctoredHost {
  settings: Settings<CooldConfig>;
  /** The configuration in mesh.env. */
  desired: DesiredScaffold;
}

/** Returns the settings, if there are usable ones. */
export function configOf({ settings }: Pick<DoctoredHost, 'settings'>): CooldConfig | undefined {
  return settings.kind === 'read' ? settings.config : undefined;
}

/** For checks that only make sense on an installed host. */
export const notInstalled = 'not asked: coold has no settings here that can be used';

/** Thrown by checks that only root can make. */
export class NotRoot extends Error {
  readonly code = 'EPERM';
  constructor() {
    super('not root');
    this.name = 'NotRoot';
  }
}

/** @throws NotRoot */
export function needRoot(uid = process.getuid?.()): void {
  if (uid !== 0) throw new NotRoot();
}
