import { create } from '@bufbuild/protobuf';
import { PortMappingSchema } from '@coold/proto';
import { describe, expect, it } from 'vitest';
import { denyHostPorts, type HostPort } from './host-ports.ts';

const own: HostPort[] = [
  { port: 53, addresses: ['10.210.5.1'], use: 'cluster DNS' },
  { port: 8443, protocol: 'tcp', addresses: ['100.64.0.1'], use: 'the REST API of coold' },
  { port: 6443, protocol: 'tcp', use: 'the broker' },
  { port: 51820, protocol: 'udp', use: 'WireGuard' },
];
const mesh = new Set(['100.64.0.1', '10.210.5.1']);
const ranges = { elsewhere: ['10.210.6.0/24'], hosts: ['100.64.0.0/16'], own: ['100.64.9.9'] };

const publish = (hostPort: number, protocol = '', hostIp = '') =>
  denyHostPorts(
    [create(PortMappingSchema, { hostIp, hostPort, containerPort: 80, protocol })],
    own,
    mesh,
    ranges,
  );

describe('published ports', () => {
  it.each<[number, string, string, string]>([
    [53, '', '', 'ports[0].host_port'],
    [53, 'udp', '', 'ports[0].host_port'],
    [53, 'udp', '0.0.0.0', 'ports[0].host_port'],
    [8443, 'tcp', '', 'ports[0].host_port'],
    [6443, '', '203.0.113.7', 'ports[0].host_port'],
    [51820, 'udp', '', 'ports[0].host_port'],
    [8080, '', '100.64.0.1', 'ports[0].host_ip'],
    [8080, 'udp', '10.210.5.1', 'ports[0].host_ip'],
    [8080, '', '100.64.0.2', 'ports[0].host_ip'],
    [8080, '', '10.210.6.1', 'ports[0].host_ip'],
  ])('%i %s on %j are denied', (port, protocol, ip, field) => {
    expect(() => publish(port, protocol, ip)).toThrow(expect.objectContaining({ code: 403, field }));
  });

  it.each<[number, string, string]>([
    [80, '', ''],
    // The host's own address at a provider that gives such addresses.
    [80, '', '100.64.9.9'],
    [80, '', '::1'],
    [53, 'udp', '203.0.113.7'],
    [8443, 'udp', ''],
    [8443, 'tcp', '203.0.113.7'],
    [51820, 'tcp', ''],
  ])('%i %s on %j pass', (port, protocol, ip) => {
    expect(() => publish(port, protocol, ip)).not.toThrow();
  });
});
