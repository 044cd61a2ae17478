import { errorMessage, isObject, type Logger, runChild } from '@coold/runtime';
import type { HostAddresses } from './host-addresses.ts';

const ipTimeoutMs = 5000;

/**
 * Keeps the link address of the bridge that has an IPv4 address. By default a bridge takes the lowest address of its
 * ports, so it changes as containers come and go, and those that stay send to the old one until their neighbour entry
 * expires: their gateway is silent for some ten seconds. Netavark does the same itself from 1.5 on.
 *
 * @returns a function to call whenever the bridge may be another; never rejects
 */
export function createSteadyBridge(host: string, linkOf: HostAddresses, log: Logger): () => Promise<void> {
  let kept: string | undefined;
  return async () => {
    const mac = linkOf(host);
    if (mac === undefined || mac === kept) return;
    kept = mac;
    try {
      const bridge = await bridgeOf(host);
      // Setting the current address again makes it permanent.
      if (bridge !== undefined) await ip(['link', 'set', 'dev', bridge.name, 'address', bridge.mac]);
      kept = bridge?.mac ?? mac;
    } catch (error) {
      log.warn(
        { address: host, why: errorMessage(error) },
        "the bridge's link address may change, which its containers notice late",
      );
    }
  };
}

/** Returns the bridge with this address; undefined when something else has it. */
async function bridgeOf(host: string): Promise<{ name: string; mac: string } | undefined> {
  const said = await ip(['-json', '-details', '-4', 'address', 'show', 'type', 'bridge', 'to', `${host}/32`]);
  const links: unknown = JSON.parse(said === '' ? '[]' : said);
  // Some versions print an empty object for each link that was filtered out.
  const link = Array.isArray(links) ? links.find(one => isLink(one)) : undefined;
  return isLink(link) ? { name: link.ifname, mac: link.address } : undefined;
}

function isLink(value: unknown): value is { ifname: string; address: string } {
  return isObject(value) && typeof value['ifname'] === 'string' && typeof value['address'] === 'string';
}

async function ip(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runChild('ip', args, { timeoutMs: ipTimeoutMs });
  if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim() || `exit ${code}`}`);
  return stdout.trim();
}
