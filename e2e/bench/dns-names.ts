// The names and addresses that every server of the dns suite serves.

export const zone = 'coolify.internal';
export const namespace = 'shop';
const count = 200;

/** The names of the containers. */
export const names = Array.from({ length: count }, (_, index) => `web-${index + 1}`);

const addresses = new Map(names.map((name, index) => [name, `10.210.0.${index + 2}`]));

export function addressOf(name: string): string | undefined {
  return addresses.get(name);
}

/** Names that only the upstream knows, with a TTL of 0: they are never cached. */
export const outsideNames = Array.from({ length: 1000 }, (_, index) => `w${index}.example.test`);
export const outsideZone = 'example.test';
/** Names that only the upstream knows, with a TTL longer than a measurement. */
export const cachedNames = Array.from({ length: count }, (_, index) => `w${index}.cached.test`);
export const cachedTtl = 3600;
export const outsideAddress = '192.0.2.7';
