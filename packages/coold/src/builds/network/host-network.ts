import { readdir, readFile } from 'node:fs/promises';
import { runChild } from '@coold/runtime';
import { listIptables, runTool } from '../../firewall/iptables.ts';
import { namespaceFolder, namespacePrefix } from './cable.ts';
import { NetworkError } from './network-error.ts';
import { table } from './packet-rules.ts';
import { type Route, readRoutes } from './routes.ts';

/** What the network of builds needs of this host's kernel and systemd. Each call but the first rejects with an Error. */
export interface HostNetwork {
  /** Names of all interfaces. */
  interfaces(): Promise<string[]>;
  routes(): Promise<Route[]>;
  /** In bytes; 1500 where it is not known. */
  mtuOf(device: string): Promise<number>;
  /** The gateway is an address of this host from here on, also while no cable has it. */
  holdGateway(address: string): Promise<void>;
  /** Whether packets pass from one interface to another at all. */
  forwards(): Promise<boolean>;
  /** Makes them, as Podman does when it makes a network. */
  letForward(): Promise<void>;
  applyRules(text: string): Promise<void>;
  /** Our nft table without the elements of its sets; undefined: it is not there. */
  listRules(): Promise<string | undefined>;
  /** `iptables -S` of FORWARD and INPUT; undefined where there is no iptables. */
  listAcceptance(): Promise<string[] | undefined>;
  accept(rule: readonly string[]): Promise<void>;
  /** Namespaces whose unit is gone. */
  strayNamespaces(): Promise<string[]>;
  removeNamespace(name: string): Promise<void>;
}

const timeoutMs = 10_000;

/** This host's own. */
export function createHostNetwork(): HostNetwork {
  const ip = (...args: string[]) => runTool('ip', args, '', undefined, timeoutMs);
  /** coold lacks what it takes; a unit of its own, which PID 1 starts for root, has it. */
  const asUnit = (...command: string[]) =>
    runTool(
      'systemd-run',
      ['--quiet', '--collect', '--wait', '--pipe', '--', ...command],
      '',
      undefined,
      timeoutMs,
    );
  return {
    interfaces: () => readdir('/sys/class/net'),
    async routes() {
      return readRoutes(await ip('-json', '-4', 'route', 'show', 'table', 'all'));
    },
    async mtuOf(device) {
      const text = await readFile(`/sys/class/net/${device}/mtu`, 'utf8').catch(() => '');
      return Number.parseInt(text, 10) || 1500;
    },
    async holdGateway(address) {
      await ip('address', 'replace', `${address}/32`, 'dev', 'lo');
    },
    async forwards() {
      return (await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim() === '1';
    },
    async letForward() {
      await asUnit('sysctl', '-q', '-w', 'net.ipv4.ip_forward=1');
    },
    async applyRules(text) {
      await runTool('nft', ['-f', '-'], text);
    },
    async listRules() {
      const { code, stdout, stderr } = await runChild('nft', ['-t', '-s', 'list', 'table', 'inet', table], {
        timeoutMs,
        env: { ...process.env, LC_ALL: 'C' },
      });
      if (code === 0) return stdout;
      if (/No such file or directory/.test(stderr)) return undefined;
      throw new NetworkError(`nft list table inet ${table}: ${stderr.trim().slice(0, 300)}`);
    },
    async listAcceptance() {
      try {
        const [forward, input] = await Promise.all([
          listIptables('filter', 'FORWARD'),
          listIptables('filter', 'INPUT'),
        ]);
        return [...forward, ...input];
      } catch (error) {
        if (isAbsent(error)) return undefined;
        throw error;
      }
    },
    async accept(rule) {
      await runTool('iptables', ['--wait=5', ...rule]);
    },
    async strayNamespaces() {
      const found = await readdir(namespaceFolder).catch(() => []);
      const ours = found.filter(name => name.startsWith(namespacePrefix));
      if (ours.length === 0) return [];
      const format = ['--all', '--full', '--plain', '--no-legend', '--type=service'];
      const listed = await runTool(
        'systemctl',
        ['--no-pager', 'list-units', ...format, '--', 'coolify-build-net@*.service'],
        '',
        undefined,
        timeoutMs,
      );
      const units = new Set(listed.split('\n').map(line => line.trim().split(/\s+/)[0]));
      return ours.filter(
        name => !units.has(`coolify-build-net@${name.slice(namespacePrefix.length)}.service`),
      );
    },
    async removeNamespace(name) {
      await asUnit('ip', 'netns', 'delete', name);
    },
  };
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && /ENOENT|failed to execute iptables|No such file/.test(error.message);
}
