import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const gossipPort = 8787;
const sample = fileURLToPath(new URL('../../../../packaging/corrosion/config.toml', import.meta.url));

/**
 * The text of an agent's configuration: the sample of the package, with what is a host's own.
 *
 * @param peers mesh addresses of the hosts that it gossips with first
 */
export function corrosionConfig(mgmtIp: string, peers: readonly string[], bearerToken?: string): string {
  const bootstrap = JSON.stringify(peers.map(peer => `${peer}:${gossipPort}`));
  const own = readFileSync(sample, 'utf8')
    .replace(/^addr = "100\.64\.0\.5:8787"$/m, `addr = "${mgmtIp}:${gossipPort}"`)
    .replace(/^bootstrap = \[\]$/m, `bootstrap = ${bootstrap}`);
  return bearerToken === undefined
    ? own
    : `${own}\n[api.authz]\nbearer-token = ${JSON.stringify(bearerToken)}\n`;
}
