import { readdir, readFile } from 'node:fs/promises';
import { runChild } from '@coold/runtime';
import { listIptables, runTool } from '../../firewall/planes/iptables.ts';
import { namespaceFolder, namespacePrefix } from './cable.ts';
import { createHeldTable, type HeldText } from './held-table.ts';
import { NetworkError } from './network-error.ts';
import { table } from './packet-rules.ts';
import { type Route, readRoutes } from './routes.ts';

/** The calls to this host's kernel and systemd that the network of builds needs. They reject with an Error. */
export interface HostNetwork {
  /** Returns the names of all interfaces. */
  interfaces(): Promise<string[]>;
  /** Returns the IPv4 routes of all tables. */
  routes(): Promise<Route[]>;
  /** Returns the MTU of an interface in bytes, 1500 where it is not known. Never rejects. */
  mtuOf(device: string): Promise<number>;
  /** Makes the gateway an address of this host, even while no cable has it. */
  holdGateway(address: string): Promise<void>;
  /** Whether IPv4 forwarding is enabled. */
  forwards(): Promise<boolean>;
  /** Enables IPv4 forwarding, as Podman does when it creates a network. */
  letForward(): Promise<void>;
  /** Applies input of nft as one transaction. */
  applyRules(text: string): Promise<void>;
  /** Applies rules in a table that no other program can remove. Cheap when they are applied already. */
  holdRules(text: HeldText): Promise<void>;
  /** Removes that table. */
  letRulesGo(): void;
  /** Returns the listing of our nft table without the elements of its sets, undefined when it does not exist. */
  listRules(): Promise<string | undefined>;
  /** Returns the lines of `iptables -S` for FORWARD and INPUT, undefined on a host without iptables. */
  listAcceptance(): Promise<string[] | undefined>;
  /** Adds a rule to iptables. */
  accept(rule: readonly string[]): Promise<void>;
  /** Returns the names of build namespaces whose unit is gone. */
  strayNamespaces(): Promise<string[]>;
  removeNamespace(name: string): Promise<void>;
}

const timeoutMs = 10_000;

/** Returns the calls for the host that this process runs on. */
export function createHostNetwork(): HostNetwork {
  const ip = (...args: string[]) => runTool('ip', args, '', undefined, timeoutMs);
  /** Runs a command in a transient unit: coold lacks the privileges, a unit that PID 1 starts has them. */
  const asUnit = (...command: string[]) =>
    runTool(
      'systemd-run',
      ['--quiet', '--collect', '--wait', '--pipe', '--', ...command],
      '',
      undefined,
      timeoutMs,
    );
  const held = createHeldTable();
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
    holdRules: held.hold,
    letRulesGo: held.close,
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
