/** The stream of the bare peer: it echoes frames of a four-byte number and a body. */
export const echoStream = {
  path: '/bench.Echo/Stream',
  requestStream: true,
  responseStream: true,
  requestSerialize: (frame: Buffer) => frame,
  requestDeserialize: (frame: Buffer) => frame,
  responseSerialize: (frame: Buffer) => frame,
  responseDeserialize: (frame: Buffer) => frame,
} as const;
