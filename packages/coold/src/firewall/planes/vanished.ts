import type { Rule } from '../rule.ts';

/**
 * Rules that went all at once with what they stood in: their chain, set or table. A foreign `flush ruleset` does that, and
 * hardly anybody who means one rule.
 */
export interface Vanished {
  /** A rule went; with its chain, if that goes before the transaction ends. */
  went(rule: Rule): void;
  transactionEnded(): void;
  /** What they stood in went. */
  all(): void;
  has(id: string): boolean;
  isAny(): boolean;
  forget(): void;
}

/** @param standing those that have not gone yet when what they stand in goes */
export function createVanished(standing: () => readonly Rule[]): Vanished {
  const vanished = new Set<string>();
  let inTransaction: Rule[] = [];
  return {
    went: rule => void inTransaction.push(rule),
    transactionEnded() {
      inTransaction = [];
    },
    all() {
      for (const { id } of inTransaction) vanished.add(id);
      for (const { id } of standing()) vanished.add(id);
    },
    has: id => vanished.has(id),
    isAny: () => vanished.size > 0,
    forget: () => vanished.clear(),
  };
}
