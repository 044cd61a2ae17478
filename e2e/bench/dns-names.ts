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

/** Known to the upstream alone. */
export const outsideName = 'www.example.test';
export const outsideAddress = '192.0.2.7';
