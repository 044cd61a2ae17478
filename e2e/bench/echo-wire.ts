/** The bare peer's stream: frames of a number of four bytes and a body, echoed. */
export const echoStream = {
  path: '/bench.Echo/Stream',
  requestStream: true,
  responseStream: true,
  requestSerialize: (frame: Buffer) => frame,
  requestDeserialize: (frame: Buffer) => frame,
  responseSerialize: (frame: Buffer) => frame,
  responseDeserialize: (frame: Buffer) => frame,
} as const;
