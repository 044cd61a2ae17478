export {
  type Corrosion,
  type CorrosionOptions,
  createCorrosion,
  type DatabaseVersion,
  type Statement,
} from './client.ts';
export { CorrosionError, isMissingTable } from './failure.ts';
export type { ChangeKind } from './frame.ts';
export {
  type KeptSubscription,
  keepSubscription,
  type SubscriptionOptions,
  type SubscriptionReader,
} from './keep-subscription.ts';
