import { type Corrosion, CorrosionError } from '@coold/corrosion';
import { errorMessage, type Finding, fail, ok } from '@coold/runtime';

const columns = 'host_id, broker_id, address, connected_at';

/** Checks whether this machine's Corrosion has the table that says which broker has which host. Never rejects. */
export async function lookAtRoutes(
  corrosion: Pick<Corrosion, 'query'>,
  url: string,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    await corrosion.query([`SELECT ${columns} FROM host_routes LIMIT 1`, []], () => {}, signal);
    return ok(`Corrosion at ${url} has the table of routes`);
  } catch (error) {
    const why = errorMessage(error);
    return error instanceof CorrosionError && error.fault === 'refused'
      ? fail(
          `table host_routes is missing or has other columns: ${why}`,
          'copy host_routes.sql to /etc/corrosion/schemas, then `systemctl reload corrosion`',
        )
      : fail(`Corrosion at ${url} does not answer: ${why}`, 'systemctl status corrosion');
  }
}
