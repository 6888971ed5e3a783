/** The worker's life: started, stopped, killed and frozen by the page. */
import { compareWithMemory } from './compare.js'
import { look, opened } from './opened.js'
import { n } from './format.js'
import { moment, restMs } from './place.js'
import { act, say } from './said.js'
import { signal } from './signal.js'

/** Only one tab counts at a time; the others watch. */
const LOCK = 'tidemark-demo-job'

/** What the page shows of the job; `written` adds up over all workers, as far as they could tell before they were killed. */
export const job = signal({
  state: 'stopped',
  kills: 0,
  written: { commits: 0, log: 0, all: 0, folds: 0, compactions: 0 },
  p50: 0,
})
const change = (changes) => job.set({ ...job.get(), ...changes })

let worker
let shared
let release
/** Runs when the worker is the next time within a commit. */
let onWriting
/** Resolve when the worker tells the event. */
const waiting = []

const until = (...events) => new Promise((resolve) => waiting.push({ events, resolve }))

export async function start() {
  if (!(await takeLock())) return 'Another tab of this page is counting. This one shows what that one commits.'
  const { counted } = await begin()
  return `The worker counts from flight ${n(counted)} on, and commits after every 100 flights.`
}

export async function stop() {
  if (worker === undefined) return undefined
  thawThread()
  worker.postMessage({ type: 'stop' })
  await until('stopped', 'finished', 'failed')
  await look()
  const { version, counted } = await compareWithMemory()
  return `The worker has stopped at version ${n(version)}, with ${n(counted)} flights counted.`
}

/** Stops the job while `run` runs, and goes on afterwards if it was running. */
export async function withoutJob(run) {
  const wasRunning = worker !== undefined
  if (wasRunning) await stop()
  try {
    return await run()
  } finally {
    if (wasRunning) await start()
  }
}

/** Ends the worker while a version is on its way to the database, and begins another worker. */
export async function kill() {
  thawThread()
  const writing = await new Promise((resolve) => {
    onWriting = (version) => {
      worker.terminate()
      resolve(version)
    }
    void until('finished', 'failed').then(() => resolve(undefined))
  })
  if (writing === undefined) return 'The worker was done before it could be killed.'
  change({ kills: job.get().kills + 1, state: 'killed' })
  say(`Killed while version ${n(writing)} was being written. Another worker begins.`)
  await moment()
  const { counted, version } = await begin()
  const landed = version >= writing
  const { values } = await compareWithMemory()
  return `Killed while version ${n(writing)} was being written. The next worker found it ${landed ? 'complete' : 'absent'} and went on at flight ${n(counted)}. All ${n(values)} values are right.`
}

export async function freeze() {
  Atomics.store(shared, 0, 1)
  worker.postMessage({ type: 'freeze' })
  const { event } = await until('frozen', 'finished', 'failed')
  if (event !== 'frozen') return 'The worker was done before it could be frozen.'
  change({ state: 'frozen' })
  return 'The thread stands still, as a browser leaves a tab in the background. Other tabs go on writing: change the list.'
}

export async function thaw() {
  thawThread()
  change({ state: 'running' })
  await until('committed', 'finished', 'failed')
  return `The thread goes on, on top of what others have written meanwhile: version ${n(opened().version)}.`
}

function thawThread() {
  if (shared === undefined) return
  Atomics.store(shared, 0, 0)
  Atomics.notify(shared, 0)
}

async function begin() {
  shared = new Int32Array(new SharedArrayBuffer(4))
  worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
  const before = job.get().written
  worker.addEventListener('message', ({ data }) => hear(data, before))
  const hearing = until('opened', 'failed')
  worker.postMessage({ type: 'start', shared, restMs })
  change({ state: 'running' })
  const heard = await hearing
  if (heard.event === 'failed') throw new Error(heard.message)
  return heard
}

function hear(heard, before) {
  const { event, metrics, usage } = heard
  if (event === 'writing' && onWriting !== undefined) {
    const kill = onWriting
    onWriting = undefined
    kill(heard.version)
    return
  }
  if (metrics !== undefined) {
    const written = {
      commits: before.commits + metrics.commits,
      log: before.log + metrics.bytes,
      all: before.all + usage.bytesWritten,
      folds: before.folds + metrics.folds,
      compactions: before.compactions + metrics.compactions,
    }
    change({ written, p50: metrics.latencyMs.commit.p50 })
  }
  if (event === 'stopped' || event === 'finished' || event === 'failed') {
    worker.terminate()
    worker = undefined
    onWriting = undefined
    release?.()
    change({ state: event === 'finished' ? 'finished' : 'stopped' })
    if (event === 'failed') failed(heard)
    if (event === 'finished') void act('Comparing', compared)
  }
  for (const waiter of waiting.filter(({ events }) => events.includes(event))) {
    waiting.splice(waiting.indexOf(waiter), 1)
    waiter.resolve(heard)
  }
}

function failed({ code, message }) {
  // The page notices by itself that its storage was cleared, and says so.
  if (code === 'ROLLED_BACK') void look()
  else say(`The worker has ended: ${message}`)
}

async function compared() {
  await look()
  const { values } = await compareWithMemory()
  return `All flights are counted. All ${n(values)} values are what a count in memory gives.`
}

/** Resolves to whether this tab may count: until the job ends, no other tab may. */
function takeLock() {
  return new Promise((resolve) => {
    void navigator.locks.request(LOCK, { ifAvailable: true }, (lock) => {
      resolve(lock !== null)
      return lock && new Promise((ended) => (release = ended))
    })
  })
}
