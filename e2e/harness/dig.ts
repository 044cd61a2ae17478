import { expectExec, type Host } from './provider.ts';

/** Where questions are asked from: a container's network, in the namespace of a gateway. */
export interface Vantage {
  host: Host;
  /** The process id of the container's first process. */
  pid: number;
  /** The server to ask. */
  server: string;
}

export interface Dug {
  rcode: string;
  /** "qr", "aa", "tc" and so on. */
  flags: string[];
  /** The question's name in the answer. */
  question: string;
  answers: { ttl: number; type: string; data: string }[];
}

export interface DigOptions {
  type?: string;
  transport?: 'udp' | 'tcp';
}

/** Returns where to run a host's programs so that they use a container's network. @throws HarnessError */
export async function vantage(host: Host, container: string, server: string): Promise<Vantage> {
  const pid = await expectExec(host, [
    ...(['podman', 'inspect', '--type', 'container', '--format', '{{.State.Pid}}', container] as const),
  ]);
  return { host, pid: Number(pid), server };
}

/** Runs a program in a container's network with the host's files, because an image need not contain it. */
export function within({ pid }: Vantage, program: readonly string[]): [string, ...string[]] {
  return ['nsenter', '--target', String(pid), '--net', '--', ...program];
}

/** Asks one question. @throws HarnessError when no answer comes */
export async function dig(from: Vantage, name: string, options: DigOptions = {}): Promise<Dug> {
  const [dug] = await digAll(from, [name], options);
  if (dug === undefined) throw new Error(`dig ${name}: no answer that is understood`);
  return dug;
}

/** Asks several questions in turn. @throws HarnessError when one gets no answer */
export async function digAll(
  from: Vantage,
  names: readonly string[],
  { type = 'A', transport = 'udp' }: DigOptions = {},
): Promise<Dug[]> {
  // Without it, dig's first line would repeat all names, cut off without an end when they are too many.
  const options = ['+nocmd', '+tries=2', '+time=5', transport === 'tcp' ? '+tcp' : '+notcp', '+nocookie'];
  const argv = within(from, ['dig', `@${from.server}`, ...options, ...names.flatMap(name => [name, type])]);
  return parseDig(await expectExec(from.host, argv));
}

/** Parses dig's output, one entry per answer. Pure. */
export function parseDig(text: string): Dug[] {
  const [, ...blocks] = text.split(/^;; Got answer:$/m);
  return blocks.map(block => ({
    rcode: /status: (\w+)/.exec(block)?.[1] ?? '',
    flags: (/^;; flags: ([a-z ]*);/m.exec(block)?.[1] ?? '').split(' '),
    question: /^;(\S+)\s+IN\s+\S+$/m.exec(block)?.[1] ?? '',
    answers: (/^;; ANSWER SECTION:\n((?:.+\n)+)/m.exec(block)?.[1] ?? '')
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        const [, ttl, , kind = '', ...data] = line.split(/\s+/);
        return { ttl: Number(ttl), type: kind, data: data.join(' ') };
      }),
  }));
}

/** Returns the addresses of an answer, sorted. */
export function addressesIn({ answers }: Dug): string[] {
  return answers.map(({ data }) => data).toSorted();
}
