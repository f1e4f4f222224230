"""The tables of the store of jobs, and how those of earlier versions become them."""

MIGRATIONS = [
    """
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    spec TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 1,
    message TEXT NOT NULL DEFAULT '',
    cancel INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_by_state ON runs (state, place);
CREATE TABLE epochs (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    fold INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (run, fold, epoch)
);
""",
    """
ALTER TABLE runs ADD COLUMN parent TEXT;
ALTER TABLE runs ADD COLUMN study TEXT;
CREATE INDEX runs_by_study ON runs (study);
""",
    """
ALTER TABLE runs ADD COLUMN enough INTEGER NOT NULL DEFAULT 0;
""",
    """
ALTER TABLE runs ADD COLUMN device TEXT;
""",
    """
ALTER TABLE runs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
""",
    """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    key TEXT UNIQUE,
    kind TEXT NOT NULL,
    lane TEXT NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    content TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    created TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 1,
    message TEXT NOT NULL DEFAULT '',
    parent TEXT,
    study TEXT,
    device TEXT,
    slot INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    cancel REAL,
    enough INTEGER NOT NULL DEFAULT 0
);
INSERT INTO jobs
    SELECT id, NULL, 'train', 'queue', place, name, spec, state, reason, created, started, finished,
    done, total, message, parent, study, device, 0, deaths,
    CASE WHEN cancel THEN 0.0 END, enough FROM runs ORDER BY rowid;
CREATE INDEX jobs_by_state ON jobs (state, lane, place);
CREATE INDEX jobs_by_study ON jobs (study);
CREATE TABLE events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    part INTEGER NOT NULL,
    step INTEGER NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (job, part, step)
);
INSERT INTO events SELECT run, fold, epoch, row FROM epochs ORDER BY rowid;
DROP TABLE epochs;
DROP TABLE runs;
CREATE TABLE needs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    input TEXT NOT NULL,
    PRIMARY KEY (job, input)
);
CREATE INDEX needs_by_input ON needs (input);
""",
    """
ALTER TABLE jobs ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN starred INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN follower TEXT;
""",
    "",  # fields that a run's layout or split doesn't read are no part of its identity any more
    """
CREATE TABLE spent (
    job TEXT NOT NULL,
    lane TEXT NOT NULL,
    device TEXT,
    started TEXT NOT NULL,
    ended TEXT NOT NULL
);
CREATE INDEX spent_by_end ON spent (ended);
""",
    """
CREATE INDEX jobs_by_start ON jobs (lane, started);
CREATE INDEX spent_by_start ON spent (lane, started);
CREATE INDEX jobs_by_place ON jobs (place);
""",
    """
DROP INDEX jobs_by_study;
CREATE INDEX jobs_by_study ON jobs (study, state);
CREATE INDEX jobs_by_kind ON jobs (kind);
CREATE INDEX jobs_by_kind_and_state ON jobs (kind, state);
CREATE INDEX jobs_by_star ON jobs (kind, starred);
CREATE INDEX jobs_by_parent ON jobs (parent);
CREATE INDEX jobs_by_end ON jobs (lane, state, finished);
""",
]
"""What turns a store of version 0, 1, … into one of the next version.

After each the keys of all jobs are computed anew: a version that counts the identity of a job in
another way adds a step, be it empty.
"""
