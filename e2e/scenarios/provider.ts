import { joinByCoolify } from '../harness/coolify-init.ts';
import type { Ground } from '../harness/fleet.ts';
import { createHetznerApi } from '../harness/hetzner/api.ts';
import { type HetznerSettings, readEnvironment, readSurroundings } from '../harness/hetzner/environment.ts';
import { createHetzner } from '../harness/hetzner/hetzner.ts';
import { deleteLabelled, groupLabels } from '../harness/hetzner/removal.ts';
import { clearLab, createLab } from '../harness/lab/lab.ts';
import { checkRequirements, thisMachine } from '../harness/lab/requirements.ts';
import { joinMesh } from '../harness/mesh.ts';
import { HarnessError, type HostSystem, hostSystems } from '../harness/provider.ts';

type Choice =
  | { name: 'lab'; system: HostSystem | undefined }
  /** `coolifyBin` joins the hosts, where it is set. */
  | { name: 'hetzner'; settings: HetznerSettings; coolifyBin: string | undefined; group: string | undefined };

/**
 * What E2E_PROVIDER names, `lab` by default, once it is clear that it can be had. E2E_SYSTEM names what the lab's hosts
 * run; by default they run what the machine does.
 *
 * @throws HarnessError, one line, naming what is missing
 */
export function checkGround(): Choice {
  const {
    E2E_PROVIDER: name = 'lab',
    E2E_SYSTEM,
    COOLIFY_BIN: coolifyBin,
    E2E_GROUP: group,
  } = readEnvironment();
  switch (name) {
    case 'lab':
      checkRequirements(thisMachine());
      return { name, system: asSystem(E2E_SYSTEM) };
    case 'hetzner': {
      const surroundings = readSurroundings();
      if (surroundings.kind === 'absent') throw new HarnessError(surroundings.reason);
      return { name, settings: surroundings.settings, coolifyBin, group };
    }
    default:
      throw new HarnessError(`E2E_PROVIDER=${JSON.stringify(name)}: expected lab or hetzner`);
  }
}

function asSystem(value: string | undefined): HostSystem | undefined {
  if (value === undefined) return undefined;
  const system = hostSystems.find(known => known === value);
  if (system === undefined)
    throw new HarnessError(`E2E_SYSTEM=${JSON.stringify(value)}: expected ${hostSystems.join(' or ')}`);
  return system;
}

/** The ground that scenarios stand on. @throws HarnessError */
export async function chooseGround(): Promise<Ground> {
  const choice = checkGround();
  switch (choice.name) {
    case 'lab':
      return { provider: await createLab({ system: choice.system }), join: joinMesh };
    case 'hetzner': {
      const { settings, coolifyBin: bin, group } = choice;
      return {
        provider: createHetzner({ settings, ...(group === undefined ? {} : { group }) }),
        join:
          bin === undefined
            ? joinMesh
            : (hosts, namespaces) => joinByCoolify(hosts, namespaces, { bin, sshKey: settings.sshKey }),
      };
    }
  }
}

/** Removes what scenarios that were killed have left; nothing, where they ended by themselves. @throws HarnessError */
export async function clearGround(): Promise<void> {
  const choice = checkGround();
  switch (choice.name) {
    case 'lab':
      return clearLab();
    case 'hetzner': {
      const { settings, group } = choice;
      if (settings.keepServers || group === undefined) return;
      await deleteLabelled(createHetznerApi({ token: settings.token }), groupLabels(group));
    }
  }
}
