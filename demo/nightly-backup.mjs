/**
 * A nightly backup, and the way back. A backup is pushed beside the running writer; only what is new is copied, and the newest
 * seven stay. A store goes back within its own history in a moment, or takes over a backup when that is gone.
 *
 *     node demo/nightly-backup.mjs backup ./state ./backups           for cron: 0 3 * * *
 *     node demo/nightly-backup.mjs backup ./state s3://bucket/state   with the AWS credential chain
 *     node demo/nightly-backup.mjs list   ./backups
 *     node demo/nightly-backup.mjs rewind ./state 41                  to a version, a tag or a date; says how to undo that
 *     node demo/nightly-backup.mjs bring  ./state ./backups nightly-2026-11-30
 *
 * `rewind` and `bring` take the store over: the program that writes it has to open it again.
 */
import { openStore } from 'tidemark'
import { nodeFs } from 'tidemark/node-fs'
import { backups, pull, push } from 'tidemark/transfer'

const NAME = process.env.STORE ?? 'orders'
const KEPT = 7

async function placeOf(where) {
  if (where === undefined) throw new Error('A folder or s3://bucket/prefix is missing.')
  const [, bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(where) ?? []
  if (bucket === undefined) return { storage: nodeFs(where), name: NAME }
  const [{ S3Client }, { s3 }] = await Promise.all([import('@aws-sdk/client-s3'), import('tidemark/s3')])
  return { storage: s3({ client: new S3Client({ forcePathStyle: true }), bucket, prefix }), name: NAME }
}

const commands = {
  async backup(from, to, tag = `nightly-${new Date().toISOString().slice(0, 10)}`) {
    const there = await placeOf(to)
    // The backup of a day is made once; a run that was cut off is finished by the next one.
    if ((await listed(there)).some(({ name }) => name === tag)) return console.log(`${tag} is there already.`)
    const { version, copied, reused, bytes } = await push(await placeOf(from), there, { tag, keep: KEPT })
    console.log(`${tag}: version ${version}, ${copied} segments copied, ${reused} there already, ${bytes} bytes`)
  },

  async list(where) {
    for (const { name, version, time } of await listed(await placeOf(where)))
      console.log(`${name}\tversion ${version} of ${new Date(time).toISOString()}`)
  },

  async rewind(where, to) {
    const store = await openStore({ ...(await placeOf(where)), create: false })
    try {
      const { version, undo } = await store.restore(whenOf(to))
      console.log(`Version ${version} is as ${to} was. To undo that: rewind ${where} ${undo}`)
    } finally {
      await store.close()
    }
  },

  async bring(where, from, tag) {
    const { version } = await pull(await placeOf(where), await placeOf(from), { at: tag, force: true })
    console.log(`Version ${version} is as ${tag} was. What was there before stays in the history.`)
  },
}

/** None before the first backup. */
async function listed(place) {
  try {
    return await backups(place)
  } catch (error) {
    if (error.code === 'NOT_FOUND') return []
    throw error
  }
}

function whenOf(text = '') {
  if (/^\d+$/.test(text)) return Number(text)
  return /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : text
}

const [command, ...args] = process.argv.slice(2)
const run = commands[command]
if (run === undefined) {
  console.error(`nightly-backup: one of ${Object.keys(commands).join(', ')} is expected.`)
  process.exit(1)
}
await run(...args)
