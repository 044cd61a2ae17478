-- Every container of the mesh, by the host that runs it. Written by coold for its own host only, read for DNS.
CREATE TABLE service_endpoints (
  container_id TEXT NOT NULL DEFAULT '' PRIMARY KEY,
  container_name TEXT NOT NULL DEFAULT '',
  namespace TEXT NOT NULL DEFAULT '',
  host_mgmt_ip TEXT NOT NULL DEFAULT '',
  container_ip TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  health TEXT NOT NULL DEFAULT 'unknown',
  updated_at INTEGER NOT NULL DEFAULT 0
);
