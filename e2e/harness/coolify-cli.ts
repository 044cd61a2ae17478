import type { ExecResult } from './provider.ts';
import { HarnessError } from './provider.ts';

/** Runs the `coolify` program with these arguments. */
export type RunCoolify = (args: readonly string[], timeoutMs: number) => Promise<ExecResult>;

/**
 * How the program sets hosts up. `apply`: one command does everything. `intents`: separate commands set up, add hosts
 * and replace programs, and the broker is named scheduler.
 */
export type CoolifyGeneration = 'apply' | 'intents';

/**
 * Returns the generation of a program from the commands in its help.
 *
 * @throws HarnessError when it is neither: a program may answer an unknown command with its help and exit 0
 */
export async function generationOf(run: RunCoolify): Promise<CoolifyGeneration> {
  const { stdout, stderr } = await run(['init', '--help'], 30_000);
  const generation = readGeneration(stdout);
  if (generation !== undefined) return generation;
  throw new HarnessError(
    `this coolify cannot set up hosts: it has neither \`init bootstrap\` nor \`init apply\`; it says: ${inOneLine(stderr.trim() || stdout.trim()).slice(0, 200)}`,
  );
}

/** Determines the generation from the text of the help. Pure. */
export function readGeneration(help: string): CoolifyGeneration | undefined {
  if (!/^Usage:\s+coolify init\b/m.test(help)) return undefined;
  const has = (command: string) => new RegExp(`^  ${command} {2,}\\S`, 'm').test(help);
  if (has('bootstrap')) return 'intents';
  return has('apply') ? 'apply' : undefined;
}

/** Joins a program's output to one line, for an error. */
function inOneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' | ');
}

/** The hosts of a mesh, and how it is set up. */
export interface CoolifyMesh {
  /** The hosts' addresses for SSH. The first is central. */
  servers: readonly string[];
  namespaces: readonly string[];
  /** The private key that the hosts accept. */
  sshKey: string;
  /** The release of coold, builder, broker and Corrosion. Undefined for the program's own default. */
  version?: string;
  /** Whether containers reach each other without rules. Default: false. */
  isOpen?: boolean;
}

/** A flow between two containers, given by name. */
export interface CoolifyFlow {
  namespace: string;
  from: string;
  to: string;
  port: number;
}

/** A rule as `coolify firewall list` shows it. */
export interface CoolifyRule {
  host: string;
  namespace: string;
  id: string;
  src: string;
  dst: string;
  proto: string;
  port: number;
}

/** The operations of the CLI that operators use. */
export interface CoolifyCli {
  /** Sets hosts up, or verifies that they are. @returns the program's output */
  bootstrap(mesh: CoolifyMesh): Promise<string>;
  /** Adds a host to an existing mesh. */
  extend(mesh: CoolifyMesh, fresh: string): Promise<string>;
  /** Replaces the programs with those of another release. */
  upgrade(mesh: CoolifyMesh): Promise<string>;
  /** Adds one rule, on the destination's host. */
  allow(mesh: CoolifyMesh, flow: CoolifyFlow): Promise<void>;
  revoke(mesh: CoolifyMesh, flow: CoolifyFlow): Promise<void>;
  list(mesh: CoolifyMesh, namespace: string): Promise<CoolifyRule[]>;
}

/** Installs packages on every host, which takes minutes on small machines. */
const setUpMs = 20 * 60_000;
const firewallMs = 120_000;

/** Calls the CLI. */
export function createCoolifyCli(run: RunCoolify, generation: CoolifyGeneration): CoolifyCli {
  async function said(args: readonly string[], timeoutMs: number): Promise<string> {
    const { code, stdout, stderr } = await run(args, timeoutMs);
    if (code !== 0)
      throw new HarnessError(
        `coolify ${args.slice(0, 2).join(' ')} failed (${code ?? 'signal'}): ${inOneLine(stderr.trim() || stdout).slice(-600)}`,
      );
    return stdout + stderr;
  }
  const init = (command: string, mesh: CoolifyMesh, ...more: string[]) => {
    const { servers, namespaces, sshKey, version, isOpen = false } = mesh;
    const versions = ['coold', 'corrosion', generation === 'apply' ? 'broker' : 'scheduler'];
    return said(
      [
        ...['init', command, '--servers', servers.join(','), '--central', servers[0] ?? ''],
        ...['--namespaces', namespaces.join(','), '--ssh-key', sshKey, '--yes'],
        ...(isOpen ? ['--skip-default-deny'] : []),
        ...(version === undefined ? [] : versions.flatMap(name => [`--${name}-version`, version])),
        ...more,
      ],
      setUpMs,
    );
  };
  const firewall = (command: string, { servers, sshKey }: CoolifyMesh, namespace: string, more: string[]) =>
    said(
      [
        ...['firewall', command, '--servers', servers.join(','), '--ssh-key', sshKey],
        ...['--namespace', namespace, ...more],
      ],
      firewallMs,
    );
  const flowArgs = ({ from, to, port }: CoolifyFlow) => ['--from', from, '--to', to, '--port', String(port)];
  const all = generation === 'apply' ? 'apply' : undefined;
  return {
    bootstrap: mesh => init(all ?? 'bootstrap', mesh),
    extend: (mesh, fresh) =>
      all === undefined ? init('extend', mesh, '--new-hosts', fresh) : init(all, mesh),
    upgrade: mesh => init(all ?? 'upgrade', mesh),
    async allow(mesh, flow) {
      await firewall('allow', mesh, flow.namespace, flowArgs(flow));
    },
    async revoke(mesh, flow) {
      await firewall('revoke', mesh, flow.namespace, flowArgs(flow));
    },
    async list(mesh, namespace) {
      const args = ['firewall', 'list', '--servers', mesh.servers.join(','), '--ssh-key', mesh.sshKey];
      const { code, stdout, stderr } = await run(
        [...args, '--namespace', namespace, '--format', 'json'],
        firewallMs,
      );
      if (code !== 0 || stderr.includes('Warning'))
        throw new HarnessError(`coolify firewall list: ${inOneLine(stderr)}`);
      return readRules(stdout);
    },
  };
}

function readRules(text: string): CoolifyRule[] {
  const { rules } = JSON.parse(text) as { rules: CoolifyRule[] | null };
  return (rules ?? []).map(({ id, ...rule }) => ({ ...rule, id: id.replace(/^cid:/, '') }));
}
