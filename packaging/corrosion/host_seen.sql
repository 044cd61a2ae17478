-- When each host said last that it lives. Written by coold for its own host every five minutes; a host whose row does not
-- change for 20 minutes is not answered by DNS any more.
CREATE TABLE host_seen (
  host_mgmt_ip TEXT NOT NULL DEFAULT '' PRIMARY KEY,
  seen_at INTEGER NOT NULL DEFAULT 0
);
