// What both programs share: the files of a backup, and records as Prisma Client takes them.

import { createReadStream, existsSync } from "node:fs";
import path from "node:path";
import { createGunzip } from "node:zlib";
import { PrismaPg } from "@prisma/adapter-pg";
import client from "@prisma/client";
import chain from "stream-chain";
import { parser } from "stream-json";
import { streamArray } from "stream-json/streamers/stream-array.js";

const { Prisma, PrismaClient } = client;

/** The models, parents first, as they stand in schema.prisma. */
export const MODELS = Prisma.dmmf.datamodel.models;

export function connect(connectionString) {
  return new PrismaClient({ adapter: new PrismaPg({ connectionString }), errorFormat: "minimal" });
}

/** Return what Prisma Client calls a model: its name with a small first letter. */
export function delegate(prisma, model) {
  return prisma[model.name[0].toLowerCase() + model.name.slice(1)];
}

/** Return the file of a model, or undefined if the backup has none. */
export function find(backup, model) {
  const file = path.join(backup, `${model.name}.json`);
  return [file, `${file}.gz`].find(existsSync);
}

/** Open a file, decompressed. */
export function open(file) {
  const stream = createReadStream(file);
  return file.endsWith(".gz") ? stream.pipe(createGunzip()) : stream;
}

// An array whose first record has a line of its own.
const LINES = /^\[\r?\n\{.*\},?\r?\n/;

async function hasLines(file) {
  for await (const chunk of open(file)) return LINES.test(chunk.toString("latin1"));
  return false;
}

/** Yield the lines of a stream; node:readline would also end them at U+2028, which JSON allows. */
async function* lines(stream) {
  let rest = "";
  for await (const chunk of stream.setEncoding("utf8")) {
    const found = (rest + chunk).split("\n");
    rest = found.pop();
    yield* found;
  }
  yield rest;
}

/** Yield the records of a file: line by line or, if they are not one a line, by stream-json. */
export async function* records(file) {
  if (await hasLines(file)) {
    let last;
    for await (const padded of lines(open(file))) {
      const line = padded.trim();
      if (line !== "") last = line;
      if (line !== "" && line !== "[" && line !== "]") yield JSON.parse(line.replace(/,$/, ""));
    }
    if (last !== "]") throw new Error(`${path.basename(file)} does not end with ]: truncated`);
  } else {
    for await (const { value } of chain([open(file), parser(), streamArray()])) yield value;
  }
}

// JSON has no big numbers, bytes and nulls of its own; the rest Prisma Client takes as it is.
const CONVERT = {
  BigInt: (value) => BigInt(value),
  Bytes: (value) => Buffer.from(value, "base64"),
  Int: (value) => (typeof value === "string" ? Number(value) : value),
  Float: (value) => (typeof value === "string" ? Number(value) : value),
};

/** Return a function that changes a record of a model, in place, into the data of a `create`. */
export function converter(model) {
  const fields = model.fields.filter((field) => field.type in CONVERT);
  const documents = model.fields.filter((field) => field.type === "Json");
  return (record) => {
    for (const { name, type } of fields) {
      if (record[name] != null) record[name] = CONVERT[type](record[name]);
    }
    for (const { name } of documents) {
      if (record[name] === null) record[name] = Prisma.DbNull;
    }
    return record;
  };
}

/** Set the sequence of each numbered key to its largest number: `createMany` leaves it alone. */
export async function setSequences(prisma) {
  for (const { name, fields } of MODELS.filter((model) => model.fields[0].type === "BigInt")) {
    const sequence = `pg_get_serial_sequence('"${name}"', '${fields[0].name}')`;
    await prisma.$queryRawUnsafe(`SELECT setval(${sequence}, max("${fields[0].name}")) FROM "${name}"`);
  }
}
