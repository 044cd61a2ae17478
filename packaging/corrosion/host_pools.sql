-- The slice of each host for networks of apps, its COOLD_NETWORK_POOL. Written by coold for its own host; a host without a
-- row has no slice, or does not say.
CREATE TABLE host_pools (
  host_mgmt_ip TEXT NOT NULL DEFAULT '' PRIMARY KEY,
  network_pool TEXT NOT NULL DEFAULT '',
  updated_at INTEGER NOT NULL DEFAULT 0
);
