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
  /** If set, `coolifyBin` joins the hosts. */
  | { name: 'hetzner'; settings: HetznerSettings; coolifyBin: string | undefined; group: string | undefined };

/**
 * Returns the provider in E2E_PROVIDER, by default `lab`, after checking that it is available. E2E_SYSTEM sets the
 * system of lab hosts; default: this machine's.
 *
 * @throws HarnessError with one line that names what is missing
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

/** Returns the functions with which scenarios create hosts. @throws HarnessError */
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

/** Removes what killed scenarios left. @throws HarnessError */
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
