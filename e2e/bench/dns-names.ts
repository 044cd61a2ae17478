// What every server of the dns suite knows: the same names, the same addresses.

export const zone = 'coolify.internal';
export const namespace = 'shop';
const count = 200;

/** The containers' names. */
export const names = Array.from({ length: count }, (_, index) => `web-${index + 1}`);

const addresses = new Map(names.map((name, index) => [name, `10.210.0.${index + 2}`]));

export function addressOf(name: string): string | undefined {
  return addresses.get(name);
}

/** Known to the upstream alone, which gives their addresses no time to live: they are never cached. */
export const outsideNames = Array.from({ length: 1000 }, (_, index) => `w${index}.example.test`);
export const outsideZone = 'example.test';
/** Known to the upstream alone, for longer than a measurement. */
export const cachedNames = Array.from({ length: count }, (_, index) => `w${index}.cached.test`);
export const cachedTtl = 3600;
export const outsideAddress = '192.0.2.7';
