#!/usr/bin/env node
import { run } from './run.js'

// The exit code is left for later: exit() would cut off what is still on its way into a pipe.
process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  cwd: process.cwd(),
})
