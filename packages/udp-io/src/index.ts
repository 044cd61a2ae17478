export { ipv4Number } from './ipv4.ts';
export { bindByNode } from './node/bound.ts';
export { connectByNode } from './node/connected.ts';
export { openUdp, type ThreadIo } from './open-udp.ts';
export type { BoundSocket, Connect, ConnectedEvents, ConnectedSocket, Peer, Udp } from './udp.ts';
export { loadFfiIo, nodeIo, type UdpIo, type Waker } from './udp-io.ts';
