-- That a broker lives, where there is more than one: each writes its own row every few seconds. A broker whose `beat` stands
-- still is dead to the others, and one of them removes its rows in the end.
CREATE TABLE broker_heartbeats (
  broker_id TEXT NOT NULL DEFAULT '' PRIMARY KEY,
  address TEXT NOT NULL DEFAULT '',
  beat INTEGER NOT NULL DEFAULT 0
);
