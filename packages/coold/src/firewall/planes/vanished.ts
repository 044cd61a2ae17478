import type { Rule } from '../rule/rule.ts';

/**
 * Rules that disappeared together with their chain, set or table. A `flush ruleset` by another program does that;
 * somebody who means one rule hardly does.
 */
export interface Vanished {
  /** Records that a rule was deleted. It counts as vanished when its chain is deleted in the same transaction. */
  went(rule: Rule): void;
  transactionEnded(): void;
  /** Records that the chain, set or table was deleted. */
  all(): void;
  has(id: string): boolean;
  isAny(): boolean;
  forget(): void;
}

/** @param standing returns the rules that are still there when what holds them is deleted */
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
