import { type GuideSection, type GuideStep, missingFrom } from '../docs/guide.ts';
import { eventually } from './eventually.ts';
import { HarnessError, type Host } from './provider.ts';

type Block = Extract<GuideStep, { kind: 'block' }>;

/** Follows a page on machines, by the names that the page uses. */
export interface GuideReader {
  machines: Record<string, Host>;
  /** The machines that "each host" means now. */
  eachHost: string[];
  /** Replaces the page's addresses and versions with those of these machines. */
  adapt(text: string): string;
}

/** The timeout of a block: a reader pastes it within seconds, but an installer or a pull takes longer. */
const blockMs = 120_000;
const patienceMs = 120_000;

/**
 * Runs a section block by block on the machines that it names, and compares each block's output.
 *
 * @param all every section of the page, for sections that are run again
 * @throws HarnessError with the machine, the block and its output
 */
export async function followSection(
  section: GuideSection,
  all: readonly GuideSection[],
  reader: GuideReader,
): Promise<void> {
  for (const step of section.steps) {
    if (step.kind === 'block') await runBlock(step, machinesOf(step.on, reader), reader);
    else await runAgain(step, all, reader);
  }
}

async function runAgain(
  { on, anchors }: Extract<GuideStep, { kind: 'again' }>,
  all: readonly GuideSection[],
  reader: GuideReader,
): Promise<void> {
  const again = { ...reader, eachHost: on.filter(name => name !== 'central') };
  for (const anchor of anchors) {
    const blocks = all.find(section => section.anchor === anchor)?.steps ?? [];
    for (const block of blocks) {
      if (block.kind !== 'block' || (block.on !== 'each host' && !on.includes(block.on))) continue;
      await runBlock(block, machinesOf(block.on, again), reader);
    }
  }
}

function machinesOf(on: string, { machines, eachHost }: GuideReader): Host[] {
  return (on === 'each host' ? eachHost : [on]).map(name => {
    const host = machines[name];
    if (host === undefined) throw new HarnessError(`the page names "${name}", which is no machine of it`);
    return host;
  });
}

async function runBlock(block: Block, hosts: readonly Host[], reader: GuideReader): Promise<void> {
  const script = reader.adapt(block.script);
  const shows = block.shows.map(line => reader.adapt(line));
  await Promise.all(
    hosts.map(host => (block.isPatient ? seen(host, script, shows) : runOnce(host, script, shows))),
  );
}

async function runOnce(host: Host, script: string, shows: readonly string[]): Promise<void> {
  const problem = await problemOf(host, script, shows);
  if (problem !== undefined) throw new HarnessError(problem);
}

async function seen(host: Host, script: string, shows: readonly string[]): Promise<void> {
  let last: string | undefined;
  await eventually(
    `what the page shows on ${host.name}`,
    async () => {
      last = await problemOf(host, script, shows);
      return last === undefined ? true : undefined;
    },
    { timeoutMs: patienceMs, everyMs: 500 },
  ).catch((error: unknown) => {
    throw new HarnessError(`${error instanceof Error ? error.message : String(error)}: ${last}`);
  });
}

/** Runs a block as bash would when a reader pastes it, except that it stops at the first command that fails. */
async function problemOf(host: Host, script: string, shows: readonly string[]): Promise<string | undefined> {
  const { code, stdout, stderr } = await host.exec(['bash', '--norc', '-ec', script], { timeoutMs: blockMs });
  const missing = missingFrom(`${stdout}\n${stderr}`, shows);
  if (code === 0 && missing.length === 0) return undefined;
  const why = code === 0 ? `does not show ${JSON.stringify(missing)}` : `ended with ${code ?? 'a signal'}`;
  return `${host.name}: this block ${why}:\n${script}\nIt printed:\n${stdout}${stderr}`;
}
