// @ts-nocheck: runs in a worker, whose types the scripts are not checked with
/**
 * The file side of bench/opfs.mjs: a preallocated log and a blob, by sync access handles; flush() is what makes durable. After
 * each flush the owner is looked at, as in the log of nodeFs(): handles are opened so that another tab may take over.
 */
const AHEAD = 256 << 10
const seen = new Uint8Array(8)
let log
let owner
let end = 0
let allocated = 0

const acts = {
  async fill({ state, tail }) {
    const blob = await handleOf('state')
    blob.write(state, { at: 0 })
    blob.flush()
    blob.close()
    await openLog()
    append(tail)
    acts.close()
  },
  async open({ fence }) {
    const [blob] = await Promise.all([handleOf('state'), openLog()])
    const state = readAll(blob)
    blob.close()
    const tail = new Uint8Array(Math.min(end, 8_192))
    log.read(tail, { at: end - tail.length })
    append(fence)
    return { state, tail }
  },
  // Other tabs append to the same log: create-once takes a lock, as there is nothing atomic about a file here.
  commit: ({ entry }) => navigator.locks.request('log', () => append(entry)),
  close() {
    // In place of what a record's own marks would say.
    log.write(new Uint8Array(new Float64Array([end]).buffer), { at: 0 })
    log.flush()
    log.close()
    owner.close()
  },
}

async function handleOf(name) {
  const folder = await navigator.storage.getDirectory()
  const file = await folder.getFileHandle(name, { create: true })
  return file.createSyncAccessHandle({ mode: 'readwrite-unsafe' })
}

async function openLog() {
  ;[log, owner] = await Promise.all([handleOf('log'), handleOf('owner')])
  allocated = log.getSize()
  const first = new Uint8Array(8)
  end = log.read(first, { at: 0 }) === 8 ? new Float64Array(first.buffer)[0] || 8 : 8
}

/** Into space that was written before: a flush then has no length to record. */
function append(bytes) {
  if (end + bytes.length > allocated) {
    log.write(new Uint8Array(AHEAD), { at: allocated })
    allocated += AHEAD
  }
  log.write(bytes, { at: end })
  log.flush()
  owner.read(seen, { at: 0 })
  end += bytes.length
}

function readAll(handle) {
  const bytes = new Uint8Array(handle.getSize())
  handle.read(bytes, { at: 0 })
  return bytes
}

onmessage = async ({ data }) => {
  try {
    const answer = (await acts[data.op](data)) ?? {}
    const buffers = Object.values(answer).map(({ buffer }) => buffer)
    postMessage(answer, buffers)
  } catch (error) {
    postMessage({ error: String(error) })
  }
}
