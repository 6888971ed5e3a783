/**
 * A nightly backup, and the way back. A backup is pushed beside the running writer; only what is new is copied, and the newest
 * seven stay. A store goes back within its own history in a moment, or takes over a backup when that is gone.
 *
 *     node demo/nightly-backup.mjs sample ./state                     writes some orders, to try it with
 *     node demo/nightly-backup.mjs backup ./state ./backups           for cron: 0 3 * * *
 *     node demo/nightly-backup.mjs backup ./state s3://bucket/state   with the AWS credential chain, and AWS_ENDPOINT_URL
 *     node demo/nightly-backup.mjs list   ./backups
 *     node demo/nightly-backup.mjs rewind ./state 41                  to a version, a tag or a date; says how to undo that
 *     node demo/nightly-backup.mjs bring  ./state ./backups nightly-2026-11-30
 *
 * These places are the defaults; BACKUPS=s3://bucket/state is another one. `rewind` and `bring` take the store over: the program
 * that writes it has to open it again.
 */
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { backups, pull, push } from 'tidemark/transfer'

const { STORE: name = 'orders', BACKUPS = './backups' } = process.env
const STATE = './state'
const KEPT = 7

async function placeOf(where) {
  const [, bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(where) ?? []
  if (bucket === undefined) return { storage: nodeFs(where), name }
  const [{ S3Client }, { s3 }] = await Promise.all([import('@aws-sdk/client-s3'), import('tidemark/s3')])
  return { storage: s3({ client: new S3Client({ forcePathStyle: true }), bucket, prefix }), name }
}

const withStore = async (where, options, use) => {
  const store = await openStore({ ...(await placeOf(where)), ...options })
  return use(store).finally(() => store.close())
}
/** None before the first backup. */
const listed = (place) => backups(place).catch((error) => (error.code === 'NOT_FOUND' ? [] : Promise.reject(error)))
const whenOf = (text) => (/^\d+$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : text)

const commands = {
  async sample(where = STATE) {
    const orders = Array.from({ length: 100 }, (_, i) => ({
      type: 'put',
      key: crypto.randomUUID(),
      value: { total: i },
    }))
    const { version } = await withStore(where, {}, (store) => store.write(orders))
    console.log(`Version ${version} has ${orders.length} orders more.`)
  },

  async backup(from = STATE, to = BACKUPS, tag = `nightly-${new Date().toISOString().slice(0, 10)}`) {
    const there = await placeOf(to)
    // The backup of a day is made once; a run that was cut off is finished by the next one.
    if ((await listed(there)).some(({ name }) => name === tag)) return console.log(`${tag} is there already.`)
    const { version, copied, reused, bytes } = await push(await placeOf(from), there, { tag, keep: KEPT })
    console.log(`${tag}: version ${version}, ${copied} segments copied, ${reused} there already, ${bytes} bytes`)
  },

  async list(where = BACKUPS) {
    for (const { name, version, time } of await listed(await placeOf(where)))
      console.log(`${name}\tversion ${version} of ${new Date(time).toISOString()}`)
  },

  async rewind(where = STATE, to = '') {
    const { version, undo } = await withStore(where, { create: false }, (store) => store.restore(whenOf(to)))
    console.log(`Version ${version} is as ${to} was. To undo that: rewind ${where} ${undo}`)
  },

  async bring(where = STATE, from = BACKUPS, tag) {
    const { version } = await pull(await placeOf(where), await placeOf(from), { at: tag, force: true })
    console.log(`Version ${version} is as ${tag ?? 'the newest one'} was. What was there before stays in the history.`)
  },
}

const [command, ...args] = process.argv.slice(2)
if (!Object.hasOwn(commands, command ?? '')) {
  console.error(`nightly-backup: one of ${Object.keys(commands).join(', ')} is expected.`)
  process.exit(1)
}
await commands[command](...args)
