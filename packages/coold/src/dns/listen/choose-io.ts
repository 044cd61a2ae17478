import { BadValue, type Logger } from '@coold/runtime';
import { loadFfiIo, nodeIo, type UdpIo } from '@coold/udp-io';
import type { DnsIo } from './dns-io.ts';

/**
 * Chooses how threads answer DNS over UDP. `auto` uses epoll through `node:ffi` where it works, else Node's own
 * sockets, and logs why.
 *
 * @param loadFfi replaced only in tests
 * @throws BadValue when `ffi` is requested and not usable
 */
export function chooseIo(wish: DnsIo, log: Logger, loadFfi: typeof loadFfiIo = loadFfiIo): UdpIo {
  if (wish === 'node') return nodeIo;
  const io = loadFfi();
  if (!('unusable' in io)) return io;
  const reason = io.unusable;
  if (wish === 'ffi')
    throw new BadValue('COOLD_DNS_IO', wish, `auto or node, because node:ffi cannot be used: ${reason}`);
  log.warn({ reason }, "node:ffi cannot be used: DNS is answered with Node's own sockets, which bear less");
  return nodeIo;
}
