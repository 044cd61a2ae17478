import { createLab } from '../harness/lab/lab.ts';
import type { Provider } from '../harness/provider.ts';

/** The provider that scenarios run on. */
export function createProvider(): Promise<Provider> {
  return createLab();
}
