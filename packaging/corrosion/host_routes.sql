-- Which broker holds a host's stream, where there is more than one. Written by each broker for its own streams only.
CREATE TABLE host_routes (
  host_id TEXT NOT NULL DEFAULT '',
  broker_id TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT '',
  connected_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (host_id, broker_id)
);
