/**
 * How long it takes until the partitions of an owner that was killed or frozen commit again, over many tries, on several groups side by
 * side. At the end what every partition has counted is held against its position, and that against all that was acknowledged.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { openStore } from 'tidemark'
import { rescale } from 'tidemark/group'
import { quantile } from '../data.mjs'
import { countedStorage } from './storage.mjs'

const MEMBER = join(import.meta.dirname, 'member.mjs')
const MEMBERS = 3
const SHARDS = 3

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** `standbys`: how many each shard has, in one measurement after the other. */
export async function measureFailover(url, { tries, leaseMs, parallel, standbys }) {
  const figures = {}
  for (const each of standbys) {
    for (const [how, signal] of [
      ['killed', 'SIGKILL'],
      ['frozen', 'SIGSTOP'],
    ]) {
      const trials = Array.from({ length: parallel }, (_, i) => {
        const name = `${how}-${each}-${i}`
        return new Trial(url, { name, leaseMs, standbys: each }).run(signal, Math.ceil(tries / parallel))
      })
      const results = await Promise.all(trials)
      const pauses = results.flatMap((result) => result.pauses)
      const of = `an owner is ${how}, ${each > 0 ? 'with' : 'without'} a standby`
      const found = {
        [`${of}: ms until its shards commit again, p50 of ${pauses.length}`]: quantile(pauses, 0.5),
        [`${of}: p99`]: quantile(pauses, 0.99),
        [`${of}: the longest`]: Math.max(...pauses),
        [`${of}: acknowledged commits lost`]: results.reduce((sum, { lost }) => sum + lost, 0),
        [`${of}: events counted twice`]: results.reduce((sum, { twice }) => sum + twice, 0),
      }
      // It takes a while until the next one is measured.
      for (const [name, value] of Object.entries(found)) console.error(`  ${name} ${value.toFixed()}`)
      Object.assign(figures, found)
    }
  }
  return figures
}

/** One group, of which one owner after the other fails. */
class Trial {
  #url
  #settings
  #members = new Set()
  /** By partition: who has committed to it last, and the highest position that was acknowledged. */
  #last = Array(SHARDS).fill(undefined)
  #acked = Array(SHARDS).fill(0)

  constructor(url, settings) {
    this.#url = url
    this.#settings = { ...settings, partitions: SHARDS }
  }

  async run(signal, tries) {
    const { name } = this.#settings
    const { storage } = countedStorage(this.#url)
    const store = await openStore({ storage, name, partitions: SHARDS })
    await store.close()
    await rescale({ storage, name }, { shards: SHARDS })
    const pauses = []
    try {
      for (let i = 0; i < MEMBERS; i++) this.#start()
      for (let i = 0; i < tries; i++) {
        await this.#settle()
        pauses.push(await this.#fail(signal))
      }
    } finally {
      for (const child of this.#members) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    return { pauses, ...(await this.#check(storage)) }
  }

  #start() {
    const child = fork(MEMBER, [JSON.stringify({ ...this.#settings, url: this.#url })])
    this.#members.add(child)
    child.on('message', ({ time, shard: { first }, version, positions }) => {
      this.#acked[first] = Math.max(this.#acked[first], positions[first])
      if (version > (this.#last[first]?.version ?? 0)) this.#last[first] = { child, version, time }
    })
  }

  /** Until each member commits to a shard, and its neighbours have had the time to become warm. */
  async #settle() {
    const owners = () => new Set(this.#last.map((commit) => commit?.child))
    const isSettled = () => [...this.#members].every((child) => owners().has(child))
    const latest = Date.now() + 60_000
    while (!isSettled() && Date.now() < latest) await sleep(20)
    await sleep(this.#settings.leaseMs)
  }

  async #fail(signal) {
    const victim = this.#last[0].child
    const shards = this.#last.flatMap(({ child }, i) => (child === victim ? [i] : []))
    const failed = Date.now()
    victim.kill(signal)
    const isBack = () => shards.every((i) => this.#last[i].child !== victim)
    while (!isBack()) await sleep(5)
    const pause = Math.max(...shards.map((i) => this.#last[i].time)) - failed
    if (signal === 'SIGSTOP') victim.kill('SIGCONT')
    else {
      this.#members.delete(victim)
      this.#start()
    }
    return pause
  }

  async #check(storage) {
    let [lost, twice] = [0, 0]
    for (let i = 0; i < SHARDS; i++) {
      const store = await openStore({ storage, name: this.#settings.name, mode: 'follower', shard: i })
      const position = store.offsets.ticks[i]
      const counted = await store.partition(i).table('counts').get('ticks')
      lost += Math.max(0, this.#acked[i] - position)
      twice += Math.abs(counted - position)
      await store.close()
    }
    return { lost, twice }
  }
}
