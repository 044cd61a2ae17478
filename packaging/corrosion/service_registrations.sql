-- Which containers answer for a service, beside their own names. Written by the coold whose host runs the container.
CREATE TABLE service_registrations (
  service_id TEXT NOT NULL DEFAULT '',
  container_id TEXT NOT NULL DEFAULT '',
  name TEXT NOT NULL DEFAULT '',
  namespace TEXT NOT NULL DEFAULT '',
  host_mgmt_ip TEXT NOT NULL DEFAULT '',
  port INTEGER NOT NULL DEFAULT 0,
  updated_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (service_id, container_id)
);
