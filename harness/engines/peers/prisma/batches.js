// Restores a backup with Prisma in batches, and finds the records that cannot be restored.
//
// A file is read line by line, and each batch is one `createMany`. If that fails, its halves are
// tried, down to single records; one that fails alone is written to FAILED with the reason, and the
// restore goes on. So each batch is committed by itself, and a company gets its owner, one of its
// users, at the end.
//
//     node batches.js BACKUP DSN --batch=1000 --report=FILE --failed=FILE

import { createWriteStream, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { MODELS, connect, converter, delegate, find, records, setSequences } from "./backup.js";

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "1000" },
    report: { type: "string" },
    failed: { type: "string", default: "failed.jsonl" },
  },
});
const [backup, dsn] = positionals;
const prisma = connect(dsn);
const failed = createWriteStream(options.failed);
const statistics = [];
const owners = [];

/** Do `work` with all records at once or, if that fails, with ever fewer; `give up` a single one. */
async function attempt(records, work, giveUp) {
  try {
    await work(records);
  } catch (error) {
    if (records.length === 1) {
      await prisma.$queryRaw`SELECT 1`; // it is the record's fault only if the server is there
      await giveUp(records[0], error);
      return;
    }
    const half = Math.ceil(records.length / 2);
    await attempt(records.slice(0, half), work, giveUp);
    await attempt(records.slice(half), work, giveUp);
  }
}

function reject(table, record, error) {
  table.rejected += 1;
  const reason = error.message.trim().split("\n").at(-1);
  failed.write(`${JSON.stringify({ table: table.table, reason, record })}\n`);
}

async function restore(model, file) {
  const table = { table: model.name, read: 0, loaded: 0, duplicates: 0, rejected: 0 };
  statistics.push(table);
  const convert = converter(model);
  const create = async (batch) => {
    const data = batch.map((record) => convert({ ...record }));
    await delegate(prisma, model).createMany({ data });
  };
  const flush = async (batch) => {
    table.read += batch.length;
    await attempt(batch, create, (record, error) => reject(table, record, error));
    if (process.stderr.isTTY) console.error(`${table.table}: ${table.read}, ${table.rejected} failed`);
  };
  let batch = [];
  for await (const value of records(file)) {
    if (model.name === "companies" && value.ownerId != null) {
      owners.push({ id: value.id, ownerId: value.ownerId });
      value.ownerId = null;
    }
    if (batch.push(value) >= Number(options.batch)) {
      await flush(batch);
      batch = [];
    }
  }
  if (batch.length > 0) await flush(batch);
}

/** Give the companies their owners, 1,000 at once; one whose owner is not there cannot stay. */
async function setOwners() {
  const update = async (records) => {
    const [ids, ownerIds] = [records.map(({ id }) => id), records.map(({ ownerId }) => ownerId)];
    await prisma.$executeRaw`
      UPDATE companies SET "ownerId" = owner FROM unnest(${ids}::uuid[], ${ownerIds}::uuid[]) AS o (company, owner)
      WHERE id = company`;
  };
  const remove = async (record, error) => {
    const { count } = await prisma.companies.deleteMany({ where: { id: record.id } });
    if (count > 0) reject(statistics.find(({ table }) => table === "companies"), record, error);
  };
  for (let first = 0; first < owners.length; first += 1000) {
    await attempt(owners.slice(first, first + 1000), update, remove);
  }
}

try {
  for (const model of MODELS) {
    const file = find(backup, model);
    if (file !== undefined) await restore(model, file);
  }
  await setOwners();
  await setSequences(prisma);
  for (const table of statistics) table.loaded = table.read - table.rejected;
  process.exitCode = statistics.some(({ rejected }) => rejected > 0) ? 3 : 0;
  const report = { schema: 2, engine: "prisma-batches", tables: statistics, error: null };
  if (options.report) writeFileSync(options.report, `${JSON.stringify(report, null, 2)}\n`);
} catch (error) {
  console.error(error.message.trim().split("\n").at(-1));
  process.exitCode = 1;
} finally {
  failed.end();
  await prisma.$disconnect();
}
