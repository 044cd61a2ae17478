import { describeHolder, type Finding, fail, ok, type PortHolder, warn } from '@coold/runtime';

/** A port of this host that coold listens on. */
export interface WantedPort {
  use: string;
  address: string;
  port: number;
  protocols: readonly PortHolder['protocol'][];
}

/** Returns the ports in the settings. Pure. */
export function wantedPorts(config: {
  namespaces: readonly { name: string; gateway: string }[];
  apiBind: { host: string; port: number } | undefined;
  metricsBind: { host: string; port: number } | undefined;
}): WantedPort[] {
  const tcp = (use: string, bind: { host: string; port: number } | undefined): WantedPort[] =>
    bind === undefined ? [] : [{ use, address: bind.host, port: bind.port, protocols: ['tcp'] }];
  return [
    ...config.namespaces
      .filter(({ gateway }) => gateway !== '0.0.0.0')
      .map(({ name, gateway }) => ({
        use: `DNS of namespace ${name}`,
        address: gateway,
        port: 53,
        protocols: ['udp', 'tcp'] as const,
      })),
    ...tcp('the REST API', config.apiBind),
    ...tcp('metrics', config.metricsBind),
  ];
}

/** @param holders every program that has it, including coold. Pure. */
export function judgePort(
  { use, address, port, protocols }: WantedPort,
  holders: readonly PortHolder[],
): Finding {
  const place = `${address}:${port} for ${use}`;
  const there = holders.filter(({ protocol }) => protocols.includes(protocol));
  const strange = there.filter(({ process }) => process?.name !== 'coold');
  const [first] = strange;
  if (first === undefined) return ok(there.length === 0 ? `${place} is free` : `${place} is coold's`);
  const said = strange.map(describeHolder).join('; ');
  return first.process === undefined
    ? warn(`${place} is held by ${said}`, 'run this as root to see by which program')
    : fail(`${place} is held by ${said}`, 'end that program, or give it another address');
}
