/** Running other programs. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { root } from './entries.mjs'

/** Runs the command of an installed package in the root; resolves to `{ ok, output }`, or shows the output with `show`. */
export function tool(name, args, options) {
  return run(join(root, 'node_modules/.bin', name), args, options)
}

export function run(command, args, { show = false, env = {} } = {}) {
  return new Promise((resolve, reject) => {
    const output = show ? 'inherit' : 'pipe'
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
    })
    const chunks = []
    child.stdout?.on('data', (chunk) => chunks.push(chunk))
    child.stderr?.on('data', (chunk) => chunks.push(chunk))
    child.on('error', reject)
    child.on('close', (status) => resolve({ ok: status === 0, output: Buffer.concat(chunks).toString('utf8') }))
  })
}
