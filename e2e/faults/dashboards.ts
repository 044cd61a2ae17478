import { readFileSync } from 'node:fs';

export interface DashboardQuery {
  dashboard: string;
  panel: string;
  /** For all instances, and without a final comparison, which would return nothing while all is well. */
  expr: string;
}

/** Returns the queries in the dashboards of docs/grafana. */
export function dashboardQueries(): DashboardQuery[] {
  return ['broker', 'coold'].flatMap(dashboard => {
    const url = new URL(`../../docs/grafana/${dashboard}.json`, import.meta.url);
    const { panels } = JSON.parse(readFileSync(url, 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[];
    };
    return panels.flatMap(({ title: panel, targets }) =>
      targets.map(({ expr }) => ({
        dashboard,
        panel,
        expr: expr.replaceAll('$instance', '.*').replace(/ [<>=]=? [\d.]+$/, ''),
      })),
    );
  });
}
