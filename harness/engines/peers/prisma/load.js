// Restores a backup with Prisma as a first script does it: each file whole, in one `createMany`.
//
// All in one interactive transaction, so that the foreign key from companies to users, which is
// deferred, holds at its end; its time limit of 5 s is raised.
//
//     node load.js BACKUP DSN

import { text } from "node:stream/consumers";
import { MODELS, connect, converter, delegate, find, open, setSequences } from "./backup.js";

const [backup, dsn] = process.argv.slice(2);
const prisma = connect(dsn);

async function restore(transaction) {
  for (const model of MODELS) {
    const file = find(backup, model);
    if (file === undefined) continue;
    const data = JSON.parse(await text(open(file))).map(converter(model));
    await delegate(transaction, model).createMany({ data });
  }
  await setSequences(transaction);
}

try {
  await prisma.$transaction(restore, { timeout: 24 * 3600 * 1000 });
} catch (error) {
  console.error(error.message.trim().split("\n").at(-1));
  process.exitCode = 1;
} finally {
  await prisma.$disconnect();
}
