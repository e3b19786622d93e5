
-- Tables for the fault profile `hostile`: hostile.toml holds their records.

CREATE TYPE hostile_mood AS ENUM ('calm', 'stormy', 'don''t "ask"');
CREATE DOMAIN hostile_code AS text CHECK (VALUE ~ '^[A-Z]{3}-[0-9]+$');

CREATE TABLE hostile_texts (id bigint PRIMARY KEY, body text, doc jsonb);

CREATE TABLE hostile_large (id bigint PRIMARY KEY, body text, doc jsonb);

CREATE TABLE hostile_numbers (
    id bigint PRIMARY KEY,
    small smallint,
    plain integer,
    big bigint,
    exact numeric,
    ratio double precision,
    flag boolean
);

CREATE TABLE hostile_bytes (id bigint PRIMARY KEY, data bytea);

CREATE TABLE hostile_times (
    id bigint PRIMARY KEY,
    at timestamptz,
    local timestamp(3),
    day date,
    clock time
);

CREATE TABLE hostile_parents (id uuid PRIMARY KEY, name text NOT NULL, age integer);
CREATE TABLE hostile_children (
    id bigint PRIMARY KEY, "parentId" uuid NOT NULL REFERENCES hostile_parents (id)
);
CREATE TABLE hostile_grandchildren (
    id bigint PRIMARY KEY, "childId" bigint NOT NULL REFERENCES hostile_children (id)
);
CREATE TABLE hostile_tree (
    id bigint PRIMARY KEY, "parentId" bigint REFERENCES hostile_tree (id), weight integer
);

CREATE TABLE hostile_unique (
    id bigint PRIMARY KEY, code text UNIQUE, a integer, b integer, UNIQUE (a, b)
);

CREATE TABLE hostile_generated (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    amount integer NOT NULL,
    doubled integer GENERATED ALWAYS AS (amount * 2) STORED,
    state text NOT NULL DEFAULT 'new',
    note text
);

CREATE TABLE hostile_types (
    id bigint PRIMARY KEY,
    mood hostile_mood,
    tags text[],
    counts integer[],
    code hostile_code,
    span int4range,
    verbatim json,
    address inet,
    duration interval
);

CREATE TABLE "Hostile ""Names"" 100%" (
    id bigint PRIMARY KEY,
    "select" text,
    "with space" text,
    "quo""te" text,
    "100%s" text,
    "Ünï cödé" text,
    "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" text
);
CREATE TABLE "user" (id bigint PRIMARY KEY, "group" text, "order" integer);

CREATE TABLE hostile_broken (id bigint PRIMARY KEY, n double precision);
CREATE TABLE hostile_truncated (id bigint PRIMARY KEY, body text);
CREATE TABLE hostile_trailing_comma (id bigint PRIMARY KEY);
CREATE TABLE hostile_bom (id bigint PRIMARY KEY, body text);
CREATE TABLE hostile_crlf (id bigint PRIMARY KEY, body text);
CREATE TABLE hostile_one_line (id bigint PRIMARY KEY, body text);
CREATE TABLE hostile_pretty (id bigint PRIMARY KEY, body text, doc jsonb);
CREATE TABLE hostile_empty_file (id bigint PRIMARY KEY);
CREATE TABLE hostile_empty_array (id bigint PRIMARY KEY);
