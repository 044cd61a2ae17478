/** A request that arrived complete in one piece. */
export interface PlainRequest {
  body: Uint8Array;
  /** Bytes after it. */
  rest: Buffer | undefined;
}

/** The longest header that is read here, in bytes. A usual caller's is 150. */
const maxHeadBytes = 2048;
const headEnd = Buffer.from('\r\n\r\n');
const requestLine = 'POST /v1/coold/dispatch HTTP/1.1';

/** Headers that do not affect a dispatch, and those whose value is checked. */
const headers: Readonly<Record<string, RegExp>> = {
  host: /^[\x21-\x7e]+$/,
  'content-type': /^application\/json(?:; ?charset=utf-8)?$/i,
  'content-length': /^[1-9][0-9]{0,8}$/,
  connection: /^keep-alive$/i,
  accept: /^[\x20-\x7e]*$/,
  'accept-encoding': /^[\x20-\x7e]*$/,
  'accept-language': /^[\x20-\x7e]*$/,
  'user-agent': /^[\x20-\x7e]*$/,
};

/**
 * Parses requests in the one form in which callers send a dispatch: HTTP/1.1, a length, JSON, and only headers that
 * every client sends. Returns undefined for any other form and for incomplete requests, which are left to the HTTP
 * server.
 */
export class PlainRequestReader {
  /** The last request's header, because a caller's headers are alike. */
  #head = '';
  #length = 0;

  /** @param maxBodyBytes the limit of a body */
  read(chunk: Buffer, maxBodyBytes: number): PlainRequest | undefined {
    const end = chunk.indexOf(headEnd);
    if (end < 0 || end > maxHeadBytes) return undefined;
    const head = chunk.toString('latin1', 0, end);
    if (head !== this.#head) {
      const length = readHead(head);
      if (length === undefined) return undefined;
      this.#head = head;
      this.#length = length;
    }
    const start = end + headEnd.length;
    const bodyEnd = start + this.#length;
    if (this.#length > maxBodyBytes || chunk.length < bodyEnd) return undefined;
    return {
      body: chunk.subarray(start, bodyEnd),
      rest: chunk.length === bodyEnd ? undefined : chunk.subarray(bodyEnd),
    };
  }
}

/** Returns the length of the body; undefined when the header has another form. */
function readHead(head: string): number | undefined {
  const [first, ...lines] = head.split('\r\n');
  if (first !== requestLine) return undefined;
  const found = new Map<string, string>();
  for (const line of lines) {
    const [, written = '', value = ''] = /^([A-Za-z-]+): ?(.*)$/.exec(line) ?? [];
    const name = written.toLowerCase();
    if (!Object.hasOwn(headers, name) || found.has(name) || headers[name]?.test(value) !== true)
      return undefined;
    found.set(name, value);
  }
  if (!found.has('host') || !found.has('content-type')) return undefined;
  const length = found.get('content-length');
  return length === undefined ? undefined : Number(length);
}
