import { absolutePath, type ConfigOf, defineCommand } from '@coold/runtime';
import { chainName } from './kernel-name.ts';

/** `coold firewall teardown`: everything that coold put into the packet filter goes, and nothing else. */
export const teardownCommand = defineCommand({
  name: 'coold firewall teardown',
  envPrefix: 'COOLD_',
  summary: 'removes the allow rules and the default deny around them from both planes of the packet filter',
  options: {
    chainName: { type: chainName, default: 'COOLIFY-ALLOW', help: 'iptables chain of the allow rules' },
    meshEnv: {
      type: absolutePath,
      default: '/etc/coolify/mesh.env',
      help: 'What the default deny is made of; kept beside as mesh.env.removed, since it would be put back otherwise',
    },
    rulesPath: {
      type: absolutePath,
      default: '/etc/coolify/allow.rules',
      help: 'Snapshot of the allow rules, which stays; it says whose lock tells that coold still runs',
    },
  },
});

export type TeardownConfig = ConfigOf<typeof teardownCommand>;
