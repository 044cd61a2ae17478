import { networkInterfaces } from 'node:os';
import { type Logger, runChild } from '@coold/runtime';

const ipTimeoutMs = 5000;

/**
 * Keeps the link address of the bridge that has an IPv4 address. Left to itself a bridge takes on the lowest one of its
 * ports, so that it changes as containers come and go, and those that stay send to the old one for as long as their
 * neighbour table has it: their gateway is silent for some ten seconds. Netavark sees to it itself from 1.5 on.
 *
 * @returns to be called whenever the bridge may be another; never rejects
 */
export function createSteadyBridge(host: string, log: Logger): () => Promise<void> {
  let kept: string | undefined;
  return async () => {
    const mac = linkAddressOf(host);
    if (mac === undefined || mac === kept) return;
    kept = mac;
    try {
      const bridge = await bridgeOf(host);
      // What was there is set again, which is all that it takes for it to stay.
      if (bridge !== undefined) await ip(['link', 'set', 'dev', bridge.name, 'address', bridge.mac]);
      kept = bridge?.mac ?? mac;
    } catch (error) {
      log.warn(
        { address: host, why: (error as Error).message },
        "the bridge's link address may change, which its containers notice late",
      );
    }
  };
}

function linkAddressOf(host: string): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap(list => list ?? []);
  return addresses.find(({ address }) => address === host)?.mac;
}

/** The bridge with this address; undefined where it is on something else. */
async function bridgeOf(host: string): Promise<{ name: string; mac: string } | undefined> {
  const said = await ip(['-json', '-details', '-4', 'address', 'show', 'type', 'bridge', 'to', `${host}/32`]);
  const links: unknown = JSON.parse(said === '' ? '[]' : said);
  // Some versions print an empty object for each link that was filtered out.
  const link = Array.isArray(links) ? links.find(one => isLink(one)) : undefined;
  return isLink(link) ? { name: link.ifname, mac: link.address } : undefined;
}

function isLink(value: unknown): value is { ifname: string; address: string } {
  if (typeof value !== 'object' || value === null) return false;
  return (
    'ifname' in value &&
    typeof value.ifname === 'string' &&
    'address' in value &&
    typeof value.address === 'string'
  );
}

async function ip(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runChild('ip', args, { timeoutMs: ipTimeoutMs });
  if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim() || `exit ${code}`}`);
  return stdout.trim();
}
