// What both programs share: the files of a backup, and records as Prisma Client takes them.

import { createReadStream, existsSync } from "node:fs";
import path from "node:path";
import { createGunzip } from "node:zlib";
import { PrismaPg } from "@prisma/adapter-pg";
import client from "@prisma/client";

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

/** Open the file of a model, decompressed; null if the backup has none. */
export function open(backup, model) {
  const file = path.join(backup, `${model.name}.json`);
  if (existsSync(file)) return createReadStream(file);
  if (existsSync(`${file}.gz`)) return createReadStream(`${file}.gz`).pipe(createGunzip());
  return null;
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
