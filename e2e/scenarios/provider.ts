import { joinByCoolify } from '../harness/coolify-init.ts';
import type { Ground } from '../harness/fleet.ts';
import { readSurroundings } from '../harness/hetzner/environment.ts';
import { createHetzner } from '../harness/hetzner/hetzner.ts';
import { createLab } from '../harness/lab/lab.ts';
import { joinMesh } from '../harness/mesh.ts';
import { HarnessError } from '../harness/provider.ts';

/**
 * What E2E_PROVIDER names: `lab` (the default) or `hetzner`, whose hosts are joined by COOLIFY_BIN where that is set.
 *
 * @throws HarnessError naming what is wrong with the environment
 */
export async function chooseGround(env: NodeJS.ProcessEnv = process.env): Promise<Ground> {
  const { E2E_PROVIDER: name = 'lab', COOLIFY_BIN: bin } = env as Record<string, string | undefined>;
  switch (name) {
    case 'lab':
      return { provider: await createLab(), join: joinMesh };
    case 'hetzner': {
      const surroundings = readSurroundings(env);
      if (surroundings.kind === 'absent') throw new HarnessError(surroundings.reason);
      const { settings } = surroundings;
      const join: Ground['join'] =
        bin === undefined || bin === ''
          ? joinMesh
          : (hosts, namespaces) => joinByCoolify(hosts, namespaces, { bin, sshKey: settings.sshKey });
      return { provider: createHetzner({ settings }), join };
    }
    default:
      throw new HarnessError(`E2E_PROVIDER=${JSON.stringify(name)}: expected lab or hetzner`);
  }
}
