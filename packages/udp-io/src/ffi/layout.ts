// The layouts of kernel structures on 64-bit little-endian Linux: x86-64 and arm64. Numbers are bytes, offsets count
// from the beginning of the structure. The self-test compares all of them with the kernel's behaviour.

export interface Layout {
  /** `struct sockaddr_in`: its family is in the first two bytes, in the order of the machine. */
  ipv4: { bytes: number; port: number; address: number };
  /** `struct sockaddr_in6`: as above. */
  ipv6: { bytes: number; port: number; address: number };
  /** `struct mmsghdr`, which begins as a `struct msghdr` and ends with the length of what came or went. */
  message: {
    bytes: number;
    name: number;
    nameBytes: number;
    vectors: number;
    vectorCount: number;
    length: number;
  };
  /** `struct iovec`. */
  vector: { bytes: number; base: number; length: number };
  /** `struct epoll_event`: what happened, in four bytes, is first. */
  event: { bytes: number; data: number };
  /** `struct pollfd`: the descriptor, in four bytes, is first. */
  poll: { asked: number; returned: number };
}

/** @param arch `x64`, where `struct epoll_event` is packed, or `arm64` */
export function layoutOf(arch: string): Layout {
  return {
    ipv4: { bytes: 16, port: 2, address: 4 },
    ipv6: { bytes: 28, port: 2, address: 8 },
    message: { bytes: 64, name: 0, nameBytes: 8, vectors: 16, vectorCount: 24, length: 56 },
    vector: { bytes: 16, base: 0, length: 8 },
    event: arch === 'x64' ? { bytes: 12, data: 4 } : { bytes: 16, data: 8 },
    poll: { asked: 4, returned: 6 },
  };
}

/** The layout of this machine. */
export const layoutHere: Layout = layoutOf(process.arch);
