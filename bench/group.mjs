/**
 * Groups on the S3 server of the tests, which is on loopback: rescaling, handoff, failover, members that come and go, idle ones.
 * `npm run bench:group -- --help`. Counts of requests, bytes and round trips do not depend on the machine; times do.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { startS3 } from '../test/support/start-s3.mjs'
import { measureFailover } from './group/failover.mjs'
import { measureMembers } from './group/members.mjs'
import { measureRescale } from './group/rescale.mjs'
import { measureTrips } from './group/virtual.mjs'
import { show } from './report.mjs'

const WORKS = { trips: measureTrips, rescale: measureRescale, members: measureMembers, failover: measureFailover }

const { values: flags } = parseArgs({
  options: {
    work: { type: 'string', default: Object.keys(WORKS).join(',') },
    mib: { type: 'string', default: '1024' },
    tries: { type: 'string', default: '200' },
    parallel: { type: 'string', default: '2' },
    standbys: { type: 'string', default: '1,0' },
    lease: { type: 'string', default: '2000' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (flags.help) {
  console.log(`npm run bench:group -- [flags]

  --work a,b      ${Object.keys(WORKS).join(', ')}
  --mib 1024      what the store holds that is rescaled
  --tries 200     failures of each kind
  --parallel 2    groups in which they happen side by side
  --standbys 1,0  of each shard while owners fail, one number after the other
  --lease 2000    milliseconds
  --json file     writes the figures`)
  process.exit()
}

const options = {
  mib: Number(flags.mib),
  tries: Number(flags.tries),
  parallel: Number(flags.parallel),
  standbys: flags.standbys.split(',').map(Number),
  leaseMs: Number(flags.lease),
}
const figures = {}
for (const work of flags.work.split(',')) {
  const server = await startS3()
  try {
    console.error(`${work} …`)
    Object.assign(figures, await WORKS[work](`${server.url}/bucket`, options))
  } finally {
    await server.close()
  }
}
console.log(`Groups on S3: ${options.mib} MiB, a lease of ${options.leaseMs} ms`)
for (const [name, value] of Object.entries(figures)) console.log(`  ${name.padEnd(78)} ${show(value)}`)
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version }
if (flags.json) writeFileSync(flags.json, JSON.stringify({ machine, ...options, figures }, undefined, 1))
