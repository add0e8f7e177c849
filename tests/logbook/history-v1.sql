-- A history as version 1 wrote it.
PRAGMA application_id = 0x53434C48;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE events (
    run           INTEGER NOT NULL,
    number        INTEGER NOT NULL,  -- the event's id within the run
    label         TEXT NOT NULL,
    onset         REAL NOT NULL,
    "offset"      REAL,              -- NULL: it is on, or the run was killed
    onset_sample  INTEGER NOT NULL,
    offset_sample INTEGER,
    peak          REAL NOT NULL,     -- of the smoothed probability
    mean          REAL NOT NULL,
    gap_seconds   REAL NOT NULL,     -- lost within the event
    cut           INTEGER NOT NULL,  -- 1: ended by a gap, a reset, the end of the run or a kill
    rule          TEXT NOT NULL,     -- JSON: of its class, in force
    curve         BLOB,              -- probability, one byte a point: p = byte / 254; 255: no score
    curve_start   REAL,              -- seconds from the onset to the first point; mostly negative
    curve_step    REAL,              -- seconds a point; each is the highest probability in it
    clip          TEXT,              -- path of the sound that --clips wrote
    PRIMARY KEY (run, number, label)
);
INSERT INTO "events" VALUES(1,0,'knock',1789948805.0,1789948807.0,5000,7000,0.9,0.5,0.0,0,'{"threshold":0.5,"release":null,"min_on":0.1,"min_off":0.2,"refractory":0.0,"smoothing":0.0,"peak_threshold":null,"enabled":true}',X'BEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBEBE',-2.0,0.1,NULL);
CREATE TABLE gaps (
    run          INTEGER NOT NULL,
    start_sample INTEGER NOT NULL,
    start        REAL NOT NULL,
    seconds      REAL NOT NULL,
    reason       TEXT NOT NULL,
    is_open      INTEGER NOT NULL,   -- 1: so far
    PRIMARY KEY (run, start_sample)
);
CREATE TABLE marks (               -- moments that a person marked
    id   INTEGER PRIMARY KEY,
    run  INTEGER NOT NULL,
    at   REAL NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE minute_classes (      -- only classes with something to say
    run     INTEGER NOT NULL,
    start   INTEGER NOT NULL,
    label   TEXT NOT NULL,
    seconds REAL NOT NULL,           -- in which the smoothed probability was at the threshold or above
    events  INTEGER NOT NULL,        -- that began
    PRIMARY KEY (run, start, label)
) WITHOUT ROWID;
INSERT INTO "minute_classes" VALUES(1,1789948800,'bark',10.0,0);
INSERT INTO "minute_classes" VALUES(1,1789948800,'knock',10.0,1);
INSERT INTO "minute_classes" VALUES(1,1789948800,'siren',10.0,0);
CREATE TABLE minutes (             -- one a minute with sound, or with sound lost
    run           INTEGER NOT NULL,
    start         INTEGER NOT NULL,  -- a multiple of 60
    heard         REAL NOT NULL,     -- seconds with scores
    lost          REAL NOT NULL,     -- seconds in gaps
    sound         REAL NOT NULL,     -- seconds behind the levels
    mean_dbfs     REAL,              -- root mean square
    max_dbfs      REAL,              -- of the loudest tenth of a second
    peaks         BLOB,              -- highest smoothed probability of each class: uint16, little-endian, p = n / 65535
    PRIMARY KEY (run, start)
);
INSERT INTO "minutes" VALUES(1,1789948800,10.0,0.0,0.0,NULL,NULL,X'FFBFFFBFFFBF');
CREATE TABLE runs (            -- one a start of the program
    id           INTEGER PRIMARY KEY,
    started      REAL NOT NULL,
    seen         REAL NOT NULL,  -- the newest sign of life; a run without an end that is silent was killed
    ended        REAL,
    source       TEXT NOT NULL,
    live         INTEGER NOT NULL,  -- 0: a recording; its times count from the start of the run
    sample_rate  INTEGER NOT NULL,  -- of the model
    model        TEXT NOT NULL,
    model_sha256 TEXT NOT NULL,
    labels       TEXT NOT NULL,  -- JSON list, in the order of minutes.peaks
    rules        TEXT NOT NULL,  -- JSON: the detector's, as in a model card
    promised     TEXT,           -- JSON: {label: false alarms an hour}, "" = all classes together; NULL: none
    version      TEXT NOT NULL   -- of the program
);
INSERT INTO "runs" VALUES(1,1789948800.0,1789948810.0,1789948810.0,'kitchen',1,1000,'toy','abababababababababababababababababababababababababababababababab','["bark", "knock", "siren"]','{"default":{"threshold":0.5,"release":null,"min_on":0.1,"min_off":0.2,"refractory":0.0,"smoothing":0.0,"peak_threshold":null,"enabled":true},"classes":{}}',NULL,'0.1.0');
CREATE TABLE statuses (            -- changes of what the source is doing
    id     INTEGER PRIMARY KEY,
    run    INTEGER NOT NULL,
    at     REAL NOT NULL,
    state  TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX events_by_onset ON events (onset);
CREATE INDEX minutes_by_start ON minutes (start);
CREATE INDEX gaps_by_start ON gaps (start);
CREATE INDEX statuses_by_time ON statuses (at);
CREATE INDEX marks_by_time ON marks (at);
COMMIT;
