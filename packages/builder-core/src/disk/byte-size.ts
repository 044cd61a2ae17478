const units: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** Reads an amount of bytes like `512M` or `10G`, as systemd does. Returns Infinity for `infinity`, undefined for a text that is no amount. */
export function readByteSize(text: string): number | undefined {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  const [, amount = '', unit = ''] = /^([1-9]\d{0,11})([KMGT]?)$/.exec(text) ?? [];
  return amount === '' ? undefined : Number(amount) * (units[unit] ?? 1);
}

/** Reads a number of files. Returns Infinity for `infinity`, undefined for a text that is no number. */
export function readFileCount(text: string): number | undefined {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  return /^[1-9]\d{0,11}$/.test(text) ? Number(text) : undefined;
}

/** Formats an amount of bytes for people, for example `1.5 GiB`. */
export function showBytes(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), names.length - 1);
  const amount = bytes / 2 ** (10 * step);
  return `${amount.toFixed(step === 0 || amount >= 100 ? 0 : 1)} ${names[step]}`;
}
