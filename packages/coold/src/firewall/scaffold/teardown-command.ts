import { absolutePath, type ConfigOf, defineCommand } from '@coold/runtime';
import { chainName } from '../rule/kernel-name.ts';

/** `coold firewall teardown`: removes everything that coold put into the packet filter, and nothing else. */
export const teardownCommand = defineCommand({
  name: 'coold firewall teardown',
  envPrefix: 'COOLD_',
  otherNames: { prefixes: ['COOLIFY_COOLD_'], names: {} },
  summary: 'removes the allow rules and the default deny around them from both planes of the packet filter',
  options: {
    chainName: { type: chainName, default: 'COOLIFY-ALLOW', help: 'iptables chain of the allow rules' },
    meshEnv: {
      type: absolutePath,
      default: '/etc/coolify/mesh.env',
      help: 'File that configures the default deny; renamed to mesh.env.removed, because coold or the next boot would restore the deny otherwise',
    },
    rulesPath: {
      type: absolutePath,
      default: '/etc/coolify/allow.rules',
      help: 'Snapshot of the allow rules, which is kept; the lock beside it tells whether coold still runs',
    },
  },
});

export type TeardownConfig = ConfigOf<typeof teardownCommand>;
