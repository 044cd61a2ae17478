import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { errorMessage, tokenClaims } from '@coold/runtime';

/**
 * Why this host does not say that it builds; undefined: it does. A broker drops a Hello that names what the token does not
 * grant (docs/contract.md §1), so the token is looked into, though only the broker can say whether it is true.
 */
export async function keepsFromBuilding(token: string, bin: string): Promise<string | undefined> {
  if (!capsOf(token).includes('builder')) return 'the token of this host does not grant "builder"';
  try {
    await access(bin, constants.X_OK);
    return undefined;
  } catch (error) {
    return `COOLD_BUILDER_BIN: ${errorMessage(error)}`;
  }
}

/** The `caps` claim of a JWT, unverified. */
export function capsOf(token: string): string[] {
  const caps = tokenClaims(token)?.['caps'];
  return Array.isArray(caps) ? caps.filter(cap => typeof cap === 'string') : [];
}
