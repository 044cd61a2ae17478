import { VerbError } from '@coold/errors';
import {
  type FirewallAllowRequest,
  FirewallAllowRequestSchema,
  FirewallAllowResponseSchema,
  FirewallBulkRequestSchema,
  FirewallBulkResponseSchema,
  FirewallListRequestSchema,
  FirewallListResponseSchema,
  FirewallReconcileRequestSchema,
  FirewallReconcileResponseSchema,
  FirewallRevokeRequestSchema,
  FirewallRevokeResponseSchema,
  FirewallShowRequestSchema,
  FirewallShowResponseSchema,
  FirewallStatusRequestSchema,
  FirewallStatusResponseSchema,
} from '@coold/proto';
import { FirewallError } from '../firewall/firewall-error.ts';
import type { Kernel } from '../firewall/planes/follow/kernel.ts';
import { KernelError } from '../firewall/planes/kernel-tool.ts';
import { isNamespace, isRuleId, type Rule, readRule } from '../firewall/rule/rule.ts';
import { orphanIds } from '../firewall/store/orphans.ts';
import type { Edit } from '../firewall/store/rule-model.ts';
import type { Store } from '../firewall/store/store.ts';
import { type Handler, handler } from '../handler.ts';
import { invalid } from './names.ts';

/** What the firewall verbs need. */
export interface FirewallVerbs {
  store: Store;
  kernel: Pick<Kernel, 'counters'>;
  /** How often the default deny's hooks had to be lifted since coold began. */
  hookRepairs(): number;
  /** How often the default deny itself had to be put back since coold began. */
  denyRepairs(): number;
  /** Every address of a container of the mesh; undefined: not known, so nothing is judged by it. */
  knownAddresses(): ReadonlySet<string> | undefined;
  /** Why an allow rule would open nothing on this host; undefined: it would. */
  uselessBecause(): Promise<string | undefined>;
}

/** A list of ids in an answer is cut after this many; its count is not. */
const listedIds = 100;

/** The firewall verbs (docs/contract.md §3, §4). */
export function firewallHandlers({
  store,
  kernel,
  hookRepairs,
  denyRepairs,
  knownAddresses,
  uselessBecause,
}: FirewallVerbs): Record<string, Handler> {
  return {
    'firewall.allow': handler(FirewallAllowRequestSchema, FirewallAllowResponseSchema, async request => {
      const rule = readRule(request);
      await refuseUseless(uselessBecause);
      await told(store.edit([{ kind: 'allow', rule }]));
      return { rule: describe(rule) };
    }),
    'firewall.revoke': handler(FirewallRevokeRequestSchema, FirewallRevokeResponseSchema, async ({ id }) => {
      await told(store.edit([{ kind: 'revoke', id: checkId(id, 'id') }]));
      return {};
    }),
    'firewall.list': handler(FirewallListRequestSchema, FirewallListResponseSchema, async ({ namespace }) => {
      if (namespace !== '' && !isNamespace(namespace)) throw invalid('namespace', 'expected a DNS label');
      await store.whenRead();
      const rules = await told(async () => store.rules());
      return { rules: rules.filter(rule => namespace === '' || rule.namespace === namespace).map(describe) };
    }),
    'firewall.show': handler(FirewallShowRequestSchema, FirewallShowResponseSchema, async ({ id }) => {
      checkId(id, 'id');
      await store.whenRead();
      const rule = await told(async () => store.rules() && store.rule(id));
      if (rule === undefined) throw new VerbError('rule_not_found', `no rule ${id}`);
      const counted = await told(kernel.counters(id));
      return {
        ...describe(rule),
        ...(counted === undefined ? {} : { packets: BigInt(counted.packets), bytes: BigInt(counted.bytes) }),
      };
    }),
    'firewall.bulk': handler(
      FirewallBulkRequestSchema,
      FirewallBulkResponseSchema,
      async ({ add, remove }) => {
        const edits = readBulk(add, remove);
        if (add.length > 0) await refuseUseless(uselessBecause);
        return told(store.edit(edits, { alone: true }));
      },
    ),
    'firewall.reconcile': handler(
      FirewallReconcileRequestSchema,
      FirewallReconcileResponseSchema,
      async () => {
        await told(store.reconcile());
        return {};
      },
    ),
    'firewall.status': handler(FirewallStatusRequestSchema, FirewallStatusResponseSchema, async () => {
      await store.refresh();
      const { mode, backend, watched, rules, drift, foreign, ...state } = await store.judgedState();
      const known = knownAddresses();
      const { snapshotProblem, unfinished, lastError, denyProblem } = state;
      return {
        mode,
        permissive: mode === 'permissive',
        backend,
        watched,
        rules,
        foreign,
        drift: {
          inKernelOnly: setOf(drift.kernelOnly),
          inModelOnly: setOf(drift.modelOnly),
          planesDiffer: setOf(drift.planesDiffer),
          snapshotDiffers: setOf(drift.snapshotDiffers),
        },
        ...(snapshotProblem === undefined ? {} : { snapshotError: snapshotProblem }),
        ...(unfinished === undefined ? {} : { unfinished }),
        ...(lastError === undefined
          ? {}
          : { lastError: { message: lastError.message, at: lastError.at.toISOString() } }),
        hookRepairs: hookRepairs(),
        ...(denyProblem === undefined ? {} : { denyProblem }),
        denyRepairs: denyRepairs(),
        ...(known === undefined || mode === 'unknown'
          ? {}
          : { orphans: setOf(orphanIds(store.rules(), known)) }),
      };
    }),
  };
}

/** An answer of 201 says that a flow is open. @throws VerbError 409 */
async function refuseUseless(uselessBecause: FirewallVerbs['uselessBecause']): Promise<void> {
  const why = await uselessBecause();
  if (why !== undefined) throw new VerbError('rule_without_effect', why);
}

/** Every address that a standing rule names. @throws VerbError 503 while the kernel could not be read yet */
export async function ruledAddresses(store: Pick<Store, 'whenRead' | 'rules'>): Promise<Set<string>> {
  await store.whenRead();
  const rules = await told(async () => store.rules());
  return new Set(rules.flatMap(({ src, dst }) => [src, dst]));
}

function readBulk(add: readonly FirewallAllowRequest[], remove: readonly string[]): Edit[] {
  const revoked = remove.map((id, index): Edit => ({ kind: 'revoke', id: checkId(id, `remove[${index}]`) }));
  const gone = new Set(remove);
  const allowed = add.map((request, index): Edit => {
    const rule = readRule(request, `add[${index}]`);
    if (gone.has(rule.id)) throw invalid(`add[${index}]`, `is removed by the same request (${rule.id})`);
    return { kind: 'allow', rule };
  });
  return [...revoked, ...allowed];
}

function describe({ id, namespace, src, dst, proto, port }: Rule) {
  return { id, namespace, src, dst, ...(proto === '' ? {} : { proto }), ...(port === 0 ? {} : { port }) };
}

function checkId(id: string, field: string): string {
  if (!isRuleId(id)) throw invalid(field, 'expected 12 hex digits');
  return id;
}

const setOf = (ids: readonly string[]) => ({ count: ids.length, ids: ids.slice(0, listedIds) });

/** What the firewall refuses is meant for its callers. */
async function told<T>(work: Promise<T> | (() => Promise<T>)): Promise<T> {
  try {
    return await (typeof work === 'function' ? work() : work);
  } catch (error) {
    if (error instanceof FirewallError) throw new VerbError(error.reason, error.message, { cause: error });
    if (error instanceof KernelError) throw new VerbError('firewall_failed', error.message, { cause: error });
    throw error;
  }
}
