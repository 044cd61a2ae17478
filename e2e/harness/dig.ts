import { expectExec, type Host } from './provider.ts';

/** Where a question is asked from: a container's network, whose namespace has this gateway. */
export interface Vantage {
  host: Host;
  /** The container's first process. */
  pid: number;
  /** The server that is asked. */
  server: string;
}

export interface Dug {
  rcode: string;
  /** "qr", "aa", "tc" and so on. */
  flags: string[];
  /** The question's name as it came back. */
  question: string;
  answers: { ttl: number; type: string; data: string }[];
}

export interface DigOptions {
  type?: string;
  transport?: 'udp' | 'tcp';
}

/** Where programs of a host are to run so that they are in a container's network, as a user of it. @throws HarnessError */
export async function vantage(host: Host, container: string, server: string): Promise<Vantage> {
  const pid = await expectExec(host, [
    ...(['podman', 'inspect', '--type', 'container', '--format', '{{.State.Pid}}', container] as const),
  ]);
  return { host, pid: Number(pid), server };
}

/** Puts a program into a container's network and leaves it the host's files: an image need not have it. */
export function within({ pid }: Vantage, program: readonly string[]): [string, ...string[]] {
  return ['nsenter', '--target', String(pid), '--net', '--', ...program];
}

/** One question. @throws HarnessError when no answer comes */
export async function dig(from: Vantage, name: string, options: DigOptions = {}): Promise<Dug> {
  const [dug] = await digAll(from, [name], options);
  if (dug === undefined) throw new Error(`dig ${name}: no answer that is understood`);
  return dug;
}

/** Several, one after the other. @throws HarnessError when one gets no answer */
export async function digAll(
  from: Vantage,
  names: readonly string[],
  { type = 'A', transport = 'udp' }: DigOptions = {},
): Promise<Dug[]> {
  // Its first line would repeat all names, cut off where it gets too long, even without its end.
  const options = ['+nocmd', '+tries=2', '+time=5', transport === 'tcp' ? '+tcp' : '+notcp', '+nocookie'];
  const argv = within(from, ['dig', `@${from.server}`, ...options, ...names.flatMap(name => [name, type])]);
  return parseDig(await expectExec(from.host, argv));
}

/** What dig prints, answer by answer. Pure. */
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

/** The addresses in an answer, in an order that can be compared. */
export function addressesIn({ answers }: Dug): string[] {
  return answers.map(({ data }) => data).toSorted();
}
