import { isIPv4 } from 'node:net';
import type { Address } from '@coold/runtime';
import { addressBytes, batchSize, createDatagramVectors, familyInet } from './datagram-vectors.ts';
import type { Libc } from './libc.ts';
import type { Peer, ServeQuery } from './serve-query.ts';

// As asm-generic/socket.h and the headers beside it have them, on x86-64 and arm64 alike.
const datagram = 2;
const nonBlocking = 0o4000;
const closeOnExec = 0o2000000;
const socketLevel = 1;
const reuseAddress = 2;
const reusePort = 15;
const dontWait = 0x40;
const none = 0n;
/**
 * Messages that batches take before what else the loop has to do has its turn. Node comes back for more 32 times in a turn,
 * after each of which there may be a batch: a flood would keep TCP, the API and timers waiting for tens of ms.
 */
const messagesATurn = 256;

/** A socket over IPv4, bound and not read yet. */
export interface BoundSocket {
  fd: number;
  /** To be called once it is in the hands of Node, which lets others have its address at the same time. */
  keepAddress(): void;
}

export interface DatagramBatches {
  /**
   * Here, because it is the way to know its descriptor.
   *
   * @param isShared others listen there too
   * @returns undefined: it cannot be had, and who tries it with Node is told why
   */
  bind(address: Address, isShared: boolean): BoundSocket | undefined;
  /**
   * Answers what waits on a socket, up to 32 messages, with two system calls for all of them. Node takes one at a time, which
   * costs three times as much as the rest of an answer. Does nothing once a turn of the loop has had its share.
   *
   * @param sendAlone what has its answer later, or cannot go with the others
   */
  drain(fd: number, serve: ServeQuery, sendAlone: (reply: Buffer, peer: Peer) => void): void;
}

/** For all sockets of one thread: the memory is used anew by each call. */
export function createDatagramBatches(libc: Libc): DatagramBatches {
  const vectors = createDatagramVectors(libc.addressOf);
  /** Of each call of `drain`; what is answered when it is another comes too late for the batch. */
  let turn = 0;
  /** Messages that this turn of the loop may still take. */
  let left = messagesATurn;
  const renew = () => {
    left = messagesATurn;
  };

  function flag(fd: number, name: number, isOn: boolean): boolean {
    const value = new ArrayBuffer(4);
    new DataView(value).setInt32(0, isOn ? 1 : 0, true);
    const result = libc.setsockopt(fd, socketLevel, name, libc.addressOf(value), value.byteLength);
    // Named once more, so that it is kept until here.
    return result === 0 && value.byteLength === 4;
  }

  function bindTo(fd: number, { host, port }: Address): boolean {
    const name = new ArrayBuffer(addressBytes);
    const view = new DataView(name);
    view.setUint16(0, familyInet, true);
    view.setUint16(2, port);
    host.split('.').forEach((part, index) => {
      view.setUint8(4 + index, Number(part));
    });
    const result = libc.bind(fd, libc.addressOf(name), name.byteLength);
    return result === 0 && name.byteLength === addressBytes;
  }

  return {
    bind(address, isShared) {
      if (!isIPv4(address.host)) return undefined;
      const fd = libc.socket(familyInet, datagram | nonBlocking | closeOnExec, 0);
      if (fd < 0) return undefined;
      if ((!isShared || flag(fd, reusePort, true)) && bindTo(fd, address))
        return { fd, keepAddress: () => void flag(fd, reuseAddress, false) };
      libc.close(fd);
      return undefined;
    },

    drain(fd, serve, sendAlone) {
      if (left <= 0) return;
      turn += 1;
      const own = turn;
      // A failure, such as that nothing waits, is Node's to see when it reads next.
      const received = libc.recvmmsg(fd, vectors.received, batchSize, dontWait, none);
      if (received === batchSize) {
        // Runs when all sockets were looked after once.
        if (left === messagesATurn) setImmediate(renew);
        left -= received;
      }
      let replies = 0;
      for (let index = 0; index < received; index += 1) {
        const peer = { address: vectors.address(index), port: vectors.port(index) };
        // Port 0 is nobody's.
        if (peer.port === 0) continue;
        serve(vectors.message(index), 'udp', peer, reply => {
          if (reply === undefined) return;
          if (turn === own && vectors.putReply(replies, index, reply)) replies += 1;
          else sendAlone(reply, peer);
        });
      }
      turn += 1;
      for (let sent = 0; sent < replies; ) {
        const more = libc.sendmmsg(fd, vectors.replies(sent), replies - sent, dontWait);
        if (more > 0) sent += more;
        else {
          // Why it fails is not known here; Node waits where it has to, and the others go on.
          const { bytes, ...peer } = vectors.reply(sent);
          sendAlone(bytes, peer);
          sent += 1;
        }
      }
    },
  };
}
